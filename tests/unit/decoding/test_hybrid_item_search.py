"""The search with another opinion mixed in against the formula over all items."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genrec.catalog import CatalogTrie
from genrec.decoding import HybridItemSearch, ItemLevelSearch
from genrec.errors import DecodingError
from genrec.models import ItemLevelModel

SIZES = (4, 3, 5)
HISTORIES = torch.tensor([[3, 1, 4, 1], [9, 0, 0, 0], [24, 8, 0, 0]])
LENGTHS = torch.tensor([4, 1, 2])


@pytest.fixture(scope="module")
def model() -> ItemLevelModel:
    generator = np.random.default_rng(0)
    numbers = generator.choice(60, size=25, replace=False)
    trie = CatalogTrie.from_codes(np.stack(np.unravel_index(numbers, SIZES), axis=1), SIZES)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "max_positions": 8}
    sizes["initializer_range"] = 0.5  # so that scores differ clearly
    return ItemLevelModel.for_catalog(trie, generator.normal(size=(25, 6)), seed=1, **sizes).eval()


@pytest.fixture(scope="module")
def shares() -> Tensor:
    return torch.from_numpy(np.random.default_rng(2).dirichlet(np.full(25, 0.1), size=3)).float()


def mixed(model: ItemLevelModel, shares: Tensor, weight: float) -> Tensor:
    states = model.encode(HISTORIES)[torch.arange(3), LENGTHS - 1]
    rows = [(-model.item_losses(state.expand(25, -1), torch.arange(25))).exp() for state in states]
    return torch.stack(rows).detach() + weight * shares


@pytest.mark.parametrize("weight", [0.0, 0.3, 4.0])
def test_a_beam_as_wide_as_the_catalog_scores_every_item(
    model: ItemLevelModel, shares: Tensor, weight: float
) -> None:
    found = HybridItemSearch(model, weight=weight, num_beams=25).search(HISTORIES, LENGTHS, shares, 25)
    values, order = mixed(model, shares, weight).sort(dim=1, descending=True)
    assert found.rows.tolist() == order.tolist()
    torch.testing.assert_close(found.scores, values)
    assert torch.equal(found.codes, model.trie.item_codes()[found.rows])
    assert found.proven.all()


@pytest.mark.parametrize("beams", [1, 4, 12])
def test_a_narrow_beam_finds_items_once_with_their_true_values(
    model: ItemLevelModel, shares: Tensor, beams: int
) -> None:
    found = HybridItemSearch(model, num_beams=beams).search(HISTORIES, LENGTHS, shares, 6)
    values = mixed(model, shares, 1.0)
    for i in range(3):
        assert len(set(found.rows[i].tolist())) == 6
        torch.testing.assert_close(found.scores[i], values[i][found.rows[i]])
        best = values[i].sort(descending=True).indices
        proven = int(found.certified[i].sum())
        assert found.rows[i, :proven].tolist() == best[:proven].tolist()


def test_an_item_the_model_would_never_reach_enters_the_beam_by_its_share(model: ItemLevelModel) -> None:
    alone = ItemLevelSearch(model, num_beams=25).search(HISTORIES, LENGTHS, 25)
    last = alone.rows[:, -1]  # the model's least likely item of each history
    narrow = ItemLevelSearch(model, num_beams=2).search(HISTORIES, LENGTHS, 2)
    assert not (narrow.rows == last.unsqueeze(1)).any()
    shares = torch.nn.functional.one_hot(last, 25).float()
    found = HybridItemSearch(model, num_beams=2).search(HISTORIES, LENGTHS, shares, 2)
    assert found.rows[:, 0].tolist() == last.tolist()


def test_without_shares_it_is_the_models_own_search(model: ItemLevelModel) -> None:
    found = HybridItemSearch(model, num_beams=5).search(HISTORIES, LENGTHS, torch.zeros(3, 25), 5)
    own = ItemLevelSearch(model, num_beams=5).search(HISTORIES, LENGTHS, 5)
    assert torch.equal(found.rows, own.rows)
    torch.testing.assert_close(found.scores, own.scores.exp())
    more = HybridItemSearch(model).search(HISTORIES, LENGTHS, torch.zeros(3, 25), 30)
    assert more.rows[:, 25:].eq(-1).all()


def test_a_broken_model_is_noticed(model: ItemLevelModel) -> None:
    broken = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in broken.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(DecodingError, match="no number"):
        HybridItemSearch(broken).search(HISTORIES, LENGTHS, torch.zeros(3, 25), 5)
    with pytest.raises(DecodingError, match="no number"):
        ItemLevelSearch(broken).search(HISTORIES, LENGTHS, 5)
    with pytest.raises(DecodingError, match="no number"):
        ItemLevelSearch(broken).score(HISTORIES, LENGTHS)


def test_what_does_not_fit_is_refused(model: ItemLevelModel) -> None:
    with pytest.raises(DecodingError, match="a beam and a weight"):
        HybridItemSearch(model, weight=-1)
    search = HybridItemSearch(model)
    with pytest.raises(DecodingError, match="at least one item"):
        search.search(HISTORIES, torch.tensor([4, 0, 2]), torch.zeros(3, 25), 5)
    for wrong in (torch.zeros(3, 24), torch.full((3, 25), -0.1)):
        with pytest.raises(DecodingError, match="shares do not fit"):
            search.search(HISTORIES, LENGTHS, wrong, 5)
