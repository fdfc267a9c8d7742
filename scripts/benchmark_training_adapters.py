"""LoRA with new rows trained beside it: the adapter's size, and the step against the same LoRA without rows.

The steps are taken in turn in one process, on the same batch and with the same loss; all that differs is
whether the new rows are trained. Does not know the other parts of the benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from benchmark_training_results import Result, attempt, device, median_ratio, synchronised
from benchmark_training_shapes import Shape, catalog_of, tokens_of, vocabulary_at_end
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict

from genrec.decoding import OutputHead
from genrec.semantic_ids import SemanticIdSpec
from genrec.training import SemanticIdLoss, add_lora
from genrec.training.mixed_precision import AdapterCasts, last_states

SPEC = SemanticIdSpec((277, 277, 277))  # 1,024 tokens with the terminator and the user codes
RANK, ALPHA = 16, 32
ITEMS, ROW = 10_000, 258  # of the catalog; tokens of a row


def size(shape: Shape) -> list[Result]:
    """Adapters and new rows against the whole base, counted without weights."""
    new = tokens_of(SPEC)
    base = shape.model(new, device="meta")
    parameters = sum(p.numel() for p in base.parameters())
    model = add_lora(base, vocabulary_at_end(SPEC, shape.rows), r=RANK, alpha=ALPHA)
    saved = get_peft_model_state_dict(model, save_embedding_layers=False).values()
    count, stored = sum(t.numel() for t in saved), sum(t.numel() * t.element_size() for t in saved)
    bytes_of_base = parameters * torch.empty(0, dtype=shape.dtype).element_size()
    name = f"LoRA r {RANK} and {new:,} new rows, {shape}"
    return [
        Result(f"{name}: parameters / base", 100 * count / parameters, "%", at_most=2.0),
        Result(
            f"{name}: bytes as trained / base", 100 * stored / bytes_of_base, "%", note="float32 adapters"
        ),
    ]


def stepper(
    model: PeftModel, loss_of: SemanticIdLoss, ids: torch.Tensor, *, through_head: bool
) -> Callable[[], float]:
    """One training step on the same batch, every time it is called; returns its seconds.

    Our trainer goes through the whole model, head included, for a single logit that nobody reads; the other
    side is spared that, as torch may copy a frozen head's whole matrix for it. On a GPU the steps run in
    mixed precision, as a trainer's do.
    """
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    model.train()
    casts, mixed = AdapterCasts(model), torch.accelerator.is_available()

    def step() -> float:
        synchronised()
        began = time.perf_counter()
        with casts.left_to_autocast(mixed):
            with torch.autocast(device().type, torch.bfloat16, enabled=mixed), last_states(model) as caught:
                if through_head:
                    model(input_ids=ids, use_cache=False, logits_to_keep=1)
                else:
                    model.get_base_model().base_model(input_ids=ids, use_cache=False)
            states = caught.pop()  # [rows, tokens, width]
            loss = loss_of(states, OutputHead.of(model), ids, ids) / ids.numel()
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        synchronised()
        return time.perf_counter() - began

    return step


def steps(shape: Shape, tokens: int, times: int) -> list[Result]:
    """Steps with and without trained rows, in turn."""
    new = tokens_of(SPEC)
    vocabulary = vocabulary_at_end(SPEC, shape.rows)
    catalog = catalog_of([f"item{number:05d}" for number in range(ITEMS)], SPEC)
    loss_of = SemanticIdLoss(catalog.trie, vocabulary, "allowed", device())
    rng = np.random.default_rng(0)
    items = rng.integers(ITEMS, size=(-(-tokens // ROW), ROW // SPEC.length))
    ids = torch.from_numpy(vocabulary.encode(catalog.codes[items])).flatten(1)  # [rows, items * L]
    ids = ids.to(device())
    plain = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear")
    ours = add_lora(shape.model(new, device()), vocabulary, r=RANK, alpha=ALPHA)
    with_rows = stepper(ours, loss_of, ids, through_head=True)
    without = stepper(get_peft_model(shape.model(new, device()), plain), loss_of, ids, through_head=False)
    pairs = [(with_rows(), without()) for _ in range(times + 1)][1:]  # the first pair warms up
    took, plain_took = zip(*pairs, strict=True)
    name = f"a step of {ids.numel():,} tokens, {shape}"
    return [
        Result(f"{name}: LoRA with trained rows", float(np.median(took)), "s"),
        Result(f"{name}: the same LoRA without", float(np.median(plain_took)), "s"),
        Result(f"{name}: with / without", median_ratio(took, plain_took), "x", at_most=1.15),
    ]


def measure(shape: Shape, tokens: int, times: int) -> list[Result]:
    """The size of Qwen3-0.6B's adapter, and the step of a shape."""
    name = f"LoRA with new rows, {shape}"
    return [*size(Shape()), *attempt(name, steps, shape, tokens, times)]
