"""The trie inside generate of transformers: beams, sampling, text before and around IDs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.catalog import CatalogTrie
from genrec.decoding import ConstrainedBeamSearch, SemanticIdLogitsProcessor
from genrec.errors import DecodingError

PROMPTS = torch.tensor([[0, 0, 0, 11, 14, 9], [3, 8, 5, 21, 17, 4], [0, 6, 12, 7, 30, 40]])
MASK = torch.tensor([[0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]])


def generate(tiny: Any, processor: SemanticIdLogitsProcessor, **options: Any) -> Any:
    torch.manual_seed(0)
    return tiny.model.generate(
        PROMPTS,
        attention_mask=MASK,
        logits_processor=[processor],
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )


@pytest.mark.parametrize("encoder_decoder", [False, True])
@pytest.mark.parametrize("num_items", [3, 60])
def test_beams_are_those_of_the_search(
    make_tiny: Callable[..., Any], num_items: int, encoder_decoder: bool
) -> None:
    tiny = make_tiny(num_items, encoder_decoder=encoder_decoder)
    begun = 1 if encoder_decoder else PROMPTS.shape[1]
    out = generate(
        tiny,
        SemanticIdLogitsProcessor(tiny.trie, tiny.vocabulary, prompt_length=begun),
        num_beams=5,
        num_return_sequences=5,
        max_new_tokens=3,
        length_penalty=0.0,
        eos_token_id=None,
    )
    found = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, num_beams=5).search(
        PROMPTS, MASK, 5
    )
    for row in range(3):
        real = found.rows[row] >= 0
        scores = out.sequences_scores[row * 5 : (row + 1) * 5]
        alive = scores > -1e8
        theirs = out.sequences[row * 5 : (row + 1) * 5, begun:][alive]
        assert tiny.vocabulary.encode(found.codes[row][real].numpy()).tolist() == theirs.tolist()
        np.testing.assert_allclose(found.scores[row][real], scores[alive], atol=1e-4)


def test_only_allowed_items_come(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(60)
    allowed = torch.zeros(60, dtype=torch.bool)
    allowed[[5, 40, 41]] = True
    processor = SemanticIdLogitsProcessor(
        tiny.trie, tiny.vocabulary, prompt_length=6, allowed=allowed, eos_token_id=2
    )
    out = generate(tiny, processor, do_sample=True, num_return_sequences=8, max_new_tokens=6, eos_token_id=2)
    for answer in out.sequences[:, 6:]:
        assert tiny.trie.row_of(tiny.vocabulary.decode(answer[:3].numpy()).tolist()) in (5, 40, 41)
        assert answer[3].item() == 2


@pytest.mark.parametrize("text", ["before", "around"])
def test_text_and_ids_in_sampling(make_tiny: Callable[..., Any], text: Any) -> None:
    tiny = make_tiny(60, tied=False)
    with torch.no_grad():
        tiny.model.get_output_embeddings().weight[torch.from_numpy(tiny.vocabulary.token_ids[0])] *= 3
    eos = tiny.text_tokenizer.eos_token_id
    processor = SemanticIdLogitsProcessor(
        tiny.trie,
        tiny.vocabulary,
        prompt_length=6,
        text=text,
        eos_token_id=eos if text == "before" else None,
    )
    out = generate(
        tiny, processor, do_sample=True, num_return_sequences=6, max_new_tokens=40, eos_token_id=eos, top_k=0
    )
    most = 0
    for answer in out.sequences[:, 6:].tolist():
        position = [
            int(tiny.vocabulary.position_of[t]) if t < len(tiny.vocabulary.position_of) else -1
            for t in answer
        ]
        begins = [i for i, p in enumerate(position) if p == 0]
        whole = [i for i in begins if i + 3 <= len(answer)]
        for i in whole:
            assert position[i : i + 3] == [0, 1, 2]
            assert tiny.trie.row_of(tiny.vocabulary.decode(np.array(answer[i : i + 3])).tolist()) >= 0
        inside = {i + j for i in begins for j in range(3)}
        assert all(p < 0 for i, p in enumerate(position) if i not in inside)
        most = max(most, len(whole))
        if text == "before" and whole:
            assert len(whole) == 1
            assert set(answer[whole[0] + 3 :]) <= {eos, tiny.text_tokenizer.pad_token_id}
    assert most == 1 if text == "before" else most > 1


def test_ids_of_unequal_length(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(60)
    codes = np.array([[0, 1, 2], [0, 1, 3], [0, 2, -1], [1, -1, -1], [3, 3, -1], [4, 0, 0]])
    trie = CatalogTrie.from_codes(codes, (5, 4, 6))
    processor = SemanticIdLogitsProcessor(trie, tiny.vocabulary, prompt_length=6, eos_token_id=2)
    out = generate(tiny, processor, do_sample=True, num_return_sequences=9, max_new_tokens=6, eos_token_id=2)
    seen = set()
    for answer in out.sequences[:, 6:].tolist():
        tokens = answer[: answer.index(tiny.vocabulary.terminator_id)]
        found = [int(tiny.vocabulary.code_of[token]) for token in tokens]
        assert found + [-1] * (3 - len(found)) in codes.tolist()
        assert answer[len(tokens) + 1] == 2
        seen.add(len(found))
    assert len(seen) > 1


def test_no_other_score_is_changed(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(60)
    scores = torch.randn(2, len(tiny.text_tokenizer))
    first = tiny.vocabulary.token_ids[0]
    begun = torch.tensor([[7, 7], [7, int(first[tiny.codes[0, 0]])]])
    found = SemanticIdLogitsProcessor(tiny.trie, tiny.vocabulary, prompt_length=1, text="around")(
        begun, scores
    )
    kept = found.isfinite()
    torch.testing.assert_close(found[kept], scores[kept])
    same = tiny.codes[tiny.codes[:, 0] == tiny.codes[0, 0], 1]
    assert set(kept[1].nonzero().flatten().tolist()) == set(tiny.vocabulary.token_ids[1][same].tolist())
    assert set(tiny.vocabulary.new_ids) & set(kept[0].nonzero().flatten().tolist()) == set(
        first[np.unique(tiny.codes[:, 0])].tolist()
    )


def test_wrong_settings_get_a_clear_error(tiny: Any) -> None:
    with pytest.raises(DecodingError, match="place for text"):
        SemanticIdLogitsProcessor(tiny.trie, tiny.vocabulary, prompt_length=0)
    with pytest.raises(DecodingError, match="every row of the catalog"):
        SemanticIdLogitsProcessor(
            tiny.trie, tiny.vocabulary, prompt_length=1, allowed=torch.ones(2, dtype=torch.bool)
        )
