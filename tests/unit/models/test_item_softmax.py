"""The item model without codes: content is scored as the formula says, saved and loaded whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genrec.models import ItemSoftmaxModel

SMALL = {"hidden_size": 16, "num_layers": 1, "intermediate_size": 16, "max_positions": 8}


@pytest.mark.parametrize("content_output", [True, False])
def test_a_score_is_that_of_the_formula(item_content: np.ndarray, content_output: bool) -> None:
    model = ItemSoftmaxModel.for_items(25, item_content, content_output=content_output, **SMALL).eval()
    states = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    expected = states @ model.item_embeddings.weight.T
    if content_output:
        centred = torch.from_numpy(item_content - item_content.mean(axis=0))
        expected = expected + states @ model.content_query.weight.T @ centred.T
    torch.testing.assert_close(model.logits(states), expected)


@pytest.mark.parametrize("input_norm", [True, False])
def test_saved_and_loaded_it_gives_the_same(
    item_content: np.ndarray, tmp_path: Path, input_norm: bool
) -> None:
    model = ItemSoftmaxModel.for_items(25, item_content, input_norm=input_norm, **SMALL).eval()
    model.save_pretrained(tmp_path)
    loaded = ItemSoftmaxModel.from_pretrained(tmp_path).eval()
    items, labels = torch.tensor([[1, 2, 3]]), torch.tensor([[2, -100, 9]])
    assert torch.equal(model(items=items, labels=labels).loss, loaded(items=items, labels=labels).loss)


def test_the_loss_is_the_mean_over_the_labels() -> None:
    model = ItemSoftmaxModel.for_items(25, **SMALL).eval()
    items, labels = torch.tensor([[1, 2, 3]]), torch.tensor([[2, -100, 9]])
    log_probs = model.logits(model.encode(items)[0]).log_softmax(-1)
    expected = -(log_probs[0, 2] + log_probs[2, 9]) / 2
    torch.testing.assert_close(model(items=items, labels=labels).loss, expected)
