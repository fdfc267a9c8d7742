"""Saved runs: other tools recompute the numbers, reading back gives them again, users stay out."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Sequence
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from genrec.baselines import RandomRanker
from genrec.data import Cases, InteractionLog
from genrec.errors import ArtifactError, DataError
from genrec.evaluation import EvaluationResult, RetrievalEvaluator, read_run, write_run

ITEMS = [
    "plain",
    "white space",
    "per%cent",
    "ü-1",
    "!repeat-2",
    "a/b",
    "tab\t",
    *(f"i{n}" for n in range(13)),
]


class Faulty:
    """A random ranker whose lists hold a foreign item, a repeat and a hole."""

    name = "faulty ranker"

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        items, scores = RandomRanker(ITEMS, seed=5).rank(histories, k)
        items[::3, 1] = "foreign"
        items[1::3, 2] = items[1::3, 0]
        items[::4, 3] = ""
        return items, scores


def cases(n: int = 40) -> Cases:
    generator = np.random.default_rng(0)
    drawn = [generator.integers(len(ITEMS), size=2 + i % 9) for i in range(n)]
    return Cases(
        tuple(f"secret user {i // 2}" for i in range(n)),
        tuple(tuple(ITEMS[j] for j in row[:-1]) for row in drawn),
        tuple(ITEMS[row[-1]] for row in drawn),
    )


def train() -> InteractionLog:
    generator = np.random.default_rng(1)
    return InteractionLog.from_rows(
        {"user_id": f"t{u}", "item_id": ITEMS[int(item)], "timestamp": t}
        for u in range(20)
        for t, item in enumerate(generator.integers(15, size=4))
    )


@pytest.fixture(scope="module")
def evaluator() -> RetrievalEvaluator:
    return RetrievalEvaluator(
        cases(),
        item_ids=ITEMS,
        ks=(3, 7),
        mask_history=True,
        bootstrap=60,
        seed=4,
        train=train(),
        semantic_ids={item: f"<a_{row // 2}>" for row, item in enumerate(ITEMS)},
    )


@pytest.fixture(scope="module")
def saved(
    evaluator: RetrievalEvaluator, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EvaluationResult]:
    folder, result = tmp_path_factory.mktemp("runs") / "faulty", evaluator.evaluate(Faulty())
    write_run(result, folder, {"seed": 4})
    return folder, result


def test_ir_measures_alone_finds_the_same_numbers(saved: tuple[Path, EvaluationResult]) -> None:
    folder, result = saved
    run = list(ir_measures.read_trec_run(str(folder / "run.trec.gz")))
    qrels = list(ir_measures.read_trec_qrels(str(folder / "qrels.trec.gz")))
    measures = [
        ir_measures.R @ 3,
        ir_measures.nDCG @ 3,
        ir_measures.R @ 7,
        ir_measures.nDCG @ 7,
        ir_measures.RR @ 7,
    ]
    found = ir_measures.calc_aggregate(measures, qrels, run)
    assert [found[measure] for measure in measures] == pytest.approx(list(result.metrics.values()), rel=1e-12)
    assert result.metrics["recall@7"] > 0
    assert result.invalid_rate > 0
    assert result.duplicate_rate > 0


def test_a_run_read_back_gives_every_number_again(saved: tuple[Path, EvaluationResult]) -> None:
    folder, result = saved
    again = read_run(folder).result(bootstrap=60, seed=4)
    assert again.to_dict() == result.to_dict()
    assert again.masking == "history masked: yes"
    assert result.id_level is not None
    assert len(result.slices) == 7
    assert result.slices["tail items"].intervals
    for name, values in result.per_user.items():
        assert again.per_user[name].tolist() == values.tolist()


def test_a_run_read_and_written_again_is_the_same_file(
    saved: tuple[Path, EvaluationResult], tmp_path: Path
) -> None:
    folder, _ = saved
    write_run(read_run(folder).result(bootstrap=60, seed=4), tmp_path / "again")
    for path in sorted(folder.iterdir(), reverse=True):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_run_of_empty_lists_is_read_back(tmp_path: Path) -> None:
    known = tuple(ITEMS)  # whoever had every item is left with none to be found
    repeats = Cases(("a", "b", "c"), (known, known, known[::-1]), tuple(ITEMS[:3]))
    evaluator = RetrievalEvaluator(
        repeats,
        item_ids=ITEMS,
        ks=(3, 7),
        mask_history=True,
        bootstrap=60,
        semantic_ids={item: f"<a_{row // 2}>" for row, item in enumerate(ITEMS)},
    )
    result = evaluator.evaluate(RandomRanker(ITEMS, seed=5))
    write_run(result, tmp_path / "empty")
    again = read_run(tmp_path / "empty")
    assert again.lists.tolist() == [[-1] * 7] * 3
    assert again.result(bootstrap=60, seed=0).to_dict() == result.to_dict()
    assert set(result.metrics.values()) == {0.0}


def test_no_user_and_no_history_is_in_any_file(saved: tuple[Path, EvaluationResult]) -> None:
    for path in saved[0].iterdir():
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        assert b"secret" not in text, path.name


def test_case_numbers_do_not_follow_the_order_of_the_log(
    saved: tuple[Path, EvaluationResult], tmp_path: Path
) -> None:
    order = np.random.default_rng(2).permutation(40)
    turned = RetrievalEvaluator(
        cases().subset(order), item_ids=ITEMS[::-1], ks=(3, 7), mask_history=True, bootstrap=0
    )
    write_run(turned.evaluate(Faulty()), tmp_path / "turned")
    one = gzip.decompress((saved[0] / "qrels.trec.gz").read_bytes())
    assert gzip.decompress((tmp_path / "turned" / "qrels.trec.gz").read_bytes()) == one


def test_a_run_without_a_name_can_be_read(saved: tuple[Path, EvaluationResult], tmp_path: Path) -> None:
    run = saved[1].run
    assert run is not None
    write_run(dataclasses.replace(run, name="").result(bootstrap=0, seed=0), tmp_path / "run")
    assert read_run(tmp_path / "run").name == ""


def test_an_altered_run_is_refused(saved: tuple[Path, EvaluationResult], tmp_path: Path) -> None:
    folder, result = saved
    write_run(result, tmp_path / "run")
    text = gzip.decompress((folder / "run.trec.gz").read_bytes()).replace(b" 1 7 ", b" 2 7 ", 1)
    (tmp_path / "run" / "run.trec.gz").write_bytes(gzip.compress(text))
    with pytest.raises(ArtifactError, match=r"run\.trec\.gz is not the file that was saved"):
        read_run(tmp_path / "run")


def test_a_result_without_lists_cannot_be_saved(saved: tuple[Path, EvaluationResult], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="kept no lists"):
        write_run(dataclasses.replace(saved[1], run=None), tmp_path / "run")
