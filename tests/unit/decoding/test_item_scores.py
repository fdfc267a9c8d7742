"""Scores of given items, and of the whole catalog, against a forward pass for each item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.catalog import CatalogTrie
from genrec.decoding import NORMALIZATIONS, ConstrainedBeamSearch, GroupLimit, OutputHead, item_scores
from genrec.errors import DecodingError


def forced(tiny: Any, prompt: torch.Tensor, tokens: list[int]) -> torch.Tensor:
    """Logits of each of the tokens after the prompt and the tokens before it, by one plain forward pass."""
    answer = torch.tensor(tokens)
    if tiny.model.config.is_encoder_decoder:
        start = torch.tensor([tiny.model.config.decoder_start_token_id])
        return tiny.model(prompt[None], decoder_input_ids=torch.cat([start, answer])[None]).logits[0, :-1]
    return tiny.model(torch.cat([prompt, answer])[None]).logits[0, len(prompt) - 1 : -1]


@pytest.mark.parametrize("encoder_decoder", [False, True])
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@torch.no_grad()
def test_scores_are_those_of_a_forward_pass_for_each_item(
    make_tiny: Callable[..., Any],
    make_prompts: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    normalize: Any,
    encoder_decoder: bool,
) -> None:
    monkeypatch.setattr(item_scores, "CHUNK", 7)
    tiny = make_tiny(33, encoder_decoder=encoder_decoder)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize)
    ids, mask = make_prompts(tiny, [5, 2])
    every = search.score(ids, mask)
    for place in range(2):
        prompt = ids[place][mask[place].bool()]
        for row, tokens in enumerate(tiny.vocabulary.encode(tiny.codes).tolist()):
            total = 0.0
            for position, logits in enumerate(forced(tiny, prompt, tokens).double()):
                among = torch.arange(len(logits))
                if normalize != "full":
                    among = torch.from_numpy(tiny.vocabulary.token_ids[position])
                if normalize == "allowed":
                    same = (tiny.codes[:, :position] == tiny.codes[row, :position]).all(axis=1)
                    among = among[np.unique(tiny.codes[same, position])]
                total += float(logits[tokens[position]] - logits[among].logsumexp(0))
            assert every[place, row] == pytest.approx(total, abs=1e-4)
    rows = torch.tensor([[3, -1, 3, 30], [0, 32, 1, -1]])
    some = search.score(ids, mask, rows)
    expected = every.gather(1, rows.clamp(min=0)).masked_fill(rows < 0, float("-inf"))
    torch.testing.assert_close(some, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("encoder_decoder", [False, True])
@torch.no_grad()
def test_tokens_around_an_id_and_the_end_are_scored(
    make_tiny: Callable[..., Any], make_prompts: Callable[..., Any], encoder_decoder: bool
) -> None:
    tiny = make_tiny(20, encoder_decoder=encoder_decoder)
    around = {"before": [5, 9], "after": [11], "eos": "score"}
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, **around)
    ids, mask = make_prompts(tiny, [4, 6])
    every = search.score(ids, mask)
    end = tiny.model.config.eos_token_id
    for place in range(2):
        prompt = ids[place][mask[place].bool()]
        for row, tokens in enumerate(tiny.vocabulary.encode(tiny.codes).tolist()):
            whole = [5, 9, *tokens, 11, end]
            logits = forced(tiny, prompt, whole).double().log_softmax(-1)
            expected = sum(float(of_token[token]) for of_token, token in zip(logits, whole, strict=True))
            assert every[place, row] == pytest.approx(expected, abs=1e-4)
    found = search.search(ids, mask, 20, exact=True)
    assert found.proven.all()
    torch.testing.assert_close(found.scores, every.sort(descending=True).values, atol=1e-4, rtol=0)
    free = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize="allowed", **around)
    behind = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize="allowed", before=[5, 9])
    assert torch.equal(free.score(ids, mask), behind.score(ids, mask))  # a lone token costs nothing


@torch.no_grad()
def test_shorter_ids_are_scored_with_their_terminator(
    make_tiny: Callable[..., Any], make_prompts: Callable[..., Any]
) -> None:
    tiny = make_tiny(30)
    codes = tiny.codes.copy()
    codes[:9, 2], codes[4:7, 1] = -1, -1
    codes = np.unique(codes, axis=0)
    trie = CatalogTrie.from_codes(codes, tiny.trie.codebook_sizes)
    search = ConstrainedBeamSearch(tiny.model, trie, tiny.vocabulary, num_beams=4)
    ids, mask = make_prompts(tiny, [5, 2])
    every = search.score(ids, mask)
    for place in range(2):
        prompt = ids[place][mask[place].bool()]
        for row, path in enumerate(codes.tolist()):
            real = [int(tiny.vocabulary.token_ids[p][c]) for p, c in enumerate(path) if c >= 0]
            whole = [*real, tiny.vocabulary.terminator_id]
            logits = forced(tiny, prompt, whole).double().log_softmax(-1)
            expected = sum(float(of_token[token]) for of_token, token in zip(logits, whole, strict=True))
            assert every[place, row] == pytest.approx(expected, abs=1e-4)
    found = search.search(ids, mask, len(codes), exact=True)
    assert found.proven.all()
    for place in range(2):
        assert found.codes[place].tolist() == codes[found.rows[place]].tolist()
        torch.testing.assert_close(found.scores[place], every[place][found.rows[place]], atol=1e-4, rtol=0)
        assert sorted(found.rows[place].tolist()) == list(range(len(codes)))


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, float], None]:
    """Sets a token's logit, as a head with such a weight or half precision would give it."""
    own = OutputHead.rows

    def apply(token: int, value: float) -> None:
        def rows(self: OutputHead, states: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
            return own(self, states, ids).masked_fill(ids == token, value)

        monkeypatch.setattr(OutputHead, "rows", rows)

    return apply


@pytest.mark.parametrize("normalize", ["full", "allowed"])
@pytest.mark.parametrize("position", [0, 2])
def test_items_without_probability_are_ranked_last(
    tiny: Any,
    make_prompts: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[int, float], None],
    normalize: Any,
    position: int,
) -> None:
    monkeypatch.setattr(item_scores, "CHUNK", 5)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize)
    ids, mask = make_prompts(tiny, [5, 2])
    before = search.score(ids, mask)
    code = int(tiny.codes[0, position])
    without = torch.from_numpy(tiny.codes[:, position] == code)  # [items]
    spoil(int(tiny.vocabulary.token_ids[position][code]), float("-inf"))
    after = search.score(ids, mask)
    assert (after[:, without] == float("-inf")).all()
    assert after[:, ~without].isfinite().all()
    if normalize == "full":
        torch.testing.assert_close(after[:, ~without], before[:, ~without], atol=1e-5, rtol=0)
    rows = torch.tensor([[3, -1, 0, 29], [0, 12, 1, -1]])
    torch.testing.assert_close(
        search.score(ids, mask, rows),
        after.gather(1, rows.clamp(min=0)).masked_fill(rows < 0, float("-inf")),
        atol=1e-5,
        rtol=0,
    )
    listed = search.search(ids, mask, len(tiny.codes), exact=True)
    assert ((listed.rows >= 0).sum(1) == int((~without).sum())).all()


