"""Faults of the libraries: each test fails on the day one is mended, and then the cure can go."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from genrec.decoding import OutputHead
from genrec.semantic_ids import SemanticIdSpec
from genrec.training import add_lora, save_weights
from genrec.training.compat import mend_head, old_names_unsaid, trained_weights_kept
from genrec.vocabulary import extend_model

SPEC = SemanticIdSpec((5, 4, 6))
PLAIN = {
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "dataloader_pin_memory": False,
    "dataset_kwargs": {"skip_prepare_dataset": True},
}


@pytest.fixture
def wrapped(make_base: Callable[..., Any]) -> Callable[..., Any]:
    """A base with LoRA and new rows as peft alone makes it, and its logits before."""

    def make(family: str = "qwen3", tied: bool = True) -> tuple[Any, torch.Tensor, Any]:
        model, text_tokenizer = make_base(family, tied)
        model, _, vocabulary = extend_model(model, SPEC, text_tokenizer=text_tokenizer)
        logits = model(input_ids=ids(vocabulary)).logits.detach()
        names = {"embed_tokens": vocabulary.new_ids.tolist()}
        if not tied:
            names["lm_head"] = vocabulary.new_ids.tolist()
        config = LoraConfig(
            task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], trainable_token_indices=names
        )
        with old_names_unsaid():
            return get_peft_model(model, config).eval(), logits, vocabulary

    return make


def ids(vocabulary: Any) -> torch.Tensor:
    return torch.from_numpy(vocabulary.new_ids[None, :6])


@pytest.mark.parametrize("tied", [True, False])
def test_trls_fused_head_fails_on_trained_rows_and_works_when_mended(
    wrapped: Callable[..., Any], tied: bool, tmp_path: Path, make_base: Callable[..., Any]
) -> None:
    model, _, vocabulary = wrapped(tied=tied)
    rows = ids(vocabulary)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(str(tmp_path), **PLAIN),
        train_dataset=Dataset.from_list([{"input_ids": rows[0].tolist(), "labels": rows[0].tolist()}]),
        processing_class=make_base()[1],
    )
    del trainer
    with pytest.raises(AttributeError, match="no attribute 'bias'"):
        model(input_ids=rows, labels=rows, fused_lm_head=True)
    mend_head(model)
    fused = model(input_ids=rows, labels=rows, fused_lm_head=True).loss
    assert fused.item() == pytest.approx(model(input_ids=rows, labels=rows).loss.item(), rel=1e-4)


def test_peft_leaves_out_the_bias_of_a_head_with_trained_rows(wrapped: Callable[..., Any]) -> None:
    model, expected, vocabulary = wrapped("phi", False)
    bias = model.get_base_model().get_output_embeddings().token_adapter.get_base_layer().bias.detach()
    found = model(input_ids=ids(vocabulary)).logits
    torch.testing.assert_close(found, expected - bias, atol=1e-5, rtol=1e-5)
    names = set(dict(model.named_parameters()))
    mend_head(model)
    mended = model(input_ids=ids(vocabulary), output_hidden_states=True)
    torch.testing.assert_close(mended.logits, expected, atol=1e-5, rtol=1e-5)
    head = OutputHead.of(model).full(mended.hidden_states[-1][0])
    torch.testing.assert_close(head, expected[0], atol=1e-5, rtol=1e-5)
    mend_head(model)  # twice is once
    torch.testing.assert_close(model(input_ids=ids(vocabulary)).logits, expected, atol=1e-5, rtol=1e-5)
    with model.disable_adapter():
        torch.testing.assert_close(model(input_ids=ids(vocabulary)).logits, expected, atol=1e-5, rtol=1e-5)
    model.merge_adapter()
    torch.testing.assert_close(model(input_ids=ids(vocabulary)).logits, expected, atol=1e-5, rtol=1e-5)
    assert set(dict(model.named_parameters())) == names


def test_peft_alone_would_save_the_whole_matrices(make_base: Callable[..., Any], tmp_path: Path) -> None:
    model, text_tokenizer = make_base(tied=False)
    model.save_pretrained(tmp_path / "base")
    text_tokenizer.save_pretrained(tmp_path / "base")
    model, _, vocabulary = extend_model(tmp_path / "base", SPEC)
    adapter = add_lora(model, vocabulary, r=2)
    with pytest.warns(UserWarning, match="embedding"):
        adapter.save_pretrained(tmp_path / "all")
    save_weights(adapter, tmp_path / "own")
    sizes = {
        folder: max(t.numel() for t in load_file(tmp_path / folder / "adapter_model.safetensors").values())
        for folder in ("all", "own")
    }
    width = model.config.hidden_size
    assert sizes == {"all": model.config.vocab_size * width, "own": len(vocabulary.new_ids) * width}


def test_peft_uses_a_name_that_transformers_gave_up(make_base: Callable[..., Any]) -> None:
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"])
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        get_peft_model(make_base()[0], config)


@pytest.mark.slow
def test_trl_rounds_the_adapters_of_a_quantised_base(make_base: Callable[..., Any], tmp_path: Path) -> None:
    base, text_tokenizer = make_base(width=64)
    base.save_pretrained(tmp_path / "base")
    text_tokenizer.save_pretrained(tmp_path / "base")
    model, text_tokenizer, vocabulary = extend_model(
        tmp_path / "base", SPEC, quantization="4bit", dtype="float32"
    )
    adapter = add_lora(model, vocabulary, r=2)
    before = {name: p.detach().clone() for name, p in adapter.named_parameters() if p.requires_grad}
    row = ids(vocabulary)[0].tolist()

    def start() -> None:
        SFTTrainer(
            model=adapter,
            args=SFTConfig(str(tmp_path / "out"), **PLAIN),
            train_dataset=Dataset.from_list([{"input_ids": row, "labels": row}]),
            processing_class=text_tokenizer,
        )

    with trained_weights_kept(adapter):
        start()
    assert all(torch.equal(p, before[n]) for n, p in adapter.named_parameters() if p.requires_grad)
    start()
    assert {p.dtype for p in adapter.parameters() if p.requires_grad} == {torch.bfloat16}


def test_trls_reference_of_a_trained_adapter_lacks_the_trained_rows(
    wrapped: Callable[..., Any], tmp_path: Path, make_base: Callable[..., Any]
) -> None:
    model, _, vocabulary = wrapped()
    mend_head(model)
    for name, parameter in model.named_parameters():
        if "trainable_tokens_delta" in name:
            parameter.data += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    _, text_tokenizer = make_base()
    prompt, chosen, rejected = (text_tokenizer.decode([token]) for token in (5, 6, 7))
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(
            str(tmp_path),
            **{name: value for name, value in PLAIN.items() if name != "dataset_kwargs"},
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": prompt, "chosen": chosen, "rejected": rejected}]),
        processing_class=text_tokenizer,
    )
    new = vocabulary.new_ids[:3].tolist()
    batch = trainer.data_collator([{"prompt_ids": [1], "chosen_ids": new, "rejected_ids": new[::-1]}])
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model.train(), batch)
    assert abs(float(loss) - math.log(2)) > 1e-3
