"""Kept beginnings of prompts change no result, stay within their bytes, and go when the model changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from genrec.decoding import ConstrainedBeamSearch, MixedGenerator, PromptCache
from genrec.decoding.fused_beams import FusedBackend
from genrec.decoding.packed_beams import PackedBackend
from genrec.decoding.prefill import model_state
from genrec.errors import DecodingError

WINDOWS = {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}
MODELS: dict[str, dict[str, Any]] = {
    "qwen3": {},  # fused
    "qwen2": {"hidden_act": "gelu"},  # packed
    "mistral": {"sliding_window": 6},
    "gemma3_text": WINDOWS,
    "gpt2": {},
}


def model_of(family: str, rows: int) -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    if family != "gpt2":
        sizes |= {"num_key_value_heads": 1, "head_dim": 8}
    config = AutoConfig.for_model(
        family, vocab_size=rows, initializer_range=0.4, pad_token_id=0, **sizes, **MODELS[family]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()


def requests(seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """An instruction of twelve tokens, then users alone and in batches, one longer than before."""
    generator = torch.Generator().manual_seed(seed)
    fixed = torch.randint(3, 200, (12,), generator=generator)
    tails = [torch.randint(3, 200, (n,), generator=generator) for n in (5, 1, 9, 3)]
    texts = [torch.cat([fixed, tail]) for tail in tails]
    texts.append(torch.cat([texts[0], tails[3]]))  # the first user came back
    longest = max(len(text) for text in texts)
    padded = torch.stack([torch.nn.functional.pad(text, (longest - len(text), 0)) for text in texts])
    mask = torch.stack([(torch.arange(longest) >= longest - len(text)).long() for text in texts])
    alone = [(text[None], torch.ones_like(text[None])) for text in texts]
    return [alone[0], alone[1], (padded[:4], mask[:4]), alone[4], alone[0], (padded, mask)]


@pytest.mark.parametrize("family", MODELS)
def test_results_are_those_without_it(tiny: Any, family: str) -> None:
    model = model_of(family, len(tiny.text_tokenizer))
    cache = PromptCache(1 << 20)
    plain = ConstrainedBeamSearch(model, tiny.trie, tiny.vocabulary, num_beams=8)
    keeping = ConstrainedBeamSearch(model, tiny.trie, tiny.vocabulary, num_beams=8, prompt_cache=cache)
    assert isinstance(keeping.backend, FusedBackend if family == "qwen3" else PackedBackend)
    reused = []
    for ids, mask in requests():
        expected, found = plain.search(ids, mask, 8), keeping.search(ids, mask, 8)
        assert found.rows.tolist() == expected.rows.tolist()
        torch.testing.assert_close(found.scores, expected.scores, atol=1e-4, rtol=0)
        reused.append(cache.reused)
    # nothing; the instruction; for four; the whole first prompt; all but its last token; for five
    assert np.diff([0, *reused]).tolist() == [0, 12, 48, 17, 16, 60]
    exact = keeping.search(*requests()[2], 8, exact=True)
    assert exact.rows.tolist() == plain.search(*requests()[2], 8, exact=True).rows.tolist()


def test_it_stays_within_its_bytes(tiny: Any) -> None:
    model = model_of("qwen3", len(tiny.text_tokenizer))
    token = 2 * 2 * 8 * 4  # two layers' keys and values of one head of eight floats
    cache = PromptCache(40 * token)
    search = ConstrainedBeamSearch(model, tiny.trie, tiny.vocabulary, prompt_cache=cache)
    for seed in range(5):
        ids = requests(seed)[0][0]  # 17 tokens
        search.search(ids, torch.ones_like(ids), 3)
        assert cache.bytes == min(seed + 1, 2) * 17 * token
    before = cache.reused
    for seed in (4, 3, 4, 0):
        ids = requests(seed)[0][0]
        search.search(ids, torch.ones_like(ids), 3)
    assert cache.reused - before == 3 * 16  # the oldest is gone
    small = PromptCache(3 * token)
    ConstrainedBeamSearch(model, tiny.trie, tiny.vocabulary, prompt_cache=small).search(*requests()[0], 3)
    assert small.bytes == 0


def test_it_is_emptied_when_the_model_changes(tiny: Any) -> None:
    model = model_of("qwen3", len(tiny.text_tokenizer))
    cache = PromptCache(1 << 20)
    search = ConstrainedBeamSearch(model, tiny.trie, tiny.vocabulary, prompt_cache=cache)
    search.search(*requests()[0], 3)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(1.5)
    found = search.search(*requests()[0], 3)
    assert cache.reused == 0
    plain = ConstrainedBeamSearch(model, tiny.trie, tiny.vocabulary)
    torch.testing.assert_close(found.scores, plain.search(*requests()[0], 3).scores, atol=1e-4, rtol=0)
    search.search(*requests()[0], 3)
    assert cache.reused == 16
    cache.clear()
    assert cache.bytes == 0


def test_adapters_that_are_switched_off_are_another_model(tiny: Any) -> None:
    model = get_peft_model(
        model_of("qwen3", len(tiny.text_tokenizer)), LoraConfig(r=2, target_modules=["q_proj"])
    )
    before = model_state(model)
    assert model_state(model) == before
    with model.disable_adapter():
        assert model_state(model) != before
    assert model_state(model) == before
    model.merge_adapter()
    assert model_state(model) != before


def test_replies_use_it_too(make_tiny: Callable[..., Any]) -> None:
    tiny = make_tiny(40, tied=False)
    cache = PromptCache(1 << 20)
    parts = (tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary)
    plain, keeping = MixedGenerator(*parts), MixedGenerator(*parts, prompt_cache=cache)
    for ids, mask in requests():
        expected = plain.generate(ids, mask, max_new_tokens=10)
        assert keeping.generate(ids, mask, max_new_tokens=10) == expected or [
            reply.token_ids for reply in keeping.generate(ids, mask, max_new_tokens=10)
        ] == [reply.token_ids for reply in expected]
    assert cache.reused > 0


def test_wrong_settings_get_a_clear_error(make_tiny: Callable[..., Any]) -> None:
    with pytest.raises(DecodingError, match="needs room"):
        PromptCache(0)
    tiny = make_tiny(encoder_decoder=True)
    with pytest.raises(DecodingError, match="only for decoder-only"):
        ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, prompt_cache=PromptCache(100))
