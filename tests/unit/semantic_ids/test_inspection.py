"""Inspection of IDs: figures that can be worked out by hand, and a report that stands alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from genrec.data import InteractionLog, ItemTable, canonical_order
from genrec.embeddings import EmbeddingTable
from genrec.semantic_ids import SemanticIdSpec
from genrec.semantic_ids.agreement import (
    category_agreement,
    category_levels,
    neighbour_agreement,
    neighbour_pairs,
    prefix_groups,
    reconstruction_errors,
)
from genrec.semantic_ids.code_meanings import code_meanings
from genrec.semantic_ids.diagnostics import gini
from genrec.semantic_ids.inspection import IdInspection, inspect_ids
from genrec.semantic_ids.inspection_page import inspection_page
from genrec.semantic_ids.inspection_plots import draw_inspection

SPEC = SemanticIdSpec((4, 8, 4))
WORDS = (("rose", "cream"), ("steel", "bolt"), ("green", "tea"), ("copper", "wire"))


def shop(n: int = 96) -> tuple[list[str], np.ndarray, ItemTable, InteractionLog, EmbeddingTable]:
    """Items whose first code is their kind; users keep to a kind; vectors lie around it."""
    ids = canonical_order(f"i{number}" for number in range(n))
    kind = np.arange(n) % 4
    codes = np.stack([kind, np.arange(n) // 4 % 8, np.arange(n) // 32], axis=1)
    rng = np.random.default_rng(0)
    items = ItemTable.from_rows(
        {
            "item_id": item,
            "title": f"{rng.choice(WORDS[k])} {WORDS[k][0]} number <b>",
            "categories": ["Shop", f"kind {k}", f"sort {k} {rng.integers(2)}"],
        }
        for item, k in zip(ids, kind, strict=True)
    )
    log = InteractionLog.from_rows(
        {"user_id": f"u{user}", "item_id": ids[int(row)], "timestamp": t}
        for user in range(60)
        for t, row in enumerate(rng.choice(np.flatnonzero(kind == user % 4), 5, replace=False))
    )
    centres = rng.normal(size=(4, 6)) * 4
    vectors = (centres[kind] + rng.normal(size=(n, 6))).astype(np.float32)
    return ids, codes, items, log, EmbeddingTable(ids, vectors)


@pytest.fixture(scope="module")
def found() -> IdInspection:
    ids, codes, items, log, table = shop()
    return inspect_ids(ids, codes, SPEC, items=items, interactions=log, embeddings=table, name="A <shop>")


def test_first_codes_that_are_kinds_agree_with_everything(found: IdInspection) -> None:
    assert found.category_ami is not None
    assert found.category_ami[0][0] == pytest.approx(1)  # the level that all share is left out
    assert found.category_ami[2] == (None, None)  # every item alone: nothing to say
    assert found.neighbour_share is not None
    assert found.neighbour_share[0] == 1
    assert found.chance_share is not None
    assert found.chance_share[0] == pytest.approx((24 * 23 * 4) / (96 * 95))
    assert found.neighbour_auc is not None
    assert found.neighbour_auc > 0.85
    assert found.reconstruction is not None
    assert found.reconstruction[0] < 0.25
    assert found.usage.codes_used == (4, 8, 3)
    assert found.usage.gini == pytest.approx((0, 0, 0.25))


def test_a_position_that_no_id_reaches_is_shown_empty(tmp_path: Path) -> None:
    codes = np.array([[0, 1, -1], [2, -1, -1], [3, 3, -1]])
    found = inspect_ids(["a", "b", "c"], codes, SemanticIdSpec((4, 8, 4), terminated=True))
    page = inspection_page(found, draw_inspection(found, tmp_path))
    assert re.search(r"<tr><td>c</td><td>4</td><td>0 \(0%\)</td>.*?<td>0</td></tr>", page)
    assert len(found.counts[2]) == 0


def test_codes_that_say_nothing_are_at_chance() -> None:
    ids, codes, items, log, table = shop()
    shuffled = codes[np.random.default_rng(5).permutation(len(codes))]
    found = inspect_ids(ids, shuffled, SPEC, items=items, interactions=log, embeddings=table)
    assert found.best_ami == pytest.approx(0, abs=0.12)
    assert found.neighbour_auc == pytest.approx(0.5, abs=0.05)
    assert min(found.reconstruction or ()) > 0.9


def test_what_is_not_given_is_not_said() -> None:
    ids, codes, _, _, _ = shop()
    found = inspect_ids(ids, codes, SPEC)
    assert found.reconstruction is found.category_ami is found.neighbour_auc is found.points is None
    assert found.meanings == ()
    assert "AMI" not in found.to_markdown()


def test_words_and_categories_of_a_code_are_those_of_its_items(found: IdInspection) -> None:
    for meaning in found.meanings[:4]:
        (code,) = meaning.codes
        assert set(meaning.words) <= set(WORDS[code])
        assert meaning.words[0] == WORDS[code][0]
        assert meaning.categories[0] == (f"kind {code}", 1.0)
        assert meaning.tokens == (f"<a_{code}>",)
        assert meaning.num_items == 24
    assert {len(meaning.codes) for meaning in found.meanings} == {1, 2}


def test_the_report_stands_alone_and_escapes_texts(found: IdInspection, tmp_path: Path) -> None:
    pictures = draw_inspection(found, tmp_path)
    assert [path.name for path in pictures] == ["usage.png", "prefixes.png", "agreement.png", "map.png"]
    page = inspection_page(found, pictures)
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", page)
    assert page.count("data:image/png;base64,") == 4
    assert "number &lt;b&gt;" in page
    assert "<h1>A &lt;shop&gt;</h1>" in page
    assert "<b>number" not in page
    assert json.loads(json.dumps(found.to_dict()))["best_category_ami"] == pytest.approx(1)


def test_one_item_and_ids_that_are_shared_are_inspected(tmp_path: Path) -> None:
    spec = SemanticIdSpec((4,))
    items = ItemTable.from_rows([{"item_id": "a", "title": "", "categories": []}])
    one = EmbeddingTable(["a"], np.ones((1, 1), np.float32))
    alone = inspect_ids(["a"], np.array([[1]]), spec, items=items, embeddings=one)
    assert alone.reconstruction is None
    inspection_page(alone, draw_inspection(alone, tmp_path))
    shared = inspect_ids(["a", "b", "c"], np.array([[1], [1], [3]]), spec)
    assert shared.usage.largest_group_after == 2
    inspection_page(shared, draw_inspection(shared, tmp_path))


def test_gini_is_0_when_even_and_near_1_on_one_code() -> None:
    assert gini(np.array([5, 5, 5, 5]), 4) == pytest.approx(0)
    assert gini(np.array([20]), 4) == pytest.approx(0.75)
    assert gini(np.array([0]), 4) == 0


def test_category_levels_leave_out_what_all_share_and_what_few_have() -> None:
    levels = category_levels([["S", "a", "x"], ["S", "a"], *[["S", "b"]] * 3, []])
    assert [labels.tolist() for labels in levels] == [[0, 0, 1, 1, 1, -1]]
    assert category_levels([]) == []
    groups = prefix_groups(np.array([[0], [0], [1], [1], [1], [1]]))
    assert category_agreement(groups, levels)[0][0] == pytest.approx(1)


def test_categories_of_one_item_each_say_nothing() -> None:
    groups = prefix_groups((np.arange(24) % 3)[:, None])
    assert category_agreement(groups, [np.arange(24), np.arange(24) % 3]) == [[None, pytest.approx(1)]]


def test_neighbours_are_those_had_together_most_for_their_popularity() -> None:
    together = np.array([[0, 4, 1], [4, 0, 0], [1, 0, 0]], dtype=float)
    pairs = neighbour_pairs(csr_array(together))
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 0], [2, 0]]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=12), st.integers(0, 99))
def test_auc_is_what_counting_pairs_gives(rows: list[tuple[int, int]], seed: int) -> None:
    codes = np.array(rows)
    rng = np.random.default_rng(seed)
    pairs = np.array([rng.choice(len(codes), 2, replace=False) for _ in range(6)])

    def common(one: int, other: int) -> int:
        return 0 if rows[one][0] != rows[other][0] else 1 + (rows[one][1] == rows[other][1])

    far = [common(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    near = [common(int(i), int(j)) for i, j in pairs]
    expected = np.mean([(n > f) + 0.5 * (n == f) for n in near for f in far])
    assert neighbour_agreement(codes, prefix_groups(codes), pairs)[2] == pytest.approx(expected)


def test_reconstruction_falls_with_every_code_that_says_more() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, size=(200, 3))
    books = [rng.normal(size=(4, 5)) * scale for scale in (4, 2, 1)]
    vectors = sum(book[codes[:, p]] for p, book in enumerate(books))
    errors = reconstruction_errors(codes, np.asarray(vectors))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_a_code_of_items_without_words_has_no_words() -> None:
    items = ItemTable.from_rows([{"item_id": "a", "title": "12"}, {"item_id": "b", "title": ""}])
    meanings = code_meanings(items, ["a", "b"], np.array([[0], [1]]), [("<a_0>",), ("<a_1>",)])
    assert [meaning.words for meaning in meanings] == [(), ()]
