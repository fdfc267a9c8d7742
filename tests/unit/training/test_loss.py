"""The Semantic-ID loss is what constrained decoding scores, and sits on labelled tokens alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.decoding import NORMALIZATIONS, ConstrainedBeamSearch, OutputHead
from genrec.errors import TrainingError
from genrec.tasks import PromptBuilder
from genrec.training import PackingCollator, SemanticIdLoss


def loss_of(tiny: Any, loss: SemanticIdLoss, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    hidden = tiny.model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    return loss(hidden, OutputHead.of(tiny.model), ids, labels)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_loss_of_a_target_is_its_negative_score(make_tiny: Callable[..., Any], normalize: Any) -> None:
    tiny = make_tiny(24)
    loss = SemanticIdLoss(tiny.trie, tiny.vocabulary, normalize)
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize, num_beams=120)
    history = tiny.codes[[3, 11, 3]]
    prompt = torch.from_numpy(builder.history(history))[None]
    found = search.search(prompt, torch.ones_like(prompt), k=24)
    scores = dict(zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True))
    for target in range(24):
        ids, labels = builder.next_items(np.concatenate([history, tiny.codes[[target]]]))
        labels[: len(prompt[0])] = -100  # the last item alone
        value = loss_of(tiny, loss, torch.from_numpy(ids)[None], torch.from_numpy(labels)[None])
        assert value.item() == pytest.approx(-scores[target], abs=1e-3)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_packed_rows_have_the_loss_and_gradient_of_rows_alone(tiny: Any, normalize: Any) -> None:
    loss = SemanticIdLoss(tiny.trie, tiny.vocabulary, normalize)
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    rows = []
    for length in (6, 2, 2, 3, 5):
        ids, labels = builder.next_items(tiny.codes[:length])
        rows.append({"input_ids": ids, "labels": labels})
    tiny.model.zero_grad()
    alone = sum(
        loss_of(tiny, loss, torch.from_numpy(r["input_ids"])[None], torch.from_numpy(r["labels"])[None])
        for r in rows
    )
    alone.backward()
    gradient = tiny.model.get_input_embeddings().weight.grad.clone()
    tiny.model.zero_grad()
    batch = PackingCollator(builder.pad_token_id)(rows)
    assert batch["input_ids"].shape[0] < len(rows)
    hidden = tiny.model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        output_hidden_states=True,
        use_cache=False,  # with a cache transformers does not look for packed rows
    ).hidden_states[-1]
    packed = loss(hidden, OutputHead.of(tiny.model), batch["input_ids"], batch["labels"])
    packed.backward()
    assert packed.item() == pytest.approx(alone.item(), rel=1e-5)
    torch.testing.assert_close(tiny.model.get_input_embeddings().weight.grad, gradient, atol=1e-3, rtol=1e-3)
    tiny.model.zero_grad()


def test_a_labelled_text_token_is_scored_against_the_whole_vocabulary(tiny: Any) -> None:
    loss = SemanticIdLoss(tiny.trie, tiny.vocabulary, "allowed")
    ids = torch.tensor([[5, 9, 7, 12]])
    labels = torch.tensor([[-100, -100, 7, 12]])
    logits = tiny.model(ids).logits[0].float()
    expected = torch.nn.functional.cross_entropy(logits[1:3], ids[0, 2:], reduction="sum")
    assert loss_of(tiny, loss, ids, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_nothing_labelled_costs_nothing_and_full_equals_plain_cross_entropy(tiny: Any) -> None:
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    ids, labels = (torch.from_numpy(x)[None] for x in builder.next_items(tiny.codes[:4]))
    for normalize in NORMALIZATIONS:
        loss = SemanticIdLoss(tiny.trie, tiny.vocabulary, normalize)
        assert loss_of(tiny, loss, ids, torch.full_like(labels, -100)).item() == 0.0
    plain = tiny.model(ids, labels=labels).loss * (labels[:, 1:] != -100).sum()
    full = loss_of(tiny, SemanticIdLoss(tiny.trie, tiny.vocabulary, "full"), ids, labels)
    assert full.item() == pytest.approx(plain.item(), rel=1e-5)


def test_an_id_outside_the_catalog_is_an_error_not_a_target(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(24)
    missing = next(
        codes for codes in np.ndindex(5, 4, 6) if tiny.trie.row_of(codes) < 0 and codes[0] in tiny.codes[:, 0]
    )
    ids = torch.from_numpy(tiny.vocabulary.encode(np.array([missing])).reshape(1, -1))
    ids = torch.cat([torch.tensor([[1]]), ids], dim=1)
    with pytest.raises(TrainingError, match="not in the catalog"):
        loss_of(tiny, SemanticIdLoss(tiny.trie, tiny.vocabulary, "allowed"), ids, ids)
