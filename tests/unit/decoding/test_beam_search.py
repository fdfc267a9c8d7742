"""Constrained beam search: real items only, each once, in any batch, with clear errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.decoding import NORMALIZATIONS, ConstrainedBeamSearch
from genrec.errors import DecodingError
from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary import SemanticIdVocabulary


def prompts(tiny: Any, lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random left-padded prompts."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    ids = torch.randint(3, len(tiny.text_tokenizer), (len(lengths), longest), generator=generator)
    mask = (torch.arange(longest) >= longest - torch.tensor(lengths)[:, None]).long()
    return ids, mask


@pytest.fixture(params=[False, True], ids=["decoder", "encoder_decoder"])
def either(request: pytest.FixtureRequest, make_tiny: Callable[..., Any]) -> Any:
    """A decoder-only model, then an encoder-decoder."""
    return make_tiny(encoder_decoder=request.param)


@pytest.mark.parametrize("encoder_decoder", [False, True])
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("num_items", [1, 7, 30, 120])
@pytest.mark.parametrize("num_beams", [1, 4, 50])
def test_only_real_items_come_out_and_none_twice(
    make_tiny: Callable[..., Any], normalize: Any, num_items: int, num_beams: int, encoder_decoder: bool
) -> None:
    tiny = make_tiny(num_items, encoder_decoder=encoder_decoder)
    search = ConstrainedBeamSearch(
        tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize, num_beams=num_beams
    )
    found = search.search(*prompts(tiny, [3, 9, 1, 6]), k=5)
    assert found.rows.shape == found.scores.shape == (4, 5)
    for rows, scores, codes in zip(found.rows, found.scores, found.codes, strict=True):
        real = rows[rows >= 0]
        assert len(real) == min(5, num_items, max(num_beams, 5)) == len(real.unique())
        assert (rows[len(real) :] == -1).all()
        assert torch.isinf(scores[len(real) :]).all()
        assert (codes[len(real) :] == -1).all()
        assert codes[: len(real)].tolist() == tiny.codes[real.numpy()].tolist()
        assert (scores[: len(real)].diff() <= 0).all()


def test_a_prompt_alone_and_in_any_batch_gives_the_same(either: Any) -> None:
    search = ConstrainedBeamSearch(either.model, either.trie, either.vocabulary, num_beams=6)
    ids, mask = prompts(either, [8, 2, 5, 1, 7, 3, 8, 4])
    together = search.search(ids, mask, k=6)
    for row in range(8):
        alone = search.search(ids[row : row + 1], mask[row : row + 1], k=6)
        assert alone.rows[0].tolist() == together.rows[row].tolist()
        torch.testing.assert_close(alone.scores[0], together.scores[row], atol=1e-4, rtol=0)
    order = torch.tensor([3, 0, 7, 1, 2, 6, 5, 4])
    permuted = search.search(ids[order], mask[order], k=6)
    assert permuted.rows.tolist() == together.rows[order].tolist()


def test_padding_on_either_side_changes_nothing(either: Any) -> None:
    search = ConstrainedBeamSearch(either.model, either.trie, either.vocabulary, num_beams=6)
    ids, mask = prompts(either, [4, 6])
    right_ids = torch.nn.functional.pad(torch.stack([ids[0].roll(-2), ids[1]]), (0, 3))
    right_mask = torch.nn.functional.pad(torch.stack([mask[0].roll(-2), mask[1]]), (0, 3))
    left, right = search.search(ids, mask, k=6), search.search(right_ids, right_mask, k=6)
    assert left.rows.tolist() == right.rows.tolist()
    torch.testing.assert_close(left.scores, right.scores, atol=1e-4, rtol=0)


def test_k_above_the_beams_widens_the_beam(either: Any) -> None:
    search = ConstrainedBeamSearch(either.model, either.trie, either.vocabulary, num_beams=1)
    assert (search.search(*prompts(either, [5]), k=10).rows >= 0).all()


def test_the_model_keeps_its_mode(either: Any) -> None:
    search = ConstrainedBeamSearch(either.model, either.trie, either.vocabulary)
    either.model.train()
    try:
        search.search(*prompts(either, [2]), k=1)
        assert either.model.training
    finally:
        either.model.eval()


@pytest.mark.parametrize(
    ("ids", "mask", "k", "expected"),
    [
        (torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 2), 1, "two equal, non-empty matrices"),
        (torch.zeros(0, 3, dtype=torch.long), torch.ones(0, 3), 1, "two equal, non-empty matrices"),
        (torch.zeros(2, 3, dtype=torch.long), torch.tensor([[1, 1, 1], [0, 0, 0]]), 1, "a prompt is empty"),
        (torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3), 0, "asked for no item"),
        (torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3), 1.5, "asked for no item"),
        (torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3), True, "asked for no item"),
    ],
)
def test_wrong_calls_get_a_clear_error(
    tiny: Any, ids: torch.Tensor, mask: torch.Tensor, k: Any, expected: str
) -> None:
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary)
    with pytest.raises(DecodingError, match=expected):
        search.search(ids, mask, k)


def test_wrong_set_ups_get_a_clear_error(tiny: Any) -> None:
    with pytest.raises(DecodingError, match="unknown normaliser"):
        ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize="fully")  # type: ignore[arg-type]
    for beams in (0, -3, 2.5, True):
        with pytest.raises(DecodingError, match="needs a beam"):
            ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, num_beams=beams)  # type: ignore[arg-type]
    other = SemanticIdVocabulary(SemanticIdSpec((2,)), [np.arange(2)], 3, [])
    with pytest.raises(DecodingError, match="different Semantic IDs"):
        ConstrainedBeamSearch(tiny.model, tiny.trie, other)
