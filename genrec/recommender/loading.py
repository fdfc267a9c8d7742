"""Any saved recommender by its folder.

Does not know what is inside one.
"""

from __future__ import annotations

from pathlib import Path

from genrec.artifacts import has_artifact
from genrec.recommender.generative_recommender import GenerativeRecommender
from genrec.recommender.item_level_recommender import KIND, ItemLevelRecommender


def load_recommender(
    folder: str | Path, *, device: str = "cpu"
) -> GenerativeRecommender | ItemLevelRecommender:
    """Reads a recommender back, whatever its architecture.

    Raises:
        ArtifactError: No recommender there, or a damaged one.
    """
    if has_artifact(folder, kind=KIND):
        return ItemLevelRecommender.from_pretrained(folder, device=device)
    return GenerativeRecommender.from_pretrained(folder, device=device)
