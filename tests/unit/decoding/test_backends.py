"""Every backend's rows equal plain forward passes over whole texts, whatever rows they continue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel

from genrec.decoding import SearchBackend, load_backend
from genrec.decoding.backend_check import agrees, alike
from genrec.decoding.encoder_decoder_beams import EncoderDecoderBackend
from genrec.decoding.fused_beams import FusedBackend
from genrec.decoding.fused_weights import fuses
from genrec.decoding.packed_beams import PackedBackend, takes_masks
from genrec.decoding.packed_t5_beams import PackedT5Backend
from genrec.decoding.row_per_beam import RowPerBeamBackend
from genrec.decoding.t5_layers import FusedT5, T5Modules, fuses_t5
from genrec.errors import DecodingError

VOCABULARY = 60
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.4,
}
GEMMA = {"head_dim": 8, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
PACKED: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 8}),
    "qwen3 with a window": (
        "qwen3",
        {"head_dim": 8, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "llama": ("llama", {}),
    "mistral": ("mistral", {"sliding_window": 4}),
    "mistral without a window": ("mistral", {"sliding_window": None}),
    "gemma2": ("gemma2", {**GEMMA, "attn_implementation": "eager", "final_logit_softcapping": 5.0}),
    "gemma3": ("gemma3_text", GEMMA),
    "phi": ("phi", {"num_key_value_heads": 2}),
    "gpt2": ("gpt2", {}),
    "granite": ("granite", {"logits_scaling": 3.0, "embedding_multiplier": 2.0}),
    "cohere": ("cohere", {"logit_scale": 0.5}),
}
TRIED: dict[str, tuple[str, dict[str, Any]]] = {  # not on the list: found out at load
    "phi3": ("phi3", {"sliding_window": 4}),
    "olmo2": ("olmo2", {}),
    "gemma": ("gemma", {"head_dim": 8}),
    "qwen2_moe": ("qwen2_moe", {"num_experts": 4, "moe_intermediate_size": 8, "decoder_sparse_step": 1}),
}
FALLBACK: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": ("bloom", {"n_head": 2, "n_layer": 2}),  # ALiBi
    "falcon with alibi": ("falcon", {"alibi": True, "new_decoder_architecture": False}),
    "falcon_h1": (
        "falcon_h1",
        {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "num_key_value_heads": 2},
    ),
    "lfm2": ("lfm2", {"layer_types": ["conv", "full_attention"]}),
}


def causal(family: str, options: dict[str, Any]) -> PreTrainedModel:
    attention = options.get("attn_implementation")
    options = {key: value for key, value in options.items() if key != "attn_implementation"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AutoConfig.for_model(family, **{**SIZES, **options})
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
        head = model.get_output_embeddings()
        if head.bias is not None:
            torch.nn.init.normal_(head.bias)
    return model.eval()


def t5(**options: Any) -> PreTrainedModel:
    sizes = {
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 24,
        "num_layers": 2,
        "num_heads": 3,
        "vocab_size": VOCABULARY,
        **options,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AutoConfig.for_model("t5", decoder_start_token_id=0, initializer_factor=1.5, **sizes)
        return AutoModelForSeq2SeqLM.from_config(config).eval()


@torch.no_grad()
def plain(model: PreTrainedModel, prompt: list[int], path: list[int]) -> torch.Tensor:
    """Logits after a path from one forward pass."""
    if model.config.is_encoder_decoder:
        answer = torch.tensor([[model.config.decoder_start_token_id, *path]])
        return model(torch.tensor([prompt]), decoder_input_ids=answer).logits[0, -1]
    return model(torch.tensor([prompt + path]), use_cache=False).logits[0, -1]


@torch.no_grad()
def hold(model: PreTrainedModel, backend: SearchBackend, tolerance: float = 1e-4) -> None:
    """Runs steps of beams, of mixed depths, after `truncate` and `keep`, and compares every row."""
    generator = torch.Generator().manual_seed(1)
    lengths = [7, 2, 5]
    ids = torch.randint(3, VOCABULARY, (3, 9), generator=generator)
    real = torch.stack([torch.arange(9).ge(9 - n) for n in lengths])
    prompts = [ids[i][real[i]].tolist() for i in range(3)]
    steps, states = backend.start(ids, real, capacity=4)  # less than what comes
    head = backend.head()
    paths: list[list[list[int]]] = [[[]] for _ in prompts]  # of every row

    def compare(states: torch.Tensor, new: list[list[list[int]]]) -> None:
        logits = head.full(states.flatten(0, 1)).unflatten(0, states.shape[:2])
        expected = torch.stack(
            [
                torch.stack([plain(model, prompt, path) for path in rows])
                for prompt, rows in zip(prompts, new, strict=True)
            ]
        )
        torch.testing.assert_close(logits, expected, atol=tolerance, rtol=tolerance)
        flat = states.flatten(0, 1)
        torch.testing.assert_close(
            head.log_normalizer(flat),
            expected.flatten(0, 1).logsumexp(-1),
            atol=tolerance,
            rtol=tolerance,
        )

    def step(parent: list[list[int]]) -> None:
        tokens = torch.randint(3, VOCABULARY, (len(parent), len(parent[0])), generator=generator)
        new = [
            [[*paths[i][p], int(t)] for p, t in zip(parent[i], tokens[i], strict=True)]
            for i in range(len(parent))
        ]
        compare(steps.step(tokens, torch.tensor(parent)), new)
        for rows, added in zip(paths, new, strict=True):
            rows += added

    compare(states, [[[]] for _ in prompts])
    step([[0, 0, 0], [0, 0, 0], [0, 0, 0]])  # rows 1 to 3
    step([[3, 1, 1], [1, 2, 3], [2, 2, 2]])  # rows 4 to 6, beams
    step([[4, 4, 6], [5, 6, 4], [6, 5, 5]])  # rows 7 to 9
    step([[7, 0], [2, 9], [0, 1]])  # mixed depths
    step([[10], [11], [0]])
    step([[0, 12], [12, 0], [12, 0]])  # mixed depths, and then the shallower rows alone
    step([[13, 13], [14, 14], [14, 14]])
    steps.truncate(7)
    paths = [rows[:7] for rows in paths]
    step([[5, 6], [4, 0], [6, 3]])
    steps.keep(torch.tensor([2, 0]))
    prompts, paths = [prompts[2], prompts[0]], [paths[2], paths[0]]
    step([[7, 8], [8, 2]])
    step([[9, 10], [9, 9]])


@pytest.mark.parametrize("name", PACKED)
def test_packed_rows_are_those_of_plain_forward_passes(name: str) -> None:
    model = causal(*PACKED[name])
    backend = PackedBackend(model)
    assert not backend.forward.logits
    hold(model, backend)
    assert agrees(model, backend)
    kind = FusedBackend if name in ("qwen2", "qwen3", "llama", "mistral without a window") else PackedBackend
    assert isinstance(load_backend(model), kind)


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("name", ["qwen2", "qwen3", "llama", "mistral without a window", "llama with biases"])
def test_the_fused_pass_is_that_of_the_model(
    name: str, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrec.decoding.fused_weights.MAX_COPIED_BYTES", 1 << 30 if copied else 0)
    biased = ("llama", {"attention_bias": True, "mlp_bias": True})
    model = causal(*(biased if name == "llama with biases" else PACKED[name]))
    with torch.no_grad():
        for parameter in model.get_decoder().layers.parameters():
            if parameter.dim() == 1:  # norms and biases are ones and zeros in a fresh model
                parameter += 0.3 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(2))
    backend = load_backend(model)
    assert isinstance(backend, FusedBackend)
    hold(model, backend)
    with torch.no_grad():  # as training would
        for parameter in model.parameters():
            parameter.mul_(0.9)
    hold(model, backend)


def test_the_fused_pass_follows_a_change_of_biases_and_norms_alone() -> None:
    model = causal("llama", {"attention_bias": True, "mlp_bias": True})
    backend = load_backend(model)
    assert isinstance(backend, FusedBackend)
    with torch.no_grad():  # as tuning of the biases alone would
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter += torch.rand(parameter.shape, generator=torch.Generator().manual_seed(2))
    hold(model, backend)
    model.get_decoder().layers[0].input_layernorm.weight = torch.nn.Parameter(torch.full((16,), 1.7))
    hold(model, backend)
    model.get_decoder().norm.weight = torch.nn.Parameter(torch.linspace(0.5, 2.0, 16))
    hold(model, backend)


@pytest.mark.parametrize("encoder_decoder", [False, True])
def test_adapters_that_a_model_is_given_later_count(encoder_decoder: bool) -> None:
    model = t5() if encoder_decoder else causal("qwen3", {"head_dim": 8})
    backend = load_backend(model)
    assert isinstance(backend.layers, FusedT5) if encoder_decoder else isinstance(backend, FusedBackend)
    targets = ["q", "wo"] if encoder_decoder else ["q_proj", "down_proj"]
    lora = get_peft_model(
        model, LoraConfig(r=2, lora_alpha=8, target_modules=targets, init_lora_weights=False)
    )
    hold(model, backend)
    lora.merge_and_unload()
    hold(model, backend)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_and_packed_states_are_alike(dtype: torch.dtype) -> None:
    model = causal("qwen3", {"head_dim": 8, "initializer_range": 0.2}).to(dtype)
    assert alike(model, PackedBackend(model), FusedBackend(model))
    other = FusedBackend(causal("qwen3", {"head_dim": 8, "rms_norm_eps": 0.5}).to(dtype))
    assert not alike(model, PackedBackend(model), other)


def test_adapters_and_other_activations_are_not_fused() -> None:
    assert not fuses(causal("qwen3", {"head_dim": 8, "hidden_act": "gelu"}))
    assert not fuses(causal(*PACKED["mistral"]))
    assert not fuses(causal(*PACKED["qwen3 with a window"]))
    lora = get_peft_model(causal("qwen3", {"head_dim": 8}), LoraConfig(r=2, target_modules=["q_proj"]))
    assert not fuses(lora)
    assert isinstance(load_backend(lora), PackedBackend)


@pytest.mark.parametrize("name", TRIED)
def test_unknown_architectures_are_packed_where_that_is_right(name: str) -> None:
    model = causal(*TRIED[name])
    backend = load_backend(model)
    assert isinstance(backend, PackedBackend)
    hold(model, backend)


@pytest.mark.parametrize("name", FALLBACK)
def test_where_packing_is_wrong_every_beam_has_a_row(name: str) -> None:
    model = causal(*FALLBACK[name])
    assert not takes_masks(model) or not agrees(model, PackedBackend(model))
    backend = load_backend(model)
    assert isinstance(backend, RowPerBeamBackend)
    hold(model, backend)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("name", ["qwen3", "mistral", "gpt2"])
def test_the_fallbacks_are_right_for_all(name: str, cached: bool) -> None:
    model = causal(*PACKED[name])
    hold(model, RowPerBeamBackend(model, cached=cached))


@pytest.mark.parametrize("kind", [PackedBackend, RowPerBeamBackend])
def test_heads_that_cannot_be_read_give_logits(kind: Callable[..., SearchBackend]) -> None:
    model = causal("qwen3", {"head_dim": 8})
    hold(model, kind(model, logits=True))


@pytest.mark.parametrize("kind", [PackedT5Backend, EncoderDecoderBackend])
def test_encoder_decoders(kind: Callable[..., SearchBackend]) -> None:
    hold(t5(), kind(t5()))


@pytest.mark.parametrize("gated", [False, True])
def test_the_fused_t5_is_that_of_the_model(gated: bool) -> None:
    model = t5(**({"feed_forward_proj": "gated-gelu", "is_gated_act": True} if gated else {}))
    with torch.no_grad():  # norms are ones in a fresh model
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.3 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(2))
    backend = load_backend(model)
    assert isinstance(backend, PackedT5Backend)
    assert isinstance(backend.layers, FusedT5)
    hold(model, backend)
    with torch.no_grad():  # as training would
        for parameter in model.parameters():
            parameter.mul_(0.9)
    hold(model, backend)
    lora = get_peft_model(t5(), LoraConfig(r=2, target_modules=["q"]))
    assert not fuses_t5(lora)
    assert not fuses_t5(t5().to(torch.bfloat16))
    assert isinstance(load_backend(lora).layers, T5Modules)


def test_a_backend_that_is_wrong_is_noticed() -> None:
    model = causal("qwen3", {"head_dim": 8})
    backend = PackedBackend(causal("qwen3", {"head_dim": 8, "rms_norm_eps": 0.1}))
    assert not agrees(model, backend)


def test_a_model_that_nothing_serves_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.decoding.step_model.agrees", lambda model, backend: False)
    with pytest.raises(DecodingError, match="no way of decoding"):
        load_backend(causal(*TRIED["olmo2"]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["qwen2", "qwen3", "mistral", "gemma3", "gpt2"])
def test_backends_on_a_gpu(name: str, dtype: torch.dtype) -> None:
    model = causal(*PACKED[name]).to("cuda", dtype)
    backend = load_backend(model)
    assert isinstance(backend, FusedBackend | PackedBackend)
    assert agrees(model, backend)
    assert alike(model, backend, RowPerBeamBackend(model))
