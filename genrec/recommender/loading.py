"""Any saved recommender by its folder, or by its name on the hub.

Does not know what is inside one.
"""

from __future__ import annotations

from pathlib import Path

from genrec.errors import ConfigError
from genrec.hub import ITEM_LEVEL, bundle_folder, bundle_kind
from genrec.recommender.generative_recommender import GenerativeRecommender
from genrec.recommender.item_level_recommender import ItemLevelRecommender


def load_recommender(
    repo_or_folder: str | Path,
    *,
    revision: str | None = None,
    device: str = "cpu",
    quantization: str | None = None,
    base: str | Path | None = None,
    token: str | None = None,
) -> GenerativeRecommender | ItemLevelRecommender:
    """Reads a recommender back, whatever its architecture.

    Args:
        repo_or_folder: A folder, or `owner/name` on the hub.
        revision: Branch, tag or commit on the hub; None = main.
        device: Where the model goes.
        quantization: As for `GenerativeRecommender.from_pretrained`; an item-level generator has none.
        base: For a bundle of adapters: where its base model is now, when not where it was.
        token: Of the hub; None = the one that is logged in.

    Raises:
        ArtifactError: No recommender there, or a damaged one.
        ConfigError: An option that this kind of recommender does not have.
        HubError: No such repository, revision or bundle on the hub, or no connection.
    """
    folder = bundle_folder(repo_or_folder, revision=revision, token=token)
    if bundle_kind(folder) != ITEM_LEVEL:
        return GenerativeRecommender.from_pretrained(
            folder, device=device, quantization=quantization, base=base
        )
    given = {"quantization": quantization, "base": base}
    wrong = [name for name, value in given.items() if value not in (None, "none")]
    if wrong:
        raise ConfigError(
            "an item-level generator is a whole model in full precision",
            received=", ".join(f"{name}={given[name]!r}" for name in wrong),
            remedy=f"leave {' and '.join(wrong)} out",
        )
    return ItemLevelRecommender.from_pretrained(folder, device=device)
