"""The catalog of the synthetic world: what is sold, by which invented brand, for whom, in which words.

Does not know who buys what.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

_MAX_DEPARTMENTS = 8
_ITEMS_PER_DEPARTMENT = 20  # a world has fewer departments when it has fewer items than this for each
_DEPARTMENTS_PER_BRAND = 3
_BAND_PRICES = (0.6, 1.0, 1.9)
_SIZE_PRICES = (1.0, 1.4, 2.0)


@dataclass(frozen=True)
class SyntheticCatalog:
    """The items of a world, type by type, as arrays for the process and as rows for people.

    Attributes:
        rows: One row an item: title, brand, categories, description, price; no id yet.
        item_type: int64[items], ascending.
        item_brand: int64[items].
        item_band: int64[items], price band of the brand: 0 low, 1 middle, 2 high.
        item_fit: int64[items], the kind of customer (0-3) the item is made for.
        type_department: int64[types].
        next_type: int64[types], the type that follows in the department's routine, a circle.
        num_brands: Brands in the world.
    """

    rows: list[dict[str, Any]]
    item_type: np.ndarray
    item_brand: np.ndarray
    item_band: np.ndarray
    item_fit: np.ndarray
    type_department: np.ndarray
    next_type: np.ndarray
    num_brands: int


def make_catalog(num_items: int, rng: np.random.Generator) -> SyntheticCatalog:
    """Draws a catalog of `num_items` items with distinct titles."""
    source = importlib.resources.files("genrec.data").joinpath("synthetic_words.yaml")
    words = yaml.safe_load(source.read_text(encoding="utf-8"))
    num_departments = int(np.clip(num_items // _ITEMS_PER_DEPARTMENT, 2, _MAX_DEPARTMENTS))
    chosen = rng.permutation(len(words["departments"]))[:num_departments]
    departments = [words["departments"][index] for index in chosen]
    brands, band_of_brand, sold_in = _make_brands(words, num_items, num_departments, rng)
    types: list[dict[str, Any]] = []
    type_department: list[int] = []
    next_type: list[int] = []
    for index, department in enumerate(departments):
        count = len(department["types"])
        next_type += [len(types) + (place + 1) % count for place in range(count)]
        types += department["types"]
        type_department += [index] * count
    item_type = np.repeat(np.arange(len(types)), _counts(num_items, len(types), rng))
    item_brand, item_fit, variant = _fill_shelves(item_type, np.array(type_department), sold_in, rng)
    writer = _Writer(words, departments, types, type_department, next_type)
    rows = writer.write(brands, item_type, item_brand, band_of_brand[item_brand], item_fit, variant, rng)
    return SyntheticCatalog(
        rows,
        item_type,
        item_brand,
        band_of_brand[item_brand],
        item_fit,
        np.array(type_department),
        np.array(next_type),
        len(brands),
    )


def _counts(num_items: int, num_types: int, rng: np.random.Generator) -> np.ndarray:
    """Splits the items over the types: unequal, at least two each."""
    shares = rng.uniform(0.6, 1.4, num_types)
    exact = shares / shares.sum() * (num_items - 2 * num_types)
    counts: np.ndarray = 2 + np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: num_items - counts.sum()]] += 1
    return counts


def _make_brands(
    words: dict[str, Any], num_items: int, num_departments: int, rng: np.random.Generator
) -> tuple[list[str], np.ndarray, list[list[int]]]:
    """Gives brand names, each brand's price band, and each department's brands (of all three bands)."""
    names = words["brands"] + [
        f"{name} {second}" for second in words["brand_seconds"] for name in words["brands"]
    ]
    count = int(np.clip(round(0.8 * num_items**0.5), 9, len(names)))
    shuffled = rng.permutation(min(count, len(words["brands"])))
    order = np.concatenate([shuffled, np.arange(len(shuffled), count)])
    bands = np.arange(count) % 3
    sold_in: list[list[int]] = [[] for _ in range(num_departments)]
    for band in range(3):
        around = rng.permutation(num_departments)
        for turn, brand in enumerate(np.flatnonzero(bands == band)):
            places = {
                (turn * _DEPARTMENTS_PER_BRAND + step) % num_departments
                for step in range(_DEPARTMENTS_PER_BRAND)
            }
            for place in sorted(places):
                sold_in[around[place]].append(int(brand))
    return [names[index] for index in order], bands, sold_in


def _fill_shelves(
    item_type: np.ndarray, type_department: np.ndarray, sold_in: list[list[int]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gives every item a brand, a kind of customer and a variant (0-35), no combination twice in a type."""
    item_brand, item_fit, variant = (np.empty_like(item_type) for _ in range(3))
    for kind in range(len(type_department)):
        rows = np.flatnonzero(item_type == kind)
        brands = np.array(sold_in[type_department[kind]])
        cells = rng.permutation(len(brands) * 4)
        variants = rng.permuted(np.tile(np.arange(36), (len(cells), 1)), axis=1)
        turn, place = np.divmod(np.arange(len(rows)), len(cells))
        item_brand[rows] = brands[cells[place] // 4]
        item_fit[rows] = cells[place] % 4
        variant[rows] = variants[place, turn]
    return item_brand, item_fit, variant


class _Writer:
    """Writes titles and descriptions from the word lists."""

    def __init__(
        self,
        words: dict[str, Any],
        departments: list[dict[str, Any]],
        types: list[dict[str, Any]],
        type_department: list[int],
        next_type: list[int],
    ) -> None:
        self.words, self.types = words, types
        self.departments = [departments[index] for index in type_department]
        self.following = [types[kind]["name"] for kind in next_type]

    def write(
        self,
        brands: list[str],
        item_type: np.ndarray,
        item_brand: np.ndarray,
        item_band: np.ndarray,
        item_fit: np.ndarray,
        variant: np.ndarray,
        rng: np.random.Generator,
    ) -> list[dict[str, Any]]:
        """Gives the rows of all items; chance decides on prices and on which sentences are there."""
        numbers = np.stack([item_type, item_brand, item_band, item_fit, variant], axis=1).tolist()
        dice = rng.random((len(item_type), 4)).tolist()
        rows, titles = [], set()
        for (kind, brand, band, fit, form), (cents, naming, next_step, house) in zip(
            numbers, dice, strict=True
        ):
            product, department = self.types[kind], self.departments[kind]
            word, extra, size = form // 12, form // 3 % 4, form % 3
            style = self.words["tools"] if product.get("tool") else department
            if product.get("tool"):
                names = {"word": style["words"][fit][word], "extra": style["extras"][extra]}
            else:
                names = {
                    "word": style["fits"][fit]["words"][word],
                    "extra": style["fits"][fit]["extras"][extra],
                }
            names["fit"] = department["fits"][fit]["name"]
            whole = {**names, "brand": brands[brand], "type": product["name"], "size": product["sizes"][size]}
            title = style["titles"][0 if naming < 0.5 else -1].format(**whole)
            if title in titles:  # the last form names everything
                title = style["titles"][-1].format(**whole)
            titles.add(title)
            small = {key: _lower(text) for key, text in names.items()}
            small |= {"Extra": small["extra"][0].upper() + small["extra"][1:], "brand": brands[brand]}
            sentences = [
                product["line"],
                style["details"][brand % len(style["details"])].format(**small),
            ]
            if house < 0.7:
                sentences.append(self.words["bands"][band][brand // 3 % 3].format(**small))
            elif next_step < 0.5:
                article = "an" if self.following[kind][0] in "AEIOU" else "a"
                sentences.append(f"The next step is {article} {self.following[kind].lower()}.")
            price = product["price"] * _BAND_PRICES[band] * _SIZE_PRICES[size] * (0.9 + 0.2 * cents)
            row = {
                "title": title,
                "brand": brands[brand],
                "categories": [department["name"], product["group"], product["plural"]],
                "description": " ".join(sentences),
                "price": int(price * 2) / 2 + 0.49,
            }
            rows.append(row)
        return rows


def _lower(text: str) -> str:
    """Lower case, except for names such as the C of "Vitamin C" and "Q10"."""
    return " ".join(word if len(word) == 1 or word[-1].isdigit() else word.lower() for word in text.split())
