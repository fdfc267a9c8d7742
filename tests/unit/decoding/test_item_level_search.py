"""Beam search with the item-level model against every item's loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genrec.catalog import CatalogTrie
from genrec.decoding import HybridItemSearch, ItemLevelSearch
from genrec.errors import DecodingError
from genrec.models import ItemLevelModel, grown

SIZES = (4, 3, 5)


@pytest.fixture(scope="module")
def model() -> ItemLevelModel:
    generator = np.random.default_rng(0)
    numbers = generator.choice(60, size=25, replace=False)
    trie = CatalogTrie.from_codes(np.stack(np.unravel_index(numbers, SIZES), axis=1), SIZES)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "max_positions": 8}
    sizes["initializer_range"] = 0.5  # so that scores differ clearly
    return ItemLevelModel.for_catalog(trie, generator.normal(size=(25, 6)), seed=1, **sizes)


HISTORIES = torch.tensor([[3, 1, 4, 1], [9, 0, 0, 0], [24, 8, 0, 0]])
LENGTHS = torch.tensor([4, 1, 2])


def test_a_beam_as_wide_as_the_catalog_is_exhaustive(model: ItemLevelModel) -> None:
    model.eval()
    found = ItemLevelSearch(model, num_beams=25).search(HISTORIES, LENGTHS, 25)
    states = model.encode(HISTORIES)[torch.arange(3), LENGTHS - 1]
    for i in range(3):
        scores = -model.item_losses(states[i].expand(25, -1), torch.arange(25)).detach()
        order = scores.argsort(descending=True, stable=True)
        assert found.rows[i].tolist() == order.tolist()
        torch.testing.assert_close(found.scores[i], scores[order], atol=1e-4, rtol=0)
    assert torch.equal(found.codes, model.trie.item_codes()[found.rows])


@pytest.mark.parametrize("beams", [1, 3, 8])
def test_a_narrow_beam_finds_items_once_with_their_true_scores(model: ItemLevelModel, beams: int) -> None:
    found = ItemLevelSearch(model, num_beams=beams).search(HISTORIES, LENGTHS, 6)
    every = ItemLevelSearch(model, num_beams=25).search(HISTORIES, LENGTHS, 25)
    for i in range(3):
        assert len(set(found.rows[i].tolist())) == 6
        true = dict(zip(every.rows[i].tolist(), every.scores[i].tolist(), strict=True))
        for row, score in zip(found.rows[i].tolist(), found.scores[i].tolist(), strict=True):
            assert score == pytest.approx(true[row], abs=1e-4)


def test_more_than_the_catalog_is_filled_up(model: ItemLevelModel) -> None:
    found = ItemLevelSearch(model).search(HISTORIES, LENGTHS, 30)
    assert sorted(found.rows[0, :25].tolist()) == list(range(25))
    assert found.rows[:, 25:].eq(-1).all()
    assert torch.isneginf(found.scores[:, 25:]).all()


def test_padding_and_mode_do_not_matter(model: ItemLevelModel) -> None:
    search = ItemLevelSearch(model, num_beams=5)
    together = search.search(HISTORIES, LENGTHS, 5)
    model.train()
    alone = search.search(HISTORIES[1:2, :1], LENGTHS[1:2], 5)
    assert model.training
    assert alone.rows[0].tolist() == together.rows[1].tolist()
    torch.testing.assert_close(alone.scores[0], together.scores[1])


def test_an_empty_history_and_no_beam_are_refused(model: ItemLevelModel) -> None:
    with pytest.raises(DecodingError, match="at least one item"):
        ItemLevelSearch(model).search(HISTORIES, torch.tensor([4, 0, 2]), 5)
    with pytest.raises(DecodingError, match="needs a beam"):
        ItemLevelSearch(model, num_beams=0)


@torch.no_grad()
def test_ids_of_unequal_length_come_back_as_they_were_given() -> None:
    codes = np.array([[0, -1, -1], [1, 0, -1], [1, 1, 4], [1, 2, 0], [2, -1, -1], [3, 2, 1], [3, 2, 2]])
    trie = CatalogTrie.from_codes(codes, SIZES)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "max_positions": 8}
    model = ItemLevelModel.for_catalog(trie, seed=1, initializer_range=0.5, **sizes).eval()
    histories, lengths = HISTORIES % len(codes), LENGTHS
    expected = ItemLevelSearch(model).score(histories, lengths)
    torch.testing.assert_close(expected.exp().sum(1), torch.ones(3))
    for beams in (2, 7):
        found = ItemLevelSearch(model, num_beams=beams).search(histories, lengths, 7, exact=True)
        assert found.proven.all()
        assert torch.equal(found.codes, torch.from_numpy(codes)[found.rows])
        torch.testing.assert_close(found.scores, expected.sort(descending=True).values)
    hybrid = HybridItemSearch(model, num_beams=7).search(histories, lengths, torch.zeros(3, 7), 7)
    assert torch.equal(hybrid.rows, found.rows)
    assert torch.equal(hybrid.codes, found.codes)
    more = np.array([[2, 1, -1]])
    larger = grown(model, trie.with_items(more, np.array([7])))
    shown = ItemLevelSearch(larger).search(histories, lengths, 8)
    assert torch.equal(shown.codes, torch.from_numpy(np.concatenate([codes, more]))[shown.rows])