@pytest.mark.parametrize("normalize", ["full", "allowed"])
@pytest.mark.parametrize("position", [0, 2])
def test_scores_that_are_no_numbers_are_refused(
    tiny: Any,
    make_prompts: Callable[..., Any],
    spoil: Callable[[int, float], None],
    normalize: Any,
    position: int,
) -> None:
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize)
    ids, mask = make_prompts(tiny, [5, 2])
    spoil(int(tiny.vocabulary.token_ids[position][tiny.codes[0, position]]), float("nan"))
    limit = GroupLimit(np.zeros(len(tiny.codes), dtype=int), 3)
    options: list[dict[str, Any]] = [{}, {"exact": True}, {"limit": limit}, {"exclude": [[3], []]}]
    for chosen in options:
        with pytest.raises(DecodingError, match="no number"):
            search.search(ids, mask, 6, **chosen)
    for rows in (None, torch.tensor([[3, -1, 0, 29], [0, 12, 1, -1]])):
        with pytest.raises(DecodingError, match="no number"):
            search.score(ids, mask, rows)


def test_items_that_cannot_be_scored_are_refused(tiny: Any, make_prompts: Callable[..., Any]) -> None:
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary)
    ids, mask = make_prompts(tiny, [5, 2])
    for rows in (torch.tensor([[1, 30], [0, 0]]), torch.tensor([[1, -2], [0, 0]])):
        with pytest.raises(DecodingError, match="not in the catalog's trie"):
            search.score(ids, mask, rows)
    for rows in (torch.tensor([[1]]), torch.tensor([1, 2]), torch.tensor([[1.0], [2.0]])):
        with pytest.raises(DecodingError, match="a matrix of catalog rows"):
            search.score(ids, mask, rows)
    assert search.score(ids, mask, torch.full((2, 3), -1)).isneginf().all()
    with pytest.raises(DecodingError, match="not in the vocabulary"):
        ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, before=[10**6])
    with pytest.raises(DecodingError, match="end-of-sequence"):
        ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, eos="always")  # type: ignore[arg-type]
