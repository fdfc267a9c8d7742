"""What must hold of every evaluation: runs others can recompute, sums, IDs that know no held-out item."""

from __future__ import annotations

from pathlib import Path

import ir_measures
import numpy as np
import pytest

from genrec.baselines import BM25, ItemKNN, MarkovKNN, Popularity, RandomRanker
from genrec.catalog import Catalog
from genrec.data import Dialogues, InteractionLog, ItemTable, SearchTask, SyntheticWorld
from genrec.embeddings import LsaItemEncoder
from genrec.evaluation import (
    DialogueCases,
    RetrievalEvaluator,
    SearchEvaluator,
    check_held_out,
    check_leaks,
    read_run,
    write_run,
)
from genrec.ranking import Ranker
from genrec.semantic_ids import ItemTokenizer


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld.generate(seed=2, num_items=90, num_users=150)


def rankers(world: SyntheticWorld) -> list[Ranker]:
    train, items = world.interactions.leave_one_out().train, world.items.item_ids
    return [
        Popularity(train, items),
        ItemKNN(train, items),
        MarkovKNN(train, items),
        RandomRanker(items, seed=0),
        world.oracle(),
    ]


@pytest.mark.parametrize("mask_history", [False, True])
def test_every_row_of_a_table_can_be_recomputed_from_its_run_by_others(
    world: SyntheticWorld, mask_history: bool, tmp_path: Path
) -> None:
    split = world.interactions.leave_one_out()
    ids = {item: f"<a_{n // 3}>" for n, item in enumerate(world.items.canonical_ids)}
    judge = RetrievalEvaluator(
        split.test,
        item_ids=world.items.item_ids,
        mask_history=mask_history,
        bootstrap=30,
        train=split.train,
        semantic_ids=ids,
    )
    measures = [ir_measures.R @ 10, ir_measures.nDCG @ 10, ir_measures.RR @ 10]
    for ranker in rankers(world):
        result = judge.evaluate(ranker)
        write_run(result, tmp_path / ranker.name)
        files = [str(tmp_path / ranker.name / name) for name in ("qrels.trec.gz", "run.trec.gz")]
        found = ir_measures.calc_aggregate(
            measures, list(ir_measures.read_trec_qrels(files[0])), list(ir_measures.read_trec_run(files[1]))
        )
        ours = [result.metrics[name] for name in ("recall@10", "ndcg@10", "mrr@10")]
        assert [found[measure] for measure in measures] == pytest.approx(ours, abs=1e-12)
        assert read_run(tmp_path / ranker.name).result(bootstrap=30, seed=0).to_dict() == result.to_dict()
        # the parts add up to the whole, and an ID is hit wherever its item is
        parts = [result.slices[f"{part} items"] for part in ("head", "torso", "tail")]
        parts = [part for part in parts if part.cases]
        total = sum(part.cases * part.metrics["ndcg@10"] for part in parts)
        assert total / len(split.test) == pytest.approx(result.metrics["ndcg@10"])
        assert result.id_level is not None
        for name, value in result.metrics.items():
            assert result.id_level.metrics[name] >= value - 1e-12


@pytest.mark.slow
def test_ids_know_no_held_out_item(world: SyntheticWorld) -> None:
    vectors = LsaItemEncoder(dim=12, seed=0).encode(world.items)

    def build(log: InteractionLog) -> np.ndarray:
        train = log.leave_one_out().train
        item_tokenizer = ItemTokenizer.from_definition("rkmeans-3x64", seed=0)
        item_tokenizer.fit(world.items, interactions=train, embeddings=vectors)
        return Catalog.build(item_tokenizer, world.items, embeddings=vectors).codes

    log = world.interactions
    check_held_out("Semantic IDs", build, log, log.leave_one_out())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["amazon_scientific", "amazon_beauty", "bundles_amazon"])
def test_the_real_logs_pass_the_leak_probes(shared_data: Path, name: str) -> None:
    log = InteractionLog.read(shared_data / name / "interactions.csv.gz")
    found = check_leaks(log, log.leave_one_out())
    assert (found.targets_in_history > 0) is (name == "bundles_amazon")
    assert (found.later_training is not None) is (name == "bundles_amazon")


@pytest.mark.slow
def test_a_lexical_search_answers_questions_that_name_what_is_written(shared_data: Path) -> None:
    pytest.importorskip("bm25s")
    folder = shared_data / "limit_small"
    task = SearchTask.from_files(
        folder / "items.jsonl.gz", folder / "queries.csv.gz", {"test": folder / "qrels.csv.gz"}
    )
    judge = SearchEvaluator.of_task(task, ks=(2, 10), bootstrap=20)
    bm25 = judge.evaluate(BM25(task.corpus, fields=("description",), k1=1.2))
    assert bm25.metrics["recall@2"] > 0.7
    assert bm25.invalid_rate == 0


@pytest.mark.slow
def test_real_dialogues_are_measured_seen_and_unseen_targets_apart(shared_data: Path) -> None:
    folder = shared_data / "conv_redial"
    items = ItemTable.read(folder / "items.jsonl.gz")
    dialogues = Dialogues.read(folder / "dialogues.jsonl.gz", items=items)
    train = dialogues.of_split("valid")
    found = DialogueCases.of(dialogues.of_split("test"), train=train)
    log = InteractionLog.from_rows(
        {"user_id": dialogue.dialogue_id, "item_id": item}
        for dialogue in train.dialogues
        for turn in dialogue.turns
        for item in turn.item_ids
    )
    judge = RetrievalEvaluator(
        found.cases,
        item_ids=items.item_ids,
        ks=(1, 10, 50),
        mask_history=True,
        bootstrap=20,
        slices=found.slices(),
    )
    popular = judge.evaluate(Popularity(log, items.item_ids))
    seen, unseen = (popular.slices[f"{name} targets"] for name in ("seen", "unseen"))
    assert seen.cases + unseen.cases == len(found)
    assert popular.metrics["recall@50"] > 5 * 50 / len(items)
    assert seen.metrics["recall@50"] > popular.metrics["recall@50"]
    assert unseen.metrics["recall@50"] == 0
