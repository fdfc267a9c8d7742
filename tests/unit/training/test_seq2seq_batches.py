"""Batches for encoder-decoders: prompts and answers in their places, the loss that decoding will score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genrec.decoding import NORMALIZATIONS, ConstrainedBeamSearch
from genrec.errors import TrainingError
from genrec.tasks import PromptBuilder
from genrec.training import SemanticIdLoss, Seq2SeqCollator
from genrec.training.seq2seq_loss import seq2seq_loss, slices


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 5)), min_size=1, max_size=20))
def test_every_prompt_and_answer_comes_back_out(lengths: list[tuple[int, int]]) -> None:
    rows = []
    for number, (prompt, answer) in enumerate(lengths):
        ids = np.arange(prompt + answer) + 100 * (number + 1)
        rows.append({"input_ids": ids, "labels": np.where(np.arange(len(ids)) < prompt, -100, ids)})
    batch = {name: tensor.numpy() for name, tensor in Seq2SeqCollator(7, 5)(rows).items()}
    assert batch["input_ids"].shape == (len(rows), max(prompt for prompt, _ in lengths))
    assert batch["labels"].shape == (len(rows), 1 + max(answer for _, answer in lengths))
    assert (np.diff(batch["attention_mask"].sum(axis=1)) <= 0).all()
    assert (batch["input_ids"][batch["attention_mask"] == 0] == 7).all()
    assert (batch["decoder_input_ids"][:, 0] == 5).all()
    assert (batch["labels"][:, 0] == -100).all()
    found = []
    for place in range(len(rows)):
        answered = batch["labels"][place] != -100
        assert (batch["decoder_input_ids"][place, 1:][~answered[1:]] == 7).all()
        assert (batch["decoder_input_ids"][place][answered] == batch["labels"][place][answered]).all()
        prompt = batch["input_ids"][place][batch["attention_mask"][place] == 1]
        found.append([*prompt.tolist(), *batch["labels"][place][answered].tolist()])
    assert sorted(found) == [row["input_ids"].tolist() for row in rows]


@pytest.mark.parametrize("labels", [[-100, -100, -100], [5, 6, 7], [-100, 6, -100], [-100, -100, 8]], ids=str)
def test_a_row_that_is_no_prompt_with_an_answer_is_refused(labels: list[int]) -> None:
    row = {"input_ids": np.array([5, 6, 7]), "labels": np.array(labels)}
    with pytest.raises(TrainingError, match="not a prompt with its answer"):
        Seq2SeqCollator(0, 0)([row])


def rows_of(tiny: Any, lengths: list[int]) -> tuple[PromptBuilder, list[dict[str, np.ndarray]]]:
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    rows = []
    for start, length in enumerate(lengths):
        ids, labels = builder.next_items(tiny.codes[start : start + length])
        labels[: -tiny.codes.shape[1]] = -100
        rows.append({"input_ids": ids, "labels": labels})
    return builder, rows


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_loss_of_a_target_is_its_negative_score(make_tiny: Callable[..., Any], normalize: Any) -> None:
    tiny = make_tiny(24, encoder_decoder=True)
    loss = SemanticIdLoss(tiny.trie, tiny.vocabulary, normalize)
    builder = PromptBuilder.for_tokenizer(tiny.text_tokenizer, tiny.vocabulary)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize, num_beams=120)
    history = tiny.codes[[3, 11, 3]]
    prompt = torch.from_numpy(builder.history(history))[None]
    found = search.search(prompt, torch.ones_like(prompt), k=24)
    scores = dict(zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True))
    for target in range(24):
        ids, labels = builder.next_items(np.concatenate([history, tiny.codes[[target]]]))
        labels[: len(prompt[0])] = -100
        batch = Seq2SeqCollator(builder.pad_token_id, tiny.model.config.decoder_start_token_id)(
            [{"input_ids": ids, "labels": labels}]
        )
        with torch.no_grad():
            assert seq2seq_loss(tiny.model, batch, loss).item() == pytest.approx(-scores[target], abs=1e-3)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_a_batch_has_the_loss_and_gradient_of_its_rows_alone(
    make_tiny: Callable[..., Any], normalize: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = make_tiny(30, encoder_decoder=True)
    loss = SemanticIdLoss(tiny.trie, tiny.vocabulary, normalize)
    builder, rows = rows_of(tiny, [6, 2, 2, 3, 5, 9, 2])
    collate = Seq2SeqCollator(builder.pad_token_id, tiny.model.config.decoder_start_token_id)

    def gradient(batches: list[list[dict[str, np.ndarray]]]) -> tuple[float, torch.Tensor]:
        tiny.model.zero_grad()
        total = sum(seq2seq_loss(tiny.model, collate(batch), loss) for batch in batches)
        assert isinstance(total, torch.Tensor)
        total.backward()
        grads = [p.grad.reshape(-1) for p in tiny.model.parameters()]
        tiny.model.zero_grad()
        return total.item(), torch.cat(grads)

    alone, expected = gradient([[row] for row in rows])
    for passes in (1, 4):
        monkeypatch.setattr("genrec.training.seq2seq_loss.CPU_PASSES", passes)
        together, found = gradient([rows])
        assert together == pytest.approx(alone, rel=1e-5)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_full_equals_the_models_own_loss(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(30, encoder_decoder=True)
    builder, rows = rows_of(tiny, [4, 2, 6])
    batch = Seq2SeqCollator(builder.pad_token_id, tiny.model.config.decoder_start_token_id)(rows)
    own = tiny.model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        labels=batch["labels"][:, 1:].contiguous(),
    ).loss
    found = seq2seq_loss(tiny.model, batch, SemanticIdLoss(tiny.trie, tiny.vocabulary, "full"))
    assert found.item() == pytest.approx(own.item() * 9, rel=1e-5)


def test_slices_are_even_and_hold_every_row_once() -> None:
    assert [(s.start, s.stop) for s in slices(10, 4)] == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert [(s.start, s.stop) for s in slices(2, 4)] == [(0, 1), (1, 2)]
    assert [(s.start, s.stop) for s in slices(3, 1)] == [(0, 3)]
