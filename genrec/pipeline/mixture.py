"""The training rows a recipe asks for: its tasks over the training part of the split.

Does not know models or optimisers, nor validation and test cases.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from genrec.artifacts import file_sha256
from genrec.catalog import Catalog
from genrec.config import fingerprint
from genrec.data import Dialogues, SearchTask, read_texts
from genrec.pipeline.inputs import Inputs
from genrec.pipeline.texts import text_sources
from genrec.pipeline.user_codes import fitted_user_tokenizer
from genrec.recipe import Recipe, TaskSection
from genrec.tasks import TaskInputs, TaskMixture, TaskName, TaskOptions, judged_pairs


def training_mixture(
    recipe: Recipe, inputs: Inputs, catalog: Catalog, *, unwritten: Literal["error", "attributes"] = "error"
) -> TaskMixture:
    """The mixture of the recipe's tasks.

    Args:
        recipe: The recipe.
        inputs: Its data.
        catalog: The Semantic IDs.
        unwritten: What to do when texts that a language model is to write are not there yet.

    Raises:
        ConfigError: Texts that are not written yet.
        DataError: A task for which the data have nothing, or a source with something wrong.
    """
    sections = {name: section or TaskSection() for name, section in recipe.tasks.items()}
    prefixes = recipe.model.architecture == "encoder_decoder"
    options = {
        cast(TaskName, name): TaskOptions(
            weight=section.weight,
            cap=section.cap,
            form="prefixes" if name == "seqrec" and prefixes and section.form is None else section.form,
            max_characters=section.max_characters,
            num_candidates=section.num_candidates,
        )
        for name, section in sections.items()
    }
    sources = {name: section.source for name, section in sections.items() if section.source is not None}
    dialogues = sources.get("dialogue")
    queries, preferences = text_sources(recipe, inputs, unwritten=unwritten)
    task_inputs = TaskInputs(
        catalog=catalog,
        items=inputs.items,
        log=inputs.split.train,
        max_history=recipe.align.max_history,
        held_out=inputs.split.held_out,
        queries=queries,
        preferences=preferences,
        pairs=judged_pairs(SearchTask.read(sources["query2index"])) if "query2index" in sources else (),
        dialogues=None if dialogues is None else Dialogues.read(dialogues, items=inputs.items),
        texts=read_texts(sources["text"]) if "text" in sources else (),
        user_tokenizer=fitted_user_tokenizer(recipe, inputs, catalog),
    )
    return TaskMixture.build(options, task_inputs, seed=recipe.seed)


def sources_digest(recipe: Recipe) -> str:
    """Digest of the files that tasks read beside items and interactions; of a data set's name, the name."""
    found: list[str] = []
    for name, section in sorted(recipe.tasks.items()):
        if section is not None and section.source is not None:
            path = Path(section.source)
            files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
            found += [name, section.source, *(file_sha256(file) for file in files)]
    return fingerprint(found)
