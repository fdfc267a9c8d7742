"""The catalog of the synthetic world: fit to be shown, and different enough to be told apart."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from genrec.data.synthetic_catalog import SyntheticCatalog, make_catalog

SIZES = [50, 51, 159, 160, 1000, 5000]


def catalog_of(num_items: int, seed: int = 0) -> SyntheticCatalog:
    return make_catalog(num_items, np.random.default_rng(seed))


@pytest.mark.parametrize("num_items", SIZES)
def test_every_item_can_be_told_apart(num_items: int) -> None:
    catalog = catalog_of(num_items)
    assert len(catalog.rows) == num_items == len({row["title"] for row in catalog.rows})
    assert (np.diff(catalog.item_type) >= 0).all()
    assert np.bincount(catalog.item_type, minlength=len(catalog.next_type)).min() >= 2


@pytest.mark.slow
def test_the_largest_world_still_has_distinct_titles() -> None:
    assert len({row["title"] for row in catalog_of(100_000).rows}) == 100_000


@pytest.mark.parametrize("num_items", [50, 1000])
def test_texts_can_be_shown(num_items: int) -> None:
    for row in catalog_of(num_items, seed=1).rows:
        assert row["title"].startswith(row["brand"])
        assert len(row["categories"]) == 3
        assert all(row["categories"])
        sentences = re.findall(r"[^.]+\.(?: |$)", row["description"])
        assert "".join(sentences) == row["description"]
        assert 1 <= len(sentences) <= 3
        for text in (row["title"], row["description"]):
            assert not re.search(r"[{}\[\]<>_|]|  |\b(\w+) \1\b", text), text
            assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiou]", text), text
        assert all(sentence[0].isupper() for sentence in sentences)
        assert 1 < row["price"] < 250


def test_the_text_states_what_the_process_goes_by() -> None:
    catalog = catalog_of(1000)
    by_type: dict[int, set[str]] = {}
    for row, kind in zip(catalog.rows, catalog.item_type.tolist(), strict=True):
        by_type.setdefault(kind, set()).add(row["categories"][2])
    assert all(len(names) == 1 for names in by_type.values())
    assert len(set.union(*by_type.values())) == len(catalog.next_type)
    bands: dict[str, set[int]] = {}
    for row, band in zip(catalog.rows, catalog.item_band.tolist(), strict=True):
        bands.setdefault(row["brand"], set()).add(band)
    assert all(len(found) == 1 for found in bands.values())
    assert len(bands) == catalog.num_brands
    prices = np.array([row["price"] for row in catalog.rows])
    for kind in range(len(catalog.next_type)):
        means = [prices[(catalog.item_type == kind) & (catalog.item_band == band)] for band in range(3)]
        low, middle, high = (found.mean() if len(found) else np.nan for found in means)
        assert not low > middle
        assert not middle > high


def test_routines_are_circles_inside_departments() -> None:
    catalog = catalog_of(1000)
    np.testing.assert_array_equal(catalog.type_department, catalog.type_department[catalog.next_type])
    for start in range(len(catalog.next_type)):
        kind, seen = start, set()
        while kind not in seen:
            seen.add(kind)
            kind = int(catalog.next_type[kind])
        assert kind == start
        assert len(seen) == (catalog.type_department == catalog.type_department[start]).sum()


@pytest.mark.parametrize("num_items", SIZES)
def test_every_department_has_brands_of_all_bands(num_items: int) -> None:
    catalog = catalog_of(num_items)
    department = catalog.type_department[catalog.item_type]
    for place in range(department.max() + 1):
        assert set(catalog.item_band[department == place].tolist()) == {0, 1, 2}


def test_brands_are_invented(shared_data: Path) -> None:
    words: set[str] = set()
    for path in sorted(shared_data.glob("amazon_*/items.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                words.update(re.findall(r"\w+", json.loads(line).get("title", "").lower()))
    assert "shampoo" in words
    brands = {row["brand"].split()[0].lower() for row in catalog_of(5000).rows}
    assert not brands & words
