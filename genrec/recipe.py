"""`Recipe`: the typed whole of a recipe file, one section per stage.

Does not know what a stage does with its section.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from genrec.artifacts import data_folder
from genrec.config import apply_overrides, build, read_yaml, to_mapping, write_yaml
from genrec.errors import ConfigError


@dataclass(frozen=True)
class DataSection:
    """Where items and interactions come from, and how they are split.

    Attributes:
        source: `synthetic` = the built-in world; `files` = the two paths below.
        items: Item table: a file (jsonl, csv, parquet, plain or gzip; RecBole's .item) or a `datasets` name
            or folder.
        interactions: Interaction log: the same formats (RecBole's .inter).
        item_columns: Our column name -> the source's, where they differ.
        interaction_columns: The same for the log.
        time: Whether timestamps are absolute, or give the order only.
        k_core: Keep users and items with at least so many interactions; 0 = keep all.
        unknown_items: What to do with interactions whose item is not in the item table.
        split: `leave_one_out`; `time` needs absolute timestamps and the two shares below; `cold_items` holds
            `cold_share` of the items out of all training.
        validation_share: Share of the interactions, by time, between training and test (`split: time`).
        test_share: Share of the interactions, by time, that are the test (`split: time`).
        cold_share: Share of the items that are held out (`split: cold_items`).
        num_items: Size of the synthetic world.
        num_users: Size of the synthetic world.
    """

    source: Literal["synthetic", "files"] = "synthetic"
    items: Path | None = None
    interactions: Path | None = None
    item_columns: dict[str, str] = field(default_factory=dict)
    interaction_columns: dict[str, str] = field(default_factory=dict)
    time: Literal["auto", "absolute", "order"] = "auto"
    k_core: int = 0
    unknown_items: Literal["error", "skip"] = "error"
    split: Literal["leave_one_out", "time", "cold_items"] = "leave_one_out"
    validation_share: float = 0.1
    test_share: float = 0.1
    cold_share: float = 0.1
    num_items: int = 1000
    num_users: int = 3000


@dataclass(frozen=True)
class EmbeddingsSection:
    """How items become content vectors.

    Attributes:
        encoder: `lsa` needs no weights; `text` is a sentence-transformers model; `files` reads your own
            vectors.
        model: Model name or folder for `text`; `minilm` is the one the extra `minilm` brings.
        fields: Item columns that are encoded.
        dim: Width of `lsa` vectors.
        batch_size: Texts encoded at once by `text`.
        max_length: Longest text in tokens for `text`; null = the model's own.
        vectors: `.npy` matrix for `files`.
        vector_ids: Its item ids, one a row, for `files`.
    """

    encoder: Literal["lsa", "text", "files"] = "lsa"
    model: str = "minilm"
    fields: tuple[str, ...] = ("title", "brand", "categories", "description")
    dim: int = 64
    batch_size: int = 64
    max_length: int | None = None
    vectors: Path | None = None
    vector_ids: Path | None = None


@dataclass(frozen=True)
class ItemTokenizerSection:
    """How vectors become Semantic IDs.

    Attributes:
        definition: Name of a definition in `tokenizers/`, or a path.
        index: An `index.json` (item -> tokens) to read IDs from instead of making them.
        index_collisions: What to do when items share an ID there: refuse, or append a code that tells them
            apart.
    """

    definition: str = "rkmeans-3x256"
    index: Path | None = None
    index_collisions: Literal["error", "extra_code"] = "error"


@dataclass(frozen=True)
class ModelSection:
    """The model trained from scratch.

    Attributes:
        hidden_size: Width.
        num_layers: Blocks.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward layer.
        initializer_range: Standard deviation of the initial weights.
        tie_word_embeddings: One matrix for input rows and head.
        text_vocab_size: Tokens of the text tokenizer trained on the item texts.
    """

    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 4
    intermediate_size: int = 256
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    text_vocab_size: int = 1024


@dataclass(frozen=True)
class AlignSection:
    """Training.

    Attributes:
        normalize: Softmax of an ID token in loss and decoding: `allowed`, `level` or `full`.
        max_history: Items of a history that a target is predicted from.
        epochs: Passes over all users.
        max_steps: Optimiser steps in place of epochs; -1 = use epochs.
        batch_size: Users a step, over all processes.
        learning_rate: AdamW's peak rate.
        lr_scheduler: Name of a transformers schedule.
        warmup_steps: Steps of linear warm-up.
        adam_beta2: AdamW's second beta.
        weight_decay: Of the body.
        embedding_weight_decay: Of the embedding matrix.
        residual_dropout: On embeddings and residual branches.
        ema_decay: Of the weights' moving average; 0 = off.
        max_grad_norm: Gradient clipping.
        evaluate_every: Optimiser steps between validations; each writes a checkpoint.
        patience: Validations without a better NDCG@10 before training stops; 0 = never.
        validation_users: Users of the validation sample; 0 = all.
        keep_checkpoints: Checkpoints kept.
        threads: Torch threads a process; 0 = torch's choice.
    """

    normalize: Literal["allowed", "level", "full"] = "allowed"
    max_history: int = 20
    epochs: float = 40
    max_steps: int = -1
    batch_size: int = 64
    learning_rate: float = 1e-3
    lr_scheduler: str = "constant_with_warmup"
    warmup_steps: int = 100
    adam_beta2: float = 0.98
    weight_decay: float = 0.05
    embedding_weight_decay: float = 0.01
    residual_dropout: float = 0.3
    ema_decay: float = 0.99
    max_grad_norm: float = 1.0
    evaluate_every: int = 200
    patience: int = 5
    validation_users: int = 0
    keep_checkpoints: int = 2
    threads: int = 0


@dataclass(frozen=True)
class DecodeSection:
    """Constrained beam search.

    Attributes:
        num_beams: Prefixes kept a step.
        batch_size: Histories searched at once.
    """

    num_beams: int = 20
    batch_size: int = 256


@dataclass(frozen=True)
class EvaluateSection:
    """What is measured.

    Attributes:
        ks: Cut-offs of Recall and NDCG.
        mask_history: Whether items of the history are taken out of every ranker's list.
        bootstrap: Resamples of the 95 % intervals.
        tune_baselines: Choose item-kNN's parameters on the validation cases.
    """

    ks: tuple[int, ...] = (5, 10)
    mask_history: bool = False
    bootstrap: int = 1000
    tune_baselines: bool = True


@dataclass(frozen=True)
class Recipe:
    """A recipe file.

    Attributes:
        name: Short name, used in reports.
        seed: Seed of everything.
        output_dir: Where every stage writes.
        start_from: A bundle to go on from: its model, vocabulary and Semantic IDs are taken up, items it does
            not know get free IDs; null = start anew.
    """

    name: str
    seed: int = 0
    output_dir: Path = Path("outputs")
    start_from: Path | None = None
    data: DataSection = field(default_factory=DataSection)
    embeddings: EmbeddingsSection = field(default_factory=EmbeddingsSection)
    item_tokenizer: ItemTokenizerSection = field(default_factory=ItemTokenizerSection)
    model: ModelSection = field(default_factory=ModelSection)
    align: AlignSection = field(default_factory=AlignSection)
    decode: DecodeSection = field(default_factory=DecodeSection)
    evaluate: EvaluateSection = field(default_factory=EvaluateSection)

    def __post_init__(self) -> None:
        """Checks what one section alone cannot know; every problem is named at once."""
        data, embeddings, problems = self.data, self.embeddings, []
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
        if self.model.hidden_size % self.model.num_heads:
            problems.append("model.hidden_size must be a multiple of model.num_heads")
        positive = {
            "align.batch_size": self.align.batch_size,
            "align.max_history": self.align.max_history,
            "align.evaluate_every": self.align.evaluate_every,
            "decode.num_beams": self.decode.num_beams,
            "decode.batch_size": self.decode.batch_size,
        }
        problems += [
            f"{name} must be at least 1, not {value}" for name, value in positive.items() if value < 1
        ]
        if not self.evaluate.ks or min(self.evaluate.ks) < 1 or 10 not in self.evaluate.ks:
            problems.append("evaluate.ks must hold positive cut-offs, 10 among them")
        if problems:
            raise ConfigError(
                f"the recipe {self.name!r} does not hold together",
                received="\n  ".join(problems),
                remedy="mend the recipe file, or add overrides such as data.items=PATH",
            )

    @classmethod
    def load(cls, recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """Reads a recipe by the name of a shipped one, its folder or its file, and applies dotted overrides.

        Raises:
            ConfigError: Unknown recipe, unknown keys or wrong values, all of them at once.
        """
        path = recipe_path(recipe)
        mapping = apply_overrides(read_yaml(path), list(overrides))
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
