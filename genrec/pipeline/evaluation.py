"""Stage `evaluate`: the bundle and the baselines on the test cases, one rule for all rows.

Does not know training.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable

from genrec.artifacts import has_artifact, open_artifact, saved_artifact
from genrec.baselines import ContentKNN, ItemKNN, MarkovKNN, Popularity, RandomRanker, tune_item_knn
from genrec.config import fingerprint
from genrec.evaluation import EvaluationReport, RetrievalEvaluator, check_row_order
from genrec.pipeline.alignment import align_fingerprint, bundle_folder
from genrec.pipeline.inputs import Inputs, load_inputs
from genrec.pipeline.semantic_ids import content_vectors
from genrec.pipeline.stage import StageResult, write_resolved
from genrec.ranking import Ranker
from genrec.recipe import Recipe
from genrec.recommender import GenerativeRanker, GenerativeRecommender

KIND = "evaluation"


def evaluate(recipe: Recipe, inputs: Inputs | None = None) -> StageResult:
    """Measures genrec and the baselines on the test cases and writes the report.

    The row-order probe runs first: when the order of the item table's rows tells the next item, no number is
    printed. The bundle must be trained already; its `metrics.json` is brought up to date.

    Raises:
        DataError: The probe beats chance.
        ArtifactError: No trained bundle, or a damaged one.
    """
    inputs = inputs or load_inputs(recipe)
    bundle, folder = bundle_folder(recipe), recipe.output_dir / "evaluation"
    trained = open_artifact(bundle, kind="bundle")
    wanted = fingerprint(
        [align_fingerprint(recipe, inputs), recipe.evaluate, recipe.decode, trained["catalog"]]
    )
    if has_artifact(folder, kind=KIND, facts={"inputs": wanted}):
        return StageResult("evaluate", folder, True, f"skipped, the same report is in {folder}")
    write_resolved(recipe, "evaluate")
    recommender = GenerativeRecommender.from_pretrained(bundle)
    cases, section = inputs.split.test, recipe.evaluate
    probe = check_row_order(inputs.items, cases)
    evaluator = RetrievalEvaluator(
        cases,
        item_ids=recommender.catalog.item_ids,
        ks=section.ks,
        mask_history=section.mask_history,
        bootstrap=section.bootstrap,
        seed=recipe.seed,
    )
    results = [evaluator.evaluate(make()) for make in rankers(recipe, inputs, recommender)]
    report = EvaluationReport(results, probe, _facts(recipe, inputs))
    with saved_artifact(folder, kind=KIND, facts={"inputs": wanted}) as temporary:
        report.write(temporary)
    recommender.metrics = {**recommender.metrics, "test": report.to_dict()}
    recommender.save_pretrained(bundle)
    return StageResult("evaluate", folder, False, f"report in {folder / 'report.md'}")


def rankers(recipe: Recipe, inputs: Inputs, recommender: GenerativeRecommender) -> list[Callable[[], Ranker]]:
    """The rows of the table, each made when its turn comes; choices are made on the validation cases."""
    train, item_ids = inputs.split.train, recommender.catalog.item_ids

    def generative() -> Ranker:
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

    def item_knn() -> Ranker:
        if recipe.evaluate.tune_baselines:
            return tune_item_knn(train, inputs.split.validation, item_ids)
        return ItemKNN(train, item_ids)

    rows: list[Callable[[], Ranker]] = [
        generative,
        lambda: Popularity(train, item_ids),
        item_knn,
        lambda: ContentKNN(content_vectors(recipe, inputs.items), item_ids, train=train),
        lambda: MarkovKNN(train, item_ids),
        lambda: RandomRanker(item_ids, seed=recipe.seed),
    ]
    world = inputs.world
    if world is not None:
        rows.append(world.oracle)
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
