"""What the search must equal: exhaustive scoring, and Hugging Face's own constrained beams."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.decoding import NORMALIZATIONS, ConstrainedBeamSearch


def prompts(tiny: Any, lengths: list[int], seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    ids = torch.randint(3, len(tiny.text_tokenizer), (len(lengths), longest), generator=generator)
    return ids, (torch.arange(longest) >= longest - torch.tensor(lengths)[:, None]).long()


@torch.no_grad()
def exhaustive(tiny: Any, prompt: torch.Tensor, normalize: str) -> np.ndarray:
    """Score of every item by a forward pass of its own, allowed sets by brute force over the codes."""
    scores = []
    for codes in tiny.codes:
        tokens = torch.from_numpy(tiny.vocabulary.encode(codes))
        if tiny.model.config.is_encoder_decoder:
            start = torch.tensor([tiny.model.config.decoder_start_token_id])
            answer = torch.cat([start, tokens])[None]
            logits = tiny.model(prompt[None], decoder_input_ids=answer).logits[0, :-1].double()
        else:
            logits = tiny.model(torch.cat([prompt, tokens])[None]).logits[0, len(prompt) - 1 : -1].double()
        total = 0.0
        for position in range(len(codes)):
            row = logits[position]
            if normalize == "full":
                among = row
            elif normalize == "level":
                among = row[torch.from_numpy(tiny.vocabulary.token_ids[position])]
            else:
                same = (tiny.codes[:, :position] == codes[:position]).all(axis=1)
                among = row[tiny.vocabulary.token_ids[position][np.unique(tiny.codes[same, position])]]
            total += float(row[tokens[position]] - among.logsumexp(0))
        scores.append(total)
    return np.array(scores)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("shape", [{"tied": True}, {"tied": False}, {"encoder_decoder": True}])
def test_a_full_width_beam_is_exhaustive_scoring(
    make_tiny: Callable[..., Any], normalize: Any, shape: dict[str, bool]
) -> None:
    tiny = make_tiny(40, (5, 4, 6), **shape)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize, num_beams=120)
    ids, mask = prompts(tiny, [7, 2, 4])
    found = search.search(ids, mask, k=40)
    for row in range(3):
        expected = exhaustive(tiny, ids[row][mask[row].bool()], normalize)
        order = np.argsort(-expected, kind="stable")
        assert found.rows[row].tolist() == order.tolist()
        np.testing.assert_allclose(found.scores[row].numpy(), expected[order], atol=1e-3)


@pytest.mark.parametrize("encoder_decoder", [False, True])
@pytest.mark.parametrize(("num_items", "num_beams"), [(1, 3), (7, 3), (60, 2), (60, 4), (60, 12)])
def test_the_beams_are_those_of_hugging_face(
    make_tiny: Callable[..., Any], num_items: int, num_beams: int, encoder_decoder: bool
) -> None:
    tiny = make_tiny(num_items, encoder_decoder=encoder_decoder)
    ids, mask = prompts(tiny, [6, 2, 9])
    begun = 1 if encoder_decoder else ids.shape[1]  # tokens before the answer in what generate returns
    allowed: dict[tuple[int, ...], list[int]] = {}
    for tokens in tiny.vocabulary.encode(tiny.codes).tolist():
        for end in range(len(tokens)):
            allowed.setdefault(tuple(tokens[:end]), []).append(tokens[end])
    out = tiny.model.generate(
        ids,
        attention_mask=mask,
        num_beams=num_beams,
        num_return_sequences=num_beams,
        prefix_allowed_tokens_fn=lambda _, sent: sorted(set(allowed[tuple(sent[begun:].tolist())])),
        max_new_tokens=3,
        length_penalty=0.0,
        do_sample=False,
        eos_token_id=None,
        output_scores=True,
        return_dict_in_generate=True,
    )
    theirs = [
        (tuple(sequence), score)
        for sequence, score in zip(
            out.sequences[:, begun:].tolist(), out.sequences_scores.tolist(), strict=True
        )
    ]
    search = ConstrainedBeamSearch(
        tiny.model, tiny.trie, tiny.vocabulary, normalize="full", num_beams=num_beams
    )
    found = search.search(ids, mask, k=num_beams)
    for row in range(3):
        real = found.rows[row] >= 0
        ours = [tuple(t) for t in tiny.vocabulary.encode(found.codes[row][real].numpy()).tolist()]
        expected = [x for x in theirs[row * num_beams : (row + 1) * num_beams] if x[1] > -1e8]  # dead beams
        assert ours == [sequence for sequence, _ in expected]
        np.testing.assert_allclose(found.scores[row][real], [score for _, score in expected], atol=1e-4)


def test_more_beams_never_lower_the_best_score(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(80)
    ids, mask = prompts(tiny, [5, 3])
    best = [
        ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, num_beams=width)
        .search(ids, mask, 1)
        .scores
        for width in (1, 2, 8, 120)
    ]
    for narrow, wide in itertools.pairwise(best):
        assert (wide >= narrow - 1e-4).all()
