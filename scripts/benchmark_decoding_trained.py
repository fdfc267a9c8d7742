"""A saved recommender with its test users' real prompts: generate, beams, and lists that are proven.

Does not know how the recommender was trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from benchmark_decoding_searches import paired, seconds
from benchmark_training_results import Result

from genrec.data import InteractionLog
from genrec.decoding import ConstrainedBeamSearch, ItemLevelSearch
from genrec.recommender import load_recommender
from genrec.tasks.item_sequences import padded_items

Measure = Callable[[], list[Result]]
K, BUDGET, SAMPLE = 10, 1000, 32


def trained_rows(options: argparse.Namespace) -> Iterator[Measure]:
    """All rows of one checkpoint."""
    if options.checkpoint is None:
        raise SystemExit("the part `trained` needs --checkpoint and --interactions")
    recommender = load_recommender(options.checkpoint)
    catalog = recommender.catalog
    log = InteractionLog.read(options.interactions, time="order")
    cases = log.leave_one_out().test
    histories = [[item for item in history if item in catalog] for history in cases.histories]
    histories = [history for history in histories if history][: options.users]
    if isinstance(recommender.ranker.search, ItemLevelSearch):
        yield lambda: _exact(_item_level(recommender, histories), "item-level", recommender.ranker.search)
        return
    prompts = [recommender.ranker.prompt(history) for history in histories]
    search = own = recommender.ranker.search
    yield lambda: _exact(_language_model(recommender, prompts), search.normalize, search)
    if search.normalize != "full":
        full = ConstrainedBeamSearch(
            search.model, search.trie, recommender.vocabulary, normalize="full", num_beams=search.num_beams
        )
        yield lambda: _exact(_language_model(recommender, prompts), "full", full)
        search = full
    for batch in (1, SAMPLE):
        yield lambda batch=batch, search=search: _against_generate(
            recommender, prompts, search, own, batch, 2 * options.times + 1
        )
    yield lambda search=search: _mass(recommender, prompts[:SAMPLE], search)


def _padded(recommender: Any, prompts: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), recommender.ranker.builder.pad_token_id)
    mask = torch.zeros_like(ids)
    for place, prompt in enumerate(prompts):
        ids[place, longest - len(prompt) :] = torch.from_numpy(prompt)
        mask[place, longest - len(prompt) :] = 1
    return ids, mask


def _language_model(recommender: Any, prompts: list[np.ndarray]) -> list[tuple[Any, Any]]:
    return [_padded(recommender, [prompt]) for prompt in prompts]


def _item_level(recommender: Any, histories: list[list[str]]) -> list[tuple[Any, Any]]:
    longest = recommender.ranker.search.model.config.max_positions
    return [padded_items([recommender.catalog.rows(history)[-longest:]]) for history in histories]


def _exact(cases: list[tuple[Any, Any]], name: str, search: Any) -> list[Result]:
    """One request a user: the beam, then the same with the proof."""
    beams, exact, proven, expanded, kept, certified = [], [], 0, [], 0, 0
    search.search(*cases[0], K)
    for case in cases:
        plain, taken = seconds(lambda case=case: search.search(*case, K))
        beams.append(taken)
        found, taken = seconds(lambda case=case: search.search(*case, K, exact=True, budget=BUDGET))
        exact.append(taken)
        proven += int(found.proven[0])
        expanded.append(int(found.expanded[0] - plain.expanded[0]))
        certified += int(plain.certified.sum())
        kept += len(set(plain.rows[0].tolist()) & set(found.rows[0].tolist()))
    users, setting = len(cases), f"{name}, W {search.num_beams}, budget {BUDGET}, {len(cases)} test users"
    ratio = sum(exact) / sum(beams)
    note = f"{1000 * sum(exact) / users:.3g} ms against {1000 * sum(beams) / users:.3g} ms a user"
    spent = f"median {np.median(expanded):.0f}, 95th percentile {np.quantile(expanded, 0.95):.0f} nodes more"
    return [
        Result(f"top 10 proven, {setting}", 100 * proven / users, "%", at_least=95.0, note=spent),
        Result(f"proven top 10 / own beam, {setting}", ratio, "x", at_most=2.0, note=note),
        Result(f"items the beam certifies for nothing, {setting}", 100 * certified / (K * users), "%"),
        Result(f"of the true top 10 the beam holds, {setting}", 100 * kept / (K * users), "%"),
    ]


def _against_generate(
    recommender: Any,
    prompts: list[np.ndarray],
    search: ConstrainedBeamSearch,
    own: ConstrainedBeamSearch,
    batch: int,
    times: int,
) -> list[Result]:
    """Beams and proofs against generate on the same real prompts; `own` normalises as in training."""
    ids, mask = _padded(recommender, sorted(prompts[:batch], key=len))
    pair = paired(search, ids, mask, recommender.vocabulary, times)
    setting = f"trained checkpoint, {len(search.trie.rows):,} items, b {batch}, W {search.num_beams}"
    found = [Result(f"full, {setting}", pair.ratio, "x", identical=pair.identical, note=pair.note)]
    for one in (own,) if own is search else (own, search):
        exact = []
        for _ in range(times + 1):
            listed, taken = seconds(lambda one=one: one.search(ids, mask, K, exact=True, budget=BUDGET))
            exact.append(taken)
        taken = float(np.median(exact[1:]))
        note = (
            f"{np.median(pair.theirs):.3g} s against {taken:.3g} s; {listed.proven.float().mean():.0%} proven"
        )
        name = f"generate's beam / our proven top 10, {one.normalize}, {setting}"
        found.append(Result(name, float(np.median(pair.theirs)) / taken, "x", at_least=1.0, note=note))
    return found


def _mass(recommender: Any, prompts: list[np.ndarray], search: ConstrainedBeamSearch) -> list[Result]:
    """The probability the model gives to all items of the catalog together."""
    scores = search.score(*_padded(recommender, prompts))
    mass = scores.double().exp().sum(dim=1)
    name = f"probability on the catalog, full, mean of {len(prompts)} test users"
    return [Result(name, 100 * float(mass.mean()), "%")]
