"""Peak memory of the loss over a large vocabulary, every position supervised, against trl's chunked head.

Both take one training step (forward and backward) of the same model of one thin layer, apart from each other;
the memory is what the step needs beyond model and batch, the head's gradient included.

Does not know the other parts of the benchmark.
"""

from __future__ import annotations

import numpy as np
import torch
from benchmark_training_results import Result, apart, attempt, device, memory, reset_peak
from benchmark_training_shapes import PADDED_MATRIX, Shape, catalog_of, tokens_of, vocabulary_at_end
from trl.trainer.utils import add_fused_lm_head

from genrec.decoding import OutputHead
from genrec.semantic_ids import SemanticIdSpec
from genrec.training import SemanticIdLoss
from genrec.training.mixed_precision import last_states

SPEC = SemanticIdSpec((277, 277, 277))  # 1,024 tokens with the terminator and the user codes
TOLERANCE = 1e-4


def step(which: str, rows: int, width: int, tokens: int) -> tuple[float, float, float]:
    """MiB at the peak of a step beyond what stood there before, the loss, the norm of the head's gradient."""
    network = Shape(1, width, rows, torch.float32).model(tokens_of(SPEC), device())
    rng = np.random.default_rng(0)
    ids = torch.from_numpy(rng.integers(rows, size=(4, tokens // 4))).to(device())
    if which == "trl":
        add_fused_lm_head(network)
    else:
        catalog = catalog_of([f"item{number:02d}" for number in range(16)], SPEC)
        loss_of = SemanticIdLoss(catalog.trie, vocabulary_at_end(SPEC, rows), "full", device())
    network.train()
    before = memory()
    reset_peak()
    if which == "trl":
        out = network(input_ids=ids, labels=ids, fused_lm_head=True)
        loss = -out.log_probs.sum()
    else:
        with last_states(network) as caught:
            network(input_ids=ids, use_cache=False, logits_to_keep=1)
        loss = loss_of(caught.pop(), OutputHead.of(network), ids, ids)
    loss.backward()
    peak = memory(peak=True)
    gradient = network.get_output_embeddings().weight.grad
    return peak - before, float(loss.detach()), float(gradient.norm())


def measure(tokens: int, width: int, rows: int = PADDED_MATRIX) -> list[Result]:
    """Both steps, apart from each other, or a row that says why not."""
    return attempt(f"peak of the loss, {rows:,} rows", both, tokens, width, rows)


def both(tokens: int, width: int, rows: int) -> list[Result]:
    """The two peaks and their ratio."""
    ours, loss, gradient = apart(step, "genrec", rows, width, tokens)
    theirs, trl_loss, trl_gradient = apart(step, "trl", rows, width, tokens)
    same = abs(loss / trl_loss - 1) < TOLERANCE and abs(gradient / trl_gradient - 1) < TOLERANCE
    vocabulary = rows + tokens_of(SPEC)
    shape = f"loss, {vocabulary:,} tokens of vocabulary, {tokens:,} positions, width {width}, float32"
    return [
        Result(f"{shape}: peak, genrec", ours, "MiB"),
        Result(f"{shape}: peak, trl's chunked head", theirs, "MiB"),
        Result(f"{shape}: peak, genrec / trl", ours / theirs, "x", at_most=1.0, identical=same),
    ]
