"""The output head gives the model's own logits, whole or a few rows, and a cross-entropy in chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedModel,
)

from genrec.decoding import (
    LogitsHead,
    OutputHead,
    check_head,
    chunked_cross_entropy,
    chunked_normalizer,
)
from genrec.errors import DecodingError

VOCABULARY, WIDTH = 300, 16
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "llama": {},
    "mistral": {},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 3.0},
    "gemma3_text": {"head_dim": 8},
    "phi": {},
    "granite": {"logits_scaling": 3.0},
    "cohere": {"logit_scale": 0.5},
    "falcon_h1": {"lm_head_multiplier": 0.3, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8},
    "gpt2": {},
}


def tiny_model(family: str, tied: bool, **options: Any) -> PreTrainedModel:
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": tied,
        "initializer_range": 0.4,
    }
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**sizes, **FAMILIES[family], **options})
    model = AutoModelForCausalLM.from_config(config)
    bias = model.get_output_embeddings().bias
    if bias is not None:
        torch.nn.init.normal_(bias)
    return model.eval()


def states_and_logits(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(3, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))
    out = model(input_ids=ids, output_hidden_states=True, use_cache=False)
    return out.hidden_states[-1].flatten(0, 1), out.logits.flatten(0, 1)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_gives_the_models_logits(family: str, tied: bool) -> None:
    model = tiny_model(family, tied)
    states, logits = states_and_logits(model)
    head = OutputHead.of(model)
    full = head.full(states)
    torch.testing.assert_close(full, logits, atol=1e-5, rtol=1e-5)
    some = torch.tensor([299, 4, 77, 4])
    torch.testing.assert_close(head.rows(states, some), full[:, some], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_of_an_encoder_decoder(tied: bool) -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "t5", vocab_size=VOCABULARY, d_model=WIDTH, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
        tie_word_embeddings=tied, decoder_start_token_id=0,
    )  # fmt: skip
    model = AutoModelForSeq2SeqLM.from_config(config).eval()
    ids = torch.randint(3, VOCABULARY, (2, 5))
    out = model(input_ids=ids, decoder_input_ids=ids, output_hidden_states=True)
    states = out.decoder_hidden_states[-1].flatten(0, 1)
    full = OutputHead.of(model).full(states)
    torch.testing.assert_close(full, out.logits.flatten(0, 1), atol=1e-5, rtol=1e-5)


def with_new_rows(model: PreTrainedModel, tied: bool, ids: list[int]) -> PeftModel:
    layers = {"embed_tokens": ids} if tied else {"embed_tokens": ids, "lm_head": ids}
    wrapped = get_peft_model(
        model, LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=layers)
    )
    for name, parameter in wrapped.named_parameters():
        if "trainable_tokens" in name:
            torch.nn.init.normal_(parameter)
    return wrapped.eval()


@pytest.mark.parametrize("ids", [[250, 251, 260], [260, 250, 251]])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["qwen3", "gemma2", "granite"])
def test_new_rows_stand_in_for_the_old_and_take_all_the_gradient(
    family: str, tied: bool, ids: list[int]
) -> None:
    model = with_new_rows(tiny_model(family, tied), tied, ids)
    states, logits = states_and_logits(model)
    head, some = OutputHead.of(model), torch.tensor([260, 5, 250, 299])
    torch.testing.assert_close(head.full(states), logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(head.rows(states, some), logits[:, some], atol=1e-5, rtol=1e-5)
    with model.disable_adapter():
        base_states, base_logits = states_and_logits(model)
        torch.testing.assert_close(OutputHead.of(model).full(base_states), base_logits, atol=1e-5, rtol=1e-5)

    layer = model.get_output_embeddings().token_adapter
    delta = layer.trainable_tokens_delta["default"]
    for used in ("rows", "full"):
        delta.grad, head = None, OutputHead.of(model)
        value = head.rows(states.detach(), some) if used == "rows" else head.full(states.detach())
        value.sum().backward()
        assert delta.grad.abs().sum() > 0
        assert layer.get_base_layer().weight.grad is None
    model.base_model.merge_adapter()
    merged_states, merged_logits = states_and_logits(model)
    torch.testing.assert_close(merged_logits, logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(OutputHead.of(model).full(merged_states), merged_logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("elements", [1 << 18, 3000])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("family", ["qwen3", "gemma2", "granite", "phi"])
def test_the_normalizer_is_that_of_all_logits(
    family: str, rows: bool, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked_normalizer, "CACHED_ELEMENTS", elements)
    model: Any = tiny_model(family, tied=False, vocab_size=5000)
    if rows:
        model = with_new_rows(model, False, [250, 251, 2600])
    head = OutputHead.of(model)
    generator = torch.Generator().manual_seed(2)
    for scale in (1.0, 30.0):  # sums that would overflow without their maximum
        states = scale * torch.randn(17, WIDTH, generator=generator)
        expected = head.full(states).double().logsumexp(-1).float().detach()
        for slices in (None, chunked_normalizer.weight_slices(head.head.weight)):
            found = OutputHead(head.head, slices).log_normalizer(states)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("elements", [1 << 24, 5 * VOCABULARY, 1])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("family", ["qwen3", "gemma2", "granite", "phi"])
def test_the_chunked_cross_entropy_is_the_plain_one_with_its_gradients(
    family: str, rows: bool, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked_cross_entropy, "CHUNK_ELEMENTS", elements)
    monkeypatch.setattr(chunked_cross_entropy, "_VOCABULARY_SLICE", 64)
    model: Any = tiny_model(family, tied=False)
    if rows:
        model = with_new_rows(model, False, [250, 251, 260])
    head = OutputHead.of(model)
    numbers = [t for t in (head.head.weight, head.head.bias, head.head.rows) if t is not None]
    numbers = [t for t in numbers if t.requires_grad]
    generator = torch.Generator().manual_seed(2)
    states = torch.randn(17, WIDTH, generator=generator, requires_grad=True)
    targets = torch.randint(0, VOCABULARY, (17,), generator=generator)
    targets[:2] = torch.tensor([250, 260])
    expected = functional.cross_entropy(head.full(states), targets, reduction="sum")
    found = head.cross_entropy(states, targets)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    wanted = torch.autograd.grad(3 * expected, [states, *numbers])
    for got, want in zip(torch.autograd.grad(3 * found, [states, *numbers]), wanted, strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_no_buffer_of_all_tokens_and_the_vocabulary_is_made() -> None:
    width, vocabulary, tokens = 4, 40_000, 2_000
    weight = torch.randn(vocabulary, width)
    states = torch.randn(tokens, width, requires_grad=True)
    head = chunked_cross_entropy.LinearHead(weight)
    targets = torch.zeros(tokens, dtype=torch.long)

    class Largest(torch.overrides.TorchFunctionMode):
        found = 0

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                Largest.found = max(Largest.found, out.numel())
            return out

    with Largest():
        chunked_cross_entropy.chunked_cross_entropy(head, states, targets).backward()
    assert vocabulary <= Largest.found <= chunked_cross_entropy.CHUNK_ELEMENTS < tokens * vocabulary


def test_ready_logits_answer_alike() -> None:
    model = tiny_model("qwen3", True)
    states, logits = states_and_logits(model)
    head, ready, some = OutputHead.of(model), LogitsHead(), torch.tensor([7, 3])
    targets = torch.arange(len(states))
    torch.testing.assert_close(ready.rows(logits, some), head.rows(states, some))
    torch.testing.assert_close(ready.full(logits), head.full(states))
    torch.testing.assert_close(ready.cross_entropy(logits, targets), head.cross_entropy(states, targets))


def test_an_unknown_way_from_head_to_logits_is_noticed() -> None:
    model = tiny_model("cohere", True)
    check_head(model)
    model.logit_scale = 0.7  # the forward uses it, the config does not tell
    with pytest.raises(DecodingError, match="not those of its output head"):
        check_head(model)


def test_a_head_that_cannot_be_read_is_refused() -> None:
    lora = LoraConfig(r=2, target_modules=["lm_head"])
    with pytest.raises(DecodingError, match="cannot be read"):
        OutputHead.of(get_peft_model(tiny_model("qwen3", False), lora))
