"""Stage `evaluate`: the bundle and the baselines on the test cases, one rule for all rows.

Does not know training.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import os
import platform
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genrec.artifacts import has_artifact, saved_artifact
from genrec.baselines import (
    ContentKNN,
    ItemKNN,
    MarkovKNN,
    Popularity,
    RandomRanker,
    tune_item_knn,
    tune_markov_knn,
)
from genrec.catalog import Catalog
from genrec.config import fingerprint
from genrec.data import Cases
from genrec.evaluation import (
    EvaluationReport,
    EvaluationResult,
    RetrievalEvaluator,
    check_leaks,
    check_row_order,
    write_run,
)
from genrec.pipeline.alignment import align_fingerprint, bundle_folder
from genrec.pipeline.held_out import probe_held_out
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.semantic_ids import content_vectors, has_given_ids, vectors_facts
from genrec.pipeline.stage import StageResult, write_resolved
from genrec.ranking import Ranker
from genrec.recipe import Recipe
from genrec.recommender import (
    GenerativeRanker,
    GenerativeRecommender,
    ItemLevelRanker,
    ItemLevelRecommender,
    load_recommender,
)
from genrec.training import process_state

logger = logging.getLogger(__name__)

KIND = "evaluation"
RUNS = "runs"
TUNING_CASES = 4000  # of the validation, for the settings of a Markov chain
VERSION = 4  # of what is written; a report of another version is made anew


def evaluate(recipe: Recipe, inputs: Inputs | None = None) -> StageResult:
    """Measures genrec and the baselines on the test cases and writes the report and a run of each ranker.

    The leak probes run first: when the order of the item table's rows tells the next item, a history holds
    its answer, a split by time trains on what came later, or IDs and vectors that are made of interactions
    know the held-out ones, no number is printed. The bundle must be trained already; its `metrics.json` is
    brought up to date.

    Items that the bundle's catalog has retired are named by no ranker, and cases whose answer is one of them
    are left out.

    In a launch of several processes each asks the rankers for a part of the lists; the first one writes.

    Raises:
        DataError: A probe found a leak.
        ArtifactError: No trained bundle, or a damaged one.
    """
    state = process_state()
    with state.main_process_first():
        inputs = inputs or load_inputs(recipe)
    bundle, folder = bundle_folder(recipe), recipe.output_dir / "evaluation"
    recommender = load_recommender(bundle, device=str(state.device))
    changed = changed_data(recipe, recommender.recipe)
    if changed and state.is_main_process:
        logger.warning(
            "the bundle in %s was trained with other data settings, so that test cases may have been trained "
            "on: %s",
            bundle,
            "; ".join(changed),
        )
    wanted = fingerprint(
        [
            VERSION,
            align_fingerprint(recipe, inputs),
            recipe.evaluate,
            recipe.decode,
            recommender.catalog.fingerprint(),
            *(vectors_facts(recipe) if has_given_ids(recipe) else []),  # content-kNN's
        ]
    )
    done = has_artifact(folder, kind=KIND, facts={"inputs": wanted})
    state.wait_for_everyone()
    if done:
        return StageResult("evaluate", folder, True, f"skipped, the same report is in {folder}")
    section, split = recipe.evaluate, inputs.split
    probe = check_row_order(inputs.items, split.test)
    leaks = check_leaks(inputs.log, split, by_time=recipe.data.split == "time")
    leaks = dataclasses.replace(leaks, held_out=probe_held_out(recipe, inputs))
    cases = answerable(split.test, recommender.catalog)
    evaluator = RetrievalEvaluator(
        cases,
        item_ids=offered(recommender.catalog),
        ks=section.ks,
        mask_history=section.mask_history,
        bootstrap=section.bootstrap,
        seed=recipe.seed,
        train=split.train,
        semantic_ids=shared_ids(recommender.catalog),
    )
    results = []
    for make in rankers(recipe, inputs, recommender):
        with state.main_process_first():  # it encodes and writes caches, the others read them
            ranker = make()
        results.append(evaluator.evaluate(ranker, state))
    if state.is_main_process:
        facts = _facts(recipe, inputs)
        if len(cases) < len(split.test):
            facts["cases left out"] = f"{len(split.test) - len(cases)}, whose answers are retired items"
        report = EvaluationReport(results, probe, facts, leaks)
        _write(recipe, report, folder, wanted)
        recommender.metrics = {**recommender.metrics, "test": report.to_dict()}
        recommender.save_pretrained(bundle)
    state.wait_for_everyone()
    return StageResult("evaluate", folder, False, f"report in {folder / 'report.md'}")


def changed_data(recipe: Recipe, trained: Mapping[str, Any]) -> list[str]:
    """Data settings, and the seed of synthetic data, that differ from those a bundle was trained with.

    Names of files are passed over: the same file may be called by another name.

    Args:
        recipe: The recipe that is evaluated.
        trained: The resolved recipe in the bundle; an empty one tells nothing.
    """
    if "data" not in trained:
        return []
    now = recipe.to_mapping()
    pairs = {
        f"data.{name}": (trained["data"].get(name, value), value)
        for name, value in now["data"].items()
        if name not in ("items", "interactions")
    }
    if recipe.data.source == "synthetic":
        pairs["seed"] = (trained.get("seed", recipe.seed), recipe.seed)
    return [f"{name} was {was!r} and is {value!r}" for name, (was, value) in pairs.items() if was != value]


def offered(catalog: Catalog) -> list[str]:
    """The items that may be named: all that are not retired."""
    return [item for item in catalog.item_ids if item in catalog]


def answerable(cases: Cases, catalog: Catalog) -> Cases:
    """The cases whose answer is not retired."""
    retired = set(catalog.retired_ids)
    kept = [row for row, target in enumerate(cases.targets) if target not in retired]
    return cases if len(kept) == len(cases) else cases.subset(kept)


def shared_ids(catalog: Catalog) -> dict[str, str] | None:
    """The IDs without the code that tells items of one ID apart; None where no item shares its ID."""
    native = catalog.native_codes
    if native is None or native.shape[1] + 1 != catalog.codes.shape[1]:
        return None
    texts = ["-".join(map(str, row)) for row in native[catalog.active].tolist()]
    return dict(zip(offered(catalog), texts, strict=True)) if len(set(texts)) < len(texts) else None


def run_folder(folder: Path, result: EvaluationResult) -> Path:
    """Where the run of a ranker lies in the folder of an evaluation."""
    return folder / RUNS / re.sub(r"[^\w.+-]+", "-", result.name)


def _write(recipe: Recipe, report: EvaluationReport, folder: Path, wanted: str) -> None:
    write_resolved(recipe, "evaluate")
    with saved_artifact(folder, kind=KIND, facts={"inputs": wanted}) as temporary:
        report.write(temporary)
        for result in report.results:
            write_run(result, run_folder(temporary, result), report.facts)


def rankers(
    recipe: Recipe, inputs: Inputs, recommender: GenerativeRecommender | ItemLevelRecommender
) -> list[Callable[[], Ranker]]:
    """The rows of the table, each made when its turn comes; choices are made on the validation cases."""
    train, item_ids = inputs.split.train, offered(recommender.catalog)

    def generative() -> Ranker:
        if isinstance(recommender, ItemLevelRecommender):
            return item_level(recommender)
        trained = recommender.ranker
        return GenerativeRanker(
            recommender.model,
            trained.builder,
            recommender.catalog,
            normalize=trained.search.normalize,
            num_beams=recipe.decode.num_beams,
            batch_size=recipe.decode.batch_size,
            popular_items=trained.popular_items,
        )

    def item_level(found: ItemLevelRecommender) -> Ranker:
        return ItemLevelRanker(
            found.model,
            found.catalog,
            num_beams=recipe.decode.num_beams,
            popular_items=found.settings.popular_items,
            name="genrec",
        )

    def item_knn() -> Ranker:
        if recipe.evaluate.tune_baselines:
            return tune_item_knn(train, inputs.split.validation, item_ids)
        return ItemKNN(train, item_ids)

    def markov_knn() -> Ranker:
        if recipe.evaluate.tune_baselines:
            return tune_markov_knn(train, inputs.split.validation, item_ids, max_cases=TUNING_CASES)
        return MarkovKNN(train, item_ids)

    rows: list[Callable[[], Ranker]] = [
        generative,
        lambda: Popularity(train, item_ids),
        item_knn,
        lambda: ContentKNN(content_vectors(recipe, inputs.items), item_ids, train=train),
        markov_knn,
        lambda: RandomRanker(item_ids, seed=recipe.seed),
    ]
    if isinstance(recommender, ItemLevelRecommender) and recommender.settings.content_weight:
        rows.insert(1, lambda: recommender.ranker)
    world = inputs.world
    if world is not None:
        rows.append(lambda: world.oracle(item_ids))
    return rows


def example_history(recipe: Recipe, inputs: Inputs) -> tuple[str, list[str]]:
    """A test user's history for a first look: `(user id, item ids oldest first)`."""
    cases = inputs.split.test.sample(1, seed=recipe.seed)
    return cases.user_ids[0], list(cases.histories[0])


def _facts(recipe: Recipe, inputs: Inputs) -> dict[str, object]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "split": inputs.split.rule,
        "items": len(inputs.items),
        "training interactions": len(inputs.split.train),
        "hardware": f"{os.cpu_count()} {platform.machine()} cores, {memory:.0f} GiB",
        "date": datetime.date.today().isoformat(),
    }
