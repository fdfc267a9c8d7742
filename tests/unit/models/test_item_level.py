"""The item-level model: a proper distribution over the catalog, causal, saved and loaded whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrec.errors import ConfigError, DataError
from genrec.models import ItemLevelModel
from genrec.models.item_content import node_content

Make = Callable[..., ItemLevelModel]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"content": False},
    {"content_output": False},
    {"node_levels": 0},
    {"node_levels": 2, "num_heads": 4},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_items_probabilities_sum_to_one(make_item_level: Make, options: dict[str, Any]) -> None:
    model = make_item_level(**options)
    state = model.encode(torch.tensor([[3, 1, 4]]))[:, -1]  # [1, width]
    losses = model.item_losses(state.expand(25, -1), torch.arange(25))
    assert losses.std() > 0.1
    assert float((-losses).exp().sum().detach()) == pytest.approx(1.0, abs=1e-5)


def test_a_score_is_that_of_the_formula(make_item_level: Make, item_codes: np.ndarray) -> None:
    model = make_item_level()
    states = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))
    first = int(item_codes[7, 0])
    parent = int(model.trie.paths[7, 0])
    below = sorted({int(path[1]) for path in model.trie.paths if int(path[0]) == parent})
    expected = []
    for node in below:
        item = next(i for i, path in enumerate(model.trie.paths.tolist()) if path[1] == node)
        row = model.code_embeddings[1].weight[item_codes[item, 1]] + model.node_embeddings[1].weight[node]
        content = model.get_buffer("node_content_1")[node]
        expected.append(states[0] @ row + model.content_queries[1](states)[0] @ content)
    found = model.step(1, states, torch.tensor([parent]))[0]
    torch.testing.assert_close(found[: len(below)], torch.stack(expected).log_softmax(0))
    assert torch.isneginf(found[len(below) :]).all()
    assert first == int(model.trie.codes(0)[parent])


@pytest.mark.parametrize("options", OPTIONS)
def test_scores_follow_the_weights(make_item_level: Make, options: dict[str, Any]) -> None:
    model = make_item_level(**options)
    parents = model.trie.paths[:, 0]  # [items]
    states = torch.randn(25, 16, generator=torch.Generator().manual_seed(0))

    def kept() -> torch.Tensor:
        with torch.no_grad():
            return model.step(1, states, parents)

    def fresh() -> torch.Tensor:
        return model.step(1, states, parents).detach()

    first = kept()
    torch.testing.assert_close(first, fresh())
    with torch.no_grad():
        model.code_embeddings[1].weight.mul_(-0.5)
    assert not torch.allclose(kept(), first)
    torch.testing.assert_close(kept(), fresh())
    model.to(torch.bfloat16).to(torch.float32)  # weights are rounded, and may lie where the old ones lay
    torch.testing.assert_close(kept(), fresh())
    with torch.inference_mode():
        loaded = make_item_level(**options)
        torch.testing.assert_close(loaded.step(1, states, parents), first)


def test_the_content_of_a_node_is_its_mean_minus_its_parents(
    item_codes: np.ndarray, item_content: np.ndarray, make_item_level: Make
) -> None:
    paths = make_item_level().trie.paths.numpy()
    found = node_content(paths, item_content)
    for level in range(3):
        for item in range(25):
            under = (item_codes[:, : level + 1] == item_codes[item, : level + 1]).all(axis=1)
            above = (item_codes[:, :level] == item_codes[item, :level]).all(axis=1)
            expected = item_content[under].mean(axis=0) - item_content[above].mean(axis=0)
            np.testing.assert_allclose(found[level][paths[item, level]], expected, atol=1e-5)


def test_the_loss_is_the_mean_over_the_labels(make_item_level: Make) -> None:
    model = make_item_level()
    items, labels = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[2, 3, 9], [5, -100, -100]])
    out = model(items=items, labels=labels)
    states = model.encode(items)
    places = ((0, 0), (0, 1), (0, 2), (1, 0))
    each = [model.item_losses(states[b, t][None], labels[b, t][None]) for b, t in places]
    torch.testing.assert_close(out.loss, torch.cat(each).mean())
    torch.testing.assert_close(
        model(items=items, labels=labels, num_items_in_batch=8).loss, torch.cat(each).sum() / 8
    )


def test_a_state_depends_on_nothing_that_comes_later(make_item_level: Make) -> None:
    model = make_item_level()
    one = model.encode(torch.tensor([[3, 1, 4, 0, 0]]))[0, :3]
    other = model.encode(torch.tensor([[3, 1, 4, 15, 9]]))[0, :3]
    torch.testing.assert_close(one, other)
    assert not torch.allclose(one[2], model.encode(torch.tensor([[1, 3, 4]]))[0, 2])


@pytest.mark.parametrize("options", OPTIONS)
def test_saved_and_loaded_it_gives_the_same(
    make_item_level: Make, tmp_path: Path, options: dict[str, Any]
) -> None:
    model = make_item_level(**options)
    model.save_pretrained(tmp_path)
    loaded = ItemLevelModel.from_pretrained(tmp_path).eval()
    items, labels = torch.tensor([[1, 2, 3]]), torch.tensor([[2, 3, 9]])
    assert torch.equal(model(items=items, labels=labels).loss, loaded(items=items, labels=labels).loss)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, loaded.get_buffer(name))


def test_a_seed_decides_the_weights_and_leaves_the_global_one_alone(make_item_level: Make) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two = make_item_level(), make_item_level()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_content_of_another_catalog_and_odd_heads_are_refused(make_item_level: Make) -> None:
    trie = make_item_level  # the fixture's catalog has 25 items
    with pytest.raises(ConfigError, match="does not divide"):
        trie(num_heads=3)
    from genrec.models import ItemSoftmaxModel

    with pytest.raises(DataError, match="24 items"):
        ItemSoftmaxModel.for_items(24, np.zeros((25, 3)))


def test_label_smoothing_spreads_each_level_over_the_children_in_training_only(
    make_item_level: Make, item_codes: np.ndarray
) -> None:
    plain, smoothed = make_item_level(dropout=0.0), make_item_level(dropout=0.0, label_smoothing=0.3)
    states = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(5)
    assert torch.equal(smoothed.item_losses(states, targets), plain.item_losses(states, targets))
    losses = smoothed.train().item_losses(states, targets)
    expected = torch.zeros(5)
    parents, current, paths = torch.zeros(5, dtype=torch.long), states, plain.trie.paths[targets]
    for level in range(item_codes.shape[1]):
        log_probs = plain.step(level, current, parents)
        place = paths[:, level] - plain.trie.first_child(level, parents)
        for i in range(5):
            children = log_probs[i][log_probs[i].isfinite()]
            expected[i] -= 0.7 * log_probs[i, place[i]] + 0.3 * children.mean()
        parents = paths[:, level]
        if level + 1 < item_codes.shape[1]:
            current = plain.advance(level, current, parents)
    torch.testing.assert_close(losses, expected)
