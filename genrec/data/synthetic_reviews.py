"""What the customers of the synthetic world say of their purchases: stars, a review, its summary, its reason.

Does not know why an item was bought: that is the process's. A rating follows how well the item fits the
customer's hidden taste, whether the brand is an old acquaintance, how good the item is, and chance; the texts
follow the rating and name one of these reasons.
"""

from __future__ import annotations

import importlib.resources
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from genrec.data.synthetic_catalog import SyntheticCatalog

BASE = 3.0  # stars of a mediocre item that fits in nothing
FIT_GAIN, BRAND_GAIN, BAND_GAINS = 0.9, 0.4, (0.6, 0.2, -0.3)  # bands: by distance from the taste's
ITEM_SPREAD, CHANCE_SPREAD = 0.5, 0.8  # standard deviations, in stars
_BANDS = ("low", "middle", "high")


def make_reviews(
    catalog: SyntheticCatalog,
    items: np.ndarray,
    users: np.ndarray,
    tastes: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Draws a review of each purchase.

    Args:
        catalog: The items.
        items: int64[purchases], the process's numbers, oldest first within a user.
        users: int64[purchases], ascending.
        tastes: int64[users], 4 x price band + kind of customer.
        rng: Where chance comes from.

    Returns:
        Columns of the log: `rating` (float32, 1 to 5 stars), and the texts `summary` (a headline), `review`
        (two sentences) and `explanation` (the one of them that gives the reason).
    """
    band, fit = catalog.item_band[items], catalog.item_fit[items]
    wanted_band, wanted_fit = np.divmod(tastes[users], 4)
    far = np.abs(band - wanted_band)
    known = _bought_before(users * catalog.num_brands + catalog.item_brand[items])
    quality = rng.normal(0.0, ITEM_SPREAD, len(catalog.item_type))[items]
    stars = BASE + FIT_GAIN * (fit == wanted_fit) + BRAND_GAIN * known + np.array(BAND_GAINS)[far]
    stars = stars + quality + rng.normal(0.0, CHANCE_SPREAD, len(items))
    stars = np.clip(np.rint(stars), 1, 5).astype(np.int64)
    suits = np.stack([fit == wanted_fit, known, far == 0], axis=1)  # [purchases, reasons]
    # A reason that goes with the rating comes first, chance decides between several.
    reason = np.argmax((suits == (stars >= 3)[:, None]) + rng.random(suits.shape), axis=1)
    wordings, sizes = _wordings()
    choice = rng.integers(0, sizes, (len(items), 3))  # [purchases, summary | opener | reason]
    kind = np.where(reason == 2, reason + band, reason)
    because = 2 * kind + suits[np.arange(len(items)), reason]
    texts = {
        "summary": _texts(catalog, items, [wordings["summaries"]], [(stars - 1) * sizes[0] + choice[:, 0]]),
        "review": _texts(
            catalog,
            items,
            [wordings["openers"], wordings["reasons"]],
            [(stars - 1) * sizes[1] + choice[:, 1], because * sizes[2] + choice[:, 2]],
        ),
        "explanation": _texts(catalog, items, [wordings["reasons"]], [because * sizes[2] + choice[:, 2]]),
    }
    return {"rating": pa.array(stars.astype(np.float32)), **texts}


def _bought_before(keys: np.ndarray) -> np.ndarray:
    """Tells which keys stand further up too: bool[purchases]."""
    _, first = np.unique(keys, return_index=True)
    before = np.ones(len(keys), dtype=bool)
    before[first] = False
    return before


def _wordings() -> tuple[dict[str, list[str]], tuple[int, int, int]]:
    """Gives all wordings of each part in one list, and how many there are for one case."""
    source = importlib.resources.files("genrec.data").joinpath("synthetic_reviews.yaml")
    words: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    reasons = [words["reasons"][kind][yes] for kind in ("fit", "brand", *_BANDS) for yes in (False, True)]
    parts = {"summaries": words["summaries"], "openers": words["openers"], "reasons": reasons}
    sizes = (len(words["summaries"][0]), len(words["openers"][0]), len(reasons[0]))
    return {name: [text for case in cases for text in case] for name, cases in parts.items()}, sizes


def _texts(
    catalog: SyntheticCatalog, items: np.ndarray, parts: list[list[str]], chosen: list[np.ndarray]
) -> pa.Array:
    """Fills in the chosen wordings, each distinct text once."""
    key = items
    for wordings, choice in zip(parts, chosen, strict=True):
        key = key * len(wordings) + choice
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    distinct = []
    for purchase in first.tolist():
        row = catalog.rows[items[purchase]]
        template = " ".join(
            wordings[choice[purchase]] for wordings, choice in zip(parts, chosen, strict=True)
        )
        distinct.append(template.format(plural=row["categories"][2].lower(), brand=row["brand"]))
    return pa.array(distinct, pa.string()).take(pa.array(inverse))
