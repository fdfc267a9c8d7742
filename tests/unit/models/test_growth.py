"""A model over a changed catalog: what stays scores as before, what is new can be found by its content."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from genrec.catalog import CatalogTrie
from genrec.errors import DataError
from genrec.models import ItemLevelModel, grown

SIZES = (4, 3, 5)


def test_the_same_items_give_the_same_model(
    make_item_level: Callable[..., ItemLevelModel], item_codes: np.ndarray, item_content: np.ndarray
) -> None:
    model = make_item_level()
    order = np.random.default_rng(4).permutation(25)
    other = grown(model, CatalogTrie.from_codes(item_codes[order], SIZES), item_content[order])
    place = torch.from_numpy(np.argsort(order))
    items = torch.tensor([[3, 1, 4]])
    states, moved = model.encode(items)[:, -1], other.encode(place[items])[:, -1]
    torch.testing.assert_close(states, moved, rtol=1e-4, atol=1e-4)
    losses = model.item_losses(states.expand(25, -1), torch.arange(25))
    torch.testing.assert_close(losses, other.item_losses(moved.expand(25, -1), place), rtol=1e-3, atol=1e-3)


def test_new_items_join_and_old_ones_keep_their_rows(
    make_item_level: Callable[..., ItemLevelModel], item_codes: np.ndarray, item_content: np.ndarray
) -> None:
    model = make_item_level()
    free = next(code for code in np.ndindex(*SIZES) if not (item_codes == np.array(code)).all(axis=1).any())
    codes = np.vstack([item_codes[1:], free])  # the first item retired, one added
    content = np.vstack([item_content[1:], np.ones((1, 6), dtype=np.float32)])
    other = grown(model, CatalogTrie.from_codes(codes, SIZES), content)
    assert other.config.num_items == 25
    leaf = int(other.trie.paths[24, 2])
    mean = model.node_embeddings[2].weight.mean(dim=0)
    torch.testing.assert_close(other.node_embeddings[2].weight[leaf], mean)
    old_leaf, new_leaf = int(model.trie.paths[5, 2]), int(other.trie.paths[4, 2])
    assert torch.equal(model.node_embeddings[2].weight[old_leaf], other.node_embeddings[2].weight[new_leaf])
    state = other.encode(torch.tensor([[24, 3]]))[:, -1]
    losses = other.item_losses(state.expand(25, -1), torch.arange(25))
    assert float((-losses).exp().sum().detach()) == pytest.approx(1.0, abs=1e-5)


def test_content_of_another_space_is_refused(
    make_item_level: Callable[..., ItemLevelModel], item_codes: np.ndarray
) -> None:
    with pytest.raises(DataError, match="width 3"):
        grown(make_item_level(), CatalogTrie.from_codes(item_codes, SIZES), np.zeros((25, 3)))
