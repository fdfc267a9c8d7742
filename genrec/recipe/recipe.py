"""`Recipe`: the typed whole of a recipe file, one section per stage.

Does not know what a stage does with its section.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from genrec.artifacts import data_folder
from genrec.config import apply_overrides, build, read_yaml, to_mapping, write_yaml
from genrec.errors import ConfigError
from genrec.recipe.ranges import out_of_range
from genrec.recipe.sections import (
    DataSection,
    DecodeSection,
    EmbeddingsSection,
    EvaluateSection,
    ItemTokenizerSection,
)
from genrec.recipe.task_rules import task_problems
from genrec.recipe.training_sections import (
    AlignSection,
    ItemLevelSection,
    ModelSection,
    PreferenceSection,
    TaskSection,
    TextsSection,
)


@dataclass(frozen=True)
class Recipe:
    """A recipe file.

    Attributes:
        name: Short name, used in reports.
        seed: Seed of everything.
        output_dir: Where every stage writes.
        start_from: A bundle to go on from: its model, vocabulary and Semantic IDs are taken up, items it does
            not know get free IDs; null = start anew.
        tasks: Task name -> its options (null = the defaults); see `genrec.tasks`.
    """

    name: str
    seed: int = 0
    output_dir: Path = Path("outputs")
    start_from: Path | None = None
    data: DataSection = field(default_factory=DataSection)
    embeddings: EmbeddingsSection = field(default_factory=EmbeddingsSection)
    item_tokenizer: ItemTokenizerSection = field(default_factory=ItemTokenizerSection)
    model: ModelSection = field(default_factory=ModelSection)
    tasks: dict[str, TaskSection | None] = field(default_factory=lambda: {"seqrec": None})
    texts: TextsSection = field(default_factory=TextsSection)
    item_level: ItemLevelSection = field(default_factory=ItemLevelSection)
    align: AlignSection = field(default_factory=AlignSection)
    preference: PreferenceSection = field(default_factory=PreferenceSection)
    decode: DecodeSection = field(default_factory=DecodeSection)
    evaluate: EvaluateSection = field(default_factory=EvaluateSection)

    def __post_init__(self) -> None:
        """Checks what one section alone cannot know; every problem is named at once."""
        data, embeddings, problems = self.data, self.embeddings, out_of_range(self)
        if data.source == "files" and (data.items is None or data.interactions is None):
            problems.append("data.source is 'files', so data.items and data.interactions must be given")
        if embeddings.encoder == "files" and (embeddings.vectors is None or embeddings.vector_ids is None):
            problems.append(
                "embeddings.encoder is 'files', so embeddings.vectors and .vector_ids must be given"
            )
        if self.start_from is not None and self.start_from.absolute().is_relative_to(
            self.output_dir.absolute()
        ):
            problems.append(
                f"start_from={self.start_from} lies in output_dir={self.output_dir}, which would be "
                "written over; give another output_dir"
            )
        if self.item_tokenizer.user_codes:
            seqrec = self.tasks.get("seqrec")
            form = "packed" if seqrec is None else seqrec.form
            prefixes = form == "prefixes" or (form is None and self.model.architecture == "encoder_decoder")
            if "seqrec" not in self.tasks or not prefixes or self.model.architecture == "item_level":
                problems.append("item_tokenizer.user_codes needs tasks.seqrec.form=prefixes")
        if self.texts.source != "attributes" and self.texts.model is None:
            problems.append(f"texts.source is {self.texts.source!r}, so texts.model must be given")
        problems += self._revisions_out_of_place()
        if self.model.base is not None and self.model.text_epochs:
            problems.append("model.text_epochs trains a base from scratch; model.base names a pretrained one")
        if self.model.quantization != "none" and not self.align.lora_r:
            problems.append("quantised weights do not train: set align.lora_r, or model.quantization=none")
        heads = self.model.num_heads
        if self.model.head_dim is None and heads > 0 and self.model.hidden_size % heads:
            problems.append("model.hidden_size must be a multiple of model.num_heads, or give model.head_dim")
        if self.model.architecture == "encoder_decoder":
            if self.model.base is not None or self.model.text_epochs or self.align.lora_r:
                problems.append(
                    "model.architecture=encoder_decoder trains every weight from scratch: leave out "
                    "model.base, model.text_epochs and align.lora_r"
                )
            if self.align.residual_dropout:
                problems.append("an encoder-decoder has model.dropout: set align.residual_dropout to 0")
        problems += self._beside_item_level() if self.model.architecture == "item_level" else []
        rows = self.item_level
        if not rows.channels:
            problems.append("item_level.channels must name a channel, such as content")
        if not self.tasks:
            problems.append("tasks must name a task, such as seqrec")
        problems += task_problems(self.tasks)
        if rows.teacher_share and (rows.crop or rows.reverse or rows.item_dropout):
            problems.append(
                "item_level.teacher_share needs rows that stay as they are: set item_level.crop, .reverse "
                "and .item_dropout to 0"
            )
        if not self.evaluate.ks or min(self.evaluate.ks) < 1 or 10 not in self.evaluate.ks:
            problems.append("evaluate.ks must hold positive cut-offs, 10 among them")
        if problems:
            raise ConfigError(
                f"the recipe {self.name!r} does not hold together",
                received="\n  ".join(problems),
                remedy="mend the recipe file, or add overrides such as data.items=PATH",
            )

    def _revisions_out_of_place(self) -> list[str]:
        """Revisions of models that the hub is not asked for."""
        content, texts = self.embeddings, self.texts
        from_hub = content.encoder == "text" and content.model != "minilm"
        problems = []
        if content.revision is not None and not from_hub:
            problems.append(
                "embeddings.revision is one of a model that embeddings.encoder=text finds by name"
            )
        if content.image_revision is not None and content.images is None:
            problems.append("embeddings.image_revision is one of embeddings.images, which is not given")
        if self.model.revision is not None and self.model.base is None:
            problems.append("model.revision is one of model.base, which is not given")
        if texts.revision is not None and texts.source != "local":
            problems.append("texts.revision is one of the model that texts.source=local loads")
        return problems

    def _beside_item_level(self) -> list[str]:
        """Settings that an item-level generator cannot use."""
        model, section = self.model, self.align
        given = {
            "start_from": self.start_from is not None,
            "model.base": model.base is not None,
            "model.text_epochs": bool(model.text_epochs),
            "align.lora_r": bool(section.lora_r),
            "align.rows_first_steps": bool(section.rows_first_steps),
            "align.activation_checkpointing": section.activation_checkpointing,
            "align.max_length": section.max_length is not None,
            "tasks other than seqrec": bool(self.tasks.keys() - {"seqrec"}),
        }
        found = [name for name, there in given.items() if there]
        if not found:
            return []
        return [
            "model.architecture=item_level trains a model of items on histories alone: leave out "
            + ", ".join(found)
        ]

    @classmethod
    def load(
        cls, recipe: str | Path, overrides: Sequence[str] = (), *, start_from: str | Path | None = None
    ) -> Recipe:
        """Reads a recipe by the name of a shipped one, its folder or its file, and applies dotted overrides.

        Args:
            recipe: Name, folder or file.
            overrides: Such as `align.max_steps=8`; values are read as YAML.
            start_from: A bundle to go on from, taken as it is written; None = what recipe and overrides say.

        Raises:
            ConfigError: Unknown recipe, unknown keys or wrong values, all of them at once.
        """
        path = recipe_path(recipe)
        mapping = apply_overrides(read_yaml(path), list(overrides))
        if start_from is not None:
            mapping["start_from"] = str(start_from)
        return build(cls, mapping, source=str(path))

    def scaled(self, **sections: Any) -> Recipe:
        """A copy with some fields replaced, for experiments in Python."""
        return replace(self, **sections)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as the resolved file holds them."""
        mapping: dict[str, Any] = to_mapping(self)
        return mapping

    def write(self, path: Path) -> None:
        """Writes the resolved recipe."""
        write_yaml(
            path, self.to_mapping(), header="The resolved recipe of this output: every value as it was used."
        )


def recipe_path(recipe: str | Path) -> Path:
    """File of a recipe given by shipped name, folder or file.

    Raises:
        ConfigError: There is none.
    """
    path = Path(recipe)
    if path.is_dir():
        path = path / "recipe.yaml"
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        return shipped[str(recipe)]
    near = difflib.get_close_matches(str(recipe), shipped, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ConfigError(
        "there is no such recipe",
        received=str(recipe),
        remedy=f"{hint}give a file, a folder with a recipe.yaml, or one of: {', '.join(shipped)}",
    )


def shipped_recipes() -> dict[str, Path]:
    """Names and files of the recipes that come with genrec."""
    return {path.parent.name: path for path in sorted(data_folder("recipes").glob("*/recipe.yaml"))}
