"""The teacher of a recipe with `item_level.teacher_share`: made once an output folder, then read.

Does not know how the lists are learned from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from genrec.artifacts import has_artifact, open_artifact, saved_artifact
from genrec.baselines import neighbour_teacher
from genrec.embeddings import EmbeddingTable
from genrec.pipeline.inputs import Inputs
from genrec.recipe import Recipe
from genrec.tasks import TeacherLists
from genrec.training import process_state

KIND = "teacher"
LISTS = "lists.safetensors"


def item_teacher(
    recipe: Recipe, inputs: Inputs, embeddings: EmbeddingTable, item_ids: list[str], folder: Path
) -> TeacherLists | None:
    """The teacher's lists of a recipe, None where no label is drawn from one.

    Args:
        recipe: The recipe.
        inputs: Its data.
        embeddings: What content-kNN compares.
        item_ids: The catalog.
        folder: Where the lists lie or are put, with the logs of what was tried.

    Raises:
        ArtifactError: The lists were altered.
    """
    if not recipe.item_level.teacher_share:
        return None
    with process_state().main_process_first():  # it makes the lists, the others read them
        if not has_artifact(folder, KIND):
            with saved_artifact(folder, kind=KIND) as temporary:
                rows, shares = neighbour_teacher(
                    inputs.items,
                    embeddings,
                    inputs.split,
                    item_ids,
                    fields=recipe.embeddings.fields,
                    log_folder=temporary,
                    max_history=recipe.align.max_history,
                    seed=recipe.seed,
                )
                save_file({"rows": rows.astype(np.int32), "shares": shares}, temporary / LISTS)
    open_artifact(folder, kind=KIND)
    lists = load_file(folder / LISTS)
    return TeacherLists.of(lists["rows"], lists["shares"], recipe.item_level.teacher_share)
