"""Benchmark of evaluation: beam search over all users against transformers' generate, and the statistics.

python scripts/benchmark_evaluation.py [--quick] [--json]

A small model with random weights, as many items and users as Amazon Beauty has, histories and Semantic IDs
at random: the time depends on their shape only. Both searches run in this process on the same prompts, model
and threads; where their lists differ the ratio means nothing, so the share of equal lists is told.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from genrec import Catalog, GenerativeRanker, RetrievalEvaluator, SemanticIdSpec, SemanticIdVocabulary
from genrec.data import Cases
from genrec.evaluation import permutation_test
from genrec.evaluation.bootstrap import bootstrap_intervals, slice_intervals
from genrec.tasks import PromptBuilder
from genrec.vocabulary import build_small_model, train_text_tokenizer

SIZES = (256, 256, 256)
METRICS = ("recall@5", "ndcg@5", "recall@10", "ndcg@10", "mrr@10")
K = 10


def main() -> None:
    """Runs the parts and prints what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=22_363)
    parser.add_argument("--items", type=int, default=12_101)
    parser.add_argument("--sample", type=int, default=1_000, help="users for transformers' generate")
    parser.add_argument("--beams", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128, help="prompts searched at once, by both")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds: 400 users, 500 items, 48 sampled"
    )
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    options = parser.parse_args()
    if options.quick:
        options.users, options.items, options.sample, options.batch_size = 400, 500, 48, 16
    torch.set_num_threads(options.threads)
    found: dict[str, Any] = {
        "hardware": f"{os.cpu_count()} {platform.machine()} cores",
        "torch": torch.__version__,
        **vars(options),
    }
    ranker, cases = world(options)
    found |= search(ranker, cases, options)
    found |= statistics(options.users, options.seed)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:34} {value:,.3f}" if isinstance(value, float) else f"{name:34} {value}")


def world(options: argparse.Namespace) -> tuple[GenerativeRanker, Cases]:
    """The recipe's small model over random IDs, and random histories as long as Beauty's."""
    generator = np.random.default_rng(options.seed)
    numbers = generator.choice(np.prod(SIZES), size=options.items, replace=False)
    codes = np.stack(np.unravel_index(numbers, SIZES), axis=1)  # [items, 3]
    names = [f"i{number}" for number in range(options.items)]
    spec = SemanticIdSpec(SIZES)
    text_tokenizer = train_text_tokenizer(["a text"], vocab_size=260)
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, spec)
    model = build_small_model(
        text_tokenizer,
        hidden_size=128,
        num_layers=2,
        num_heads=4,
        intermediate_size=256,
        max_positions=256,
        initializer_range=0.15,  # large enough to tell beams apart
        seed=options.seed,
    ).eval()
    builder = PromptBuilder(
        vocabulary, bos_token_id=text_tokenizer.bos_token_id, pad_token_id=text_tokenizer.pad_token_id
    )
    ranker = GenerativeRanker(
        model,
        builder,
        Catalog(names, codes, spec),
        normalize="full",  # as transformers scores
        num_beams=options.beams,
        batch_size=options.batch_size,
    )
    lengths = np.minimum(4 + generator.geometric(0.25, size=options.users) - 1, 20)
    histories = [[names[i] for i in generator.integers(options.items, size=n)] for n in lengths.tolist()]
    targets = [names[i] for i in generator.integers(options.items, size=options.users)]
    return ranker, Cases([f"u{i}" for i in range(options.users)], histories, targets)


def search(ranker: GenerativeRanker, cases: Cases, options: argparse.Namespace) -> dict[str, Any]:
    """Users a second of the evaluator and of generate, and how many of their lists are equal."""
    evaluator = RetrievalEvaluator(cases, item_ids=ranker.catalog.item_ids, ks=(5, K), bootstrap=0)
    result, seconds = timed(lambda: evaluator.evaluate(ranker))
    sample = sorted(
        cases.sample(min(options.sample, len(cases)), seed=options.seed).histories, key=lambda h: (len(h), h)
    )
    generate = generator_of(ranker)
    theirs: list[list[str]] = []
    ours: list[list[str]] = []
    taken, generate_taken = 0.0, 0.0
    for start in range(0, len(sample), options.batch_size):  # in turn, so that other load meets both alike
        block = sample[start : start + options.batch_size]
        found, seconds_of_block = timed(lambda block=block: generate(block))
        theirs, generate_taken = theirs + found, generate_taken + seconds_of_block
        items, seconds_of_block = timed(lambda block=block: ranker.rank(block, K)[0])
        ours += [[item for item in row if item] for row in items.tolist()]
        taken += seconds_of_block
    equal = float(np.mean([one == other for one, other in zip(ours, theirs, strict=True)]))
    return {
        "evaluation_seconds": seconds,
        "search_seconds": result.seconds,
        "users_per_second": len(cases) / result.seconds,
        "sampled_users_per_second": len(sample) / taken,
        "generate_users_per_second": len(sample) / generate_taken,
        "ratio": generate_taken / taken,
        "equal_lists": equal,
        "identical": equal == 1.0,
    }


def generator_of(ranker: GenerativeRanker) -> Callable[[Sequence[Sequence[str]]], list[list[str]]]:
    """Lists by transformers' generate with `prefix_allowed_tokens_fn` over a trie of dictionaries."""
    catalog, vocabulary = ranker.catalog, ranker.builder.vocabulary
    tokens = vocabulary.encode(catalog.codes)  # [items, 3]
    item_of = {tuple(row): item for row, item in zip(tokens.tolist(), catalog.item_ids, strict=True)}
    children: dict[tuple[int, ...], dict[int, None]] = {}
    for row in item_of:
        for end in range(len(row)):
            children.setdefault(row[:end], {})[row[end]] = None
    allowed = {prefix: list(following) for prefix, following in children.items()}

    def generate(histories: Sequence[Sequence[str]]) -> list[list[str]]:
        known = [catalog.codes[catalog.rows(list(history))] for history in histories]
        ids, mask = (torch.from_numpy(array) for array in ranker.builder.batch(known))
        begun = ids.shape[1]
        out = ranker.search.model.generate(
            ids,
            attention_mask=mask,
            num_beams=ranker.search.num_beams,
            num_return_sequences=K,
            prefix_allowed_tokens_fn=lambda _, sent: allowed[tuple(sent[begun:].tolist())],
            max_new_tokens=len(SIZES),
            length_penalty=0.0,
            do_sample=False,
            eos_token_id=None,
        )
        named = [item_of.get(tuple(row), "") for row in out[:, begun:].tolist()]
        return [named[i : i + K] for i in range(0, len(named), K)]

    return generate


def statistics(users: int, seed: int) -> dict[str, float]:
    """Seconds for the intervals of five metrics, those of eight slices, and a paired test of all five."""
    generator = np.random.default_rng(seed)
    values = {name: (generator.random(users) < 0.1) * generator.random(users) for name in METRICS}
    slices = {str(number): generator.random(users) < 0.3 for number in range(8)}
    _, intervals = timed(lambda: bootstrap_intervals(values, resamples=1000, seed=seed))
    _, of_slices = timed(lambda: slice_intervals(values, slices, resamples=1000, seed=seed))
    others = np.stack([generator.permutation(column) for column in values.values()], axis=1)
    differences = np.stack(list(values.values()), axis=1) - others  # [users, metrics]
    _, test = timed(lambda: permutation_test(differences, permutations=10_000, seed=seed))
    return {
        "interval_seconds": intervals,
        "slice_interval_seconds": of_slices,
        "permutation_test_seconds": test,
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work returns, and the seconds it took."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


if __name__ == "__main__":
    main()
