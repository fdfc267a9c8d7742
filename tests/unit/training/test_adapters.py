"""LoRA with new rows: exact to resume, small to save, merged without a loss; new rows first where asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, TrainerCallback

from genrec.errors import TrainingError
from genrec.semantic_ids import SemanticIdSpec
from genrec.training import AlignmentConfig, AlignmentTrainer, add_lora, load_weights, merge, save_weights
from genrec.vocabulary import extend_model

SPEC = SemanticIdSpec((5, 4, 6))


class StopAt(TrainerCallback):
    """Ends a run after a step, as if it had been cut off there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= self.step


class Snapshots(TrainerCallback):
    """Keeps all weights after every step."""

    def __init__(self) -> None:
        self.after: dict[int, dict[str, torch.Tensor]] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.keep(state.global_step, kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.keep(state.global_step, kwargs["model"])

    def keep(self, step: int, model: Any) -> None:
        self.after[step] = {name: p.detach().clone() for name, p in model.named_parameters()}


def trained(trainer: AlignmentTrainer) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters() if p.requires_grad])


OPTIONS = {
    "lora": {"lora_r": 4},
    "lora, all on": {"lora_r": 4, "lora_dropout": 0.1, "ema_decay": 0.9, "rows_first_steps": 5},
    "full, new rows first": {"rows_first_steps": 5, "weight_decay": 0.1},
    "full, new rows first, cut off there": {"rows_first_steps": 4, "weight_decay": 0.1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_run_cut_off_and_resumed_equals_one_that_was_not(
    tmp_path: Path, make_base: Callable[..., Any], make_run: Callable[..., Any], tied: bool, options: Any
) -> None:
    def run(name: str, *callbacks: Any) -> AlignmentTrainer:
        trainer: AlignmentTrainer = make_run(
            tmp_path / name, make_base(tied=tied), callbacks, **{"max_steps": 9, **options}
        )
        trainer.train()
        return trainer

    whole = run("whole")
    assert run("cut", StopAt(6)).state.global_step == 6
    again = run("cut")
    assert again.state.global_step == 9
    assert torch.equal(trained(again), trained(whole))
    if whole.averaging is not None:
        assert len(whole.averaging.shadows) == sum(p.requires_grad for p in whole.model.parameters())
        for name, shadow in whole.averaging.shadows.items():
            assert torch.equal(shadow, again.averaging.shadows[name])


@pytest.mark.parametrize("lora_r", [0, 4])
@pytest.mark.parametrize(("family", "tied"), [("qwen3", True), ("phi", False)])
def test_new_rows_move_alone_and_then_everything(
    tmp_path: Path,
    make_base: Callable[..., Any],
    make_run: Callable[..., Any],
    family: str,
    tied: bool,
    lora_r: int,
) -> None:
    seen = Snapshots()
    trainer = make_run(
        tmp_path,
        make_base(family, tied),
        [seen],
        lora_r=lora_r,
        rows_first_steps=3,
        max_steps=5,
        weight_decay=0.5,
    )
    new = torch.from_numpy(trainer.prompt_builder.vocabulary.new_ids)
    rows = {id(p) for p in trainer.rows_first.rows.values()}
    names = {name for name, p in trainer.model.named_parameters() if id(p) in rows}
    trainer.train()
    old = torch.ones(int(new[-1]) + 1, dtype=torch.bool)
    old[new] = False
    first, before, after = seen.after[0], seen.after[3], seen.after[5]
    moved = set()
    for name, value in first.items():
        if name in names and lora_r == 0:
            assert torch.equal(before[name][old], value[old]), name
            assert not torch.equal(before[name][new], value[new]), name
            if "bias" not in name:  # nothing asks the old tokens' biases to move
                assert not torch.equal(after[name][old], value[old]), name
        elif name in names:
            assert not torch.equal(before[name], value), name
        else:
            assert torch.equal(before[name], value), name
        if not torch.equal(after[name], before[name]):
            moved.add(name)
    assert moved == {name for name, p in trainer.model.named_parameters() if p.requires_grad}


def test_a_decay_of_their_own_for_the_new_rows(
    tmp_path: Path, make_base: Callable[..., Any], make_run: Callable[..., Any]
) -> None:
    trainer = make_run(
        tmp_path, make_base(tied=False), lora_r=2, weight_decay=0.3, embedding_weight_decay=0.02
    )
    groups = trainer.create_optimizer().param_groups
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    decays = {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
    assert {d for name, d in decays.items() if "trainable_tokens" in name} == {0.02}
    assert {d for name, d in decays.items() if "lora_" in name} == {0.3}
    assert len(decays) == sum(p.requires_grad for p in trainer.model.parameters())


def test_a_wrapped_model_trains_on(
    tmp_path: Path, make_base: Callable[..., Any], make_run: Callable[..., Any]
) -> None:
    first = make_run(tmp_path / "one", lora_r=4, max_steps=4)
    first.train()
    base, text_tokenizer = make_base()
    model, _, vocabulary = extend_model(base, SPEC, text_tokenizer=text_tokenizer)
    loaded = PeftModel.from_pretrained(model, tmp_path / "one" / "checkpoint-4")
    assert not any(p.requires_grad for p in loaded.parameters())
    trainer = AlignmentTrainer(
        model=loaded,
        text_tokenizer=text_tokenizer,
        vocabulary=vocabulary,
        train_dataset=first.train_dataset.mixture,
        args=AlignmentConfig(
            str(tmp_path / "two"), use_cpu=True, max_steps=2, disable_tqdm=True, max_history=5
        ),
    )
    assert torch.equal(trained(trainer), trained(first))
    trainer.train()
    assert not torch.equal(trained(trainer), trained(first))


def test_what_is_saved_is_put_back(tmp_path: Path, make_base: Callable[..., Any]) -> None:
    model, text_tokenizer = make_base(tied=False)
    model, _, vocabulary = extend_model(model, SPEC, text_tokenizer=text_tokenizer)
    wrapped = add_lora(model, vocabulary, r=2)
    kept = {name: p.detach().clone() for name, p in wrapped.named_parameters()}
    save_weights(wrapped, tmp_path)
    assert len(load_file(tmp_path / "adapter_model.safetensors")) == sum(
        p.requires_grad for p in wrapped.parameters()
    )
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    assert load_weights(wrapped, tmp_path) is wrapped
    assert all(torch.equal(p, kept[name]) for name, p in wrapped.named_parameters())
    other, text_tokenizer = make_base(tied=True)
    extend_model(other, SPEC, text_tokenizer=text_tokenizer)
    with pytest.raises(TrainingError, match="another adapter"):
        load_weights(add_lora(other, vocabulary, r=2), tmp_path)


def test_adapters_depend_on_the_seed_alone(make_base: Callable[..., Any]) -> None:
    found = []
    for seed in (1, 1, 2):
        torch.rand(3)
        model, text_tokenizer = make_base()
        model, _, vocabulary = extend_model(model, SPEC, text_tokenizer=text_tokenizer)
        wrapped = add_lora(model, vocabulary, r=2, seed=seed)
        found.append(torch.cat([p.reshape(-1) for n, p in wrapped.named_parameters() if "lora_A" in n]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_a_quantised_base_learns_and_is_merged_in_bfloat16(
    tmp_path: Path, make_base: Callable[..., Any], make_run: Callable[..., Any], tied: bool
) -> None:
    base, text_tokenizer = make_base(tied=tied, width=64)
    base.save_pretrained(tmp_path / "base")
    text_tokenizer.save_pretrained(tmp_path / "base")
    model, text_tokenizer, vocabulary = extend_model(
        tmp_path / "base", SPEC, quantization="4bit", dtype="float32"
    )
    mixture = make_run(tmp_path / "unused").train_dataset.mixture
    arguments = {"lora_r": 4, "max_steps": 15, "learning_rate": 0.01, "normalize": "full", "logging_steps": 1}
    trainer = AlignmentTrainer(
        model=model,
        text_tokenizer=text_tokenizer,
        vocabulary=vocabulary,
        train_dataset=mixture,
        args=AlignmentConfig(
            str(tmp_path / "out"), use_cpu=True, disable_tqdm=True, max_history=5, **arguments
        ),
    )
    assert {p.dtype for p in trainer.model.parameters() if p.requires_grad} == {torch.float32}
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    with torch.random.fork_rng():
        merged = merge(trainer.model)
    assert merged.dtype is torch.bfloat16
    assert not hasattr(merged.config, "quantization_config")
    merged.save_pretrained(tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="float32")
    ids = torch.from_numpy(vocabulary.new_ids[None, :7])

    on_bfloat16 = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype="bfloat16")
    on_bfloat16.resize_token_embeddings(len(text_tokenizer))
    save_weights(trainer.model, tmp_path / "adapter")
    adapter = PeftModel.from_pretrained(on_bfloat16, tmp_path / "adapter").float()
    with torch.no_grad():
        expected, found = adapter.eval()(input_ids=ids).logits, plain.eval()(input_ids=ids).logits
        quantised = trainer.model.eval()(input_ids=ids).logits
    torch.testing.assert_close(
        found, expected, atol=0.15, rtol=0
    )  # the merged weights are rounded to bfloat16
    assert (found - quantised).abs().mean() < 0.25 * quantised.std()


def test_what_cannot_be_wrapped_or_merged_is_refused(tmp_path: Path, make_base: Callable[..., Any]) -> None:
    model, text_tokenizer = make_base()
    _, _, vocabulary = extend_model(make_base()[0], SPEC, text_tokenizer=text_tokenizer)
    with pytest.raises(TrainingError, match="no rows for the new tokens"):
        add_lora(model, vocabulary)
    extend_model(model, SPEC, text_tokenizer=text_tokenizer)
    wrapped = add_lora(model, vocabulary, r=2)
    with pytest.raises(TrainingError, match="has an adapter already"):
        add_lora(wrapped, vocabulary)
    model.config.quantization_config = object()  # stands for a quantised model without a name
    with pytest.raises(TrainingError, match="this one has no name"):
        merge(wrapped)
    for options in ({"lora_r": -1}, {"rows_first_steps": -2}):
        with pytest.raises(TrainingError, match="is negative"):
            AlignmentConfig(str(tmp_path), use_cpu=True, **options)
    with pytest.raises(TrainingError, match=r"lora_dropout is outside"):
        AlignmentConfig(str(tmp_path), use_cpu=True, lora_dropout=1.0)
