"""Batch scoring: every format, whole or not at all, resumed, shared out, in constant memory."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest

from genrec.artifacts import saved_artifact
from genrec.errors import ArtifactError, ConfigError, DataError, DecodingError
from genrec.recommender import BatchResult, Recommendation, score_users
from genrec.recommender.answer_file import write_part
from genrec.recommender.batch_job import BatchJob

ITEMS = [f"i{n}" for n in range(20)]


class Popular:
    """Recommends the first items that a history does not have; may die after some calls."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.catalog = set(ITEMS)
        self.left = dies_after
        self.asked = 0

    def recommend_batch(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        *,
        exclude_history: bool = True,
        unknown: str = "error",
    ) -> list[list[Recommendation]]:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        self.asked += len(histories)
        return [
            [
                Recommendation(item, "", -0.1 * place, False, ())
                for place, item in enumerate(i for i in ITEMS if not exclude_history or i not in history)
            ][:k]
            for history in histories
        ]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    with saved_artifact(tmp_path / "bundle", kind="bundle") as temporary:
        (temporary / "x").write_text("x")
    return tmp_path / "bundle"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    rows = [{"user_id": f"u{n}", "history": ITEMS[n % 7 : n % 11]} for n in range(25)]
    path = tmp_path / "users.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(bundle: Path, users: Path, out: Path, recommender: Any = None, **more: Any) -> BatchResult:
    return score_users(recommender or Popular(), bundle, users, out, **{"k": 3, "part_size": 4, **more})


def test_a_row_a_user_in_the_files_order(bundle: Path, users: Path, tmp_path: Path) -> None:
    done = run(bundle, users, tmp_path / "recs.parquet")
    assert (done.users, done.made, done.joined, done.skipped) == (25, 25, True, False)
    rows = pq.read_table(tmp_path / "recs.parquet").to_pylist()
    assert [row["user_id"] for row in rows] == [f"u{n}" for n in range(25)]
    assert rows[0]["item_ids"] == ITEMS[:3]
    assert rows[3]["item_ids"] == ["i0", "i1", "i2"]
    assert rows[2]["scores"] == pytest.approx([0, -0.1, -0.2])
    assert {p.name for p in tmp_path.iterdir()} == {
        "bundle",
        "users.jsonl",
        "recs.parquet",
        "recs.parquet.job.json",
    }


def test_texts_hold_the_same(bundle: Path, users: Path, tmp_path: Path) -> None:
    for name in ("recs.parquet", "recs.jsonl", "recs.csv"):
        run(bundle, users, tmp_path / name)
    rows = pq.read_table(tmp_path / "recs.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "recs.jsonl").read_text().splitlines()]
    assert [(r["user_id"], r["item_ids"]) for r in lines] == [(r["user_id"], r["item_ids"]) for r in rows]
    assert lines[0]["scores"] == [0.0, -0.1, -0.2]
    with (tmp_path / "recs.csv").open(newline="") as stream:
        flat = list(csv.DictReader(stream))
    assert flat[1] == {"user_id": "u0", "rank": "2", "item_id": "i1", "score": "-0.1"}
    assert len(flat) == 75


@pytest.mark.parametrize("name", ["recs.parquet", "recs.jsonl.gz"])
def test_a_run_that_died_goes_on_and_ends_with_the_same_bytes(
    bundle: Path, users: Path, tmp_path: Path, name: str
) -> None:
    run(bundle, users, tmp_path / "whole" / name)
    out = tmp_path / "died" / name
    with pytest.raises(KeyboardInterrupt):
        run(bundle, users, out, Popular(dies_after=3))
    assert not out.exists()
    again = Popular()
    done = run(bundle, users, out, again)
    assert again.asked == done.made == 25 - 12
    assert out.read_bytes() == (tmp_path / "whole" / name).read_bytes()
    third = Popular()
    assert run(bundle, users, out, third).skipped
    assert third.asked == 0


def test_a_job_that_died_while_it_began_or_cleared_up_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = BatchJob(tmp_path / "out.jsonl", {"k": 3}, 1)
    with monkeypatch.context() as patch:
        patch.setattr("genrec.recommender.batch_job.atomic_write_text", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            job.open()
    assert job.open() == [0]
    write_part(job.part(0), ["u1"], [[("i1", 0.5)]])

    def half(folder: Path, **options: Any) -> None:
        if folder.exists():
            (folder / "job.json").unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("genrec.recommender.batch_job.shutil.rmtree", half)
        with pytest.raises(KeyboardInterrupt):
            job.join()
    assert job.finished()
    assert BatchJob(job.out, {"k": 4}, 1).open(overwrite=True) == [0]


def test_processes_share_the_parts_and_the_last_one_joins(bundle: Path, users: Path, tmp_path: Path) -> None:
    run(bundle, users, tmp_path / "alone.parquet")
    out, made = tmp_path / "shared.parquet", []
    for number in (1, 2, 0):
        done = run(bundle, users, out, shard=(number, 3))
        assert done.joined == (number == 0)
        made.append(done.made)
    assert sum(made) == 25
    assert out.read_bytes() == (tmp_path / "alone.parquet").read_bytes()


def test_the_launchers_environment_says_the_share(
    bundle: Path, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(bundle, users, tmp_path / "out.parquet").made == 12


def test_another_jobs_output_and_parts_are_kept(bundle: Path, users: Path, tmp_path: Path) -> None:
    out = tmp_path / "recs.parquet"
    run(bundle, users, out)
    before = out.read_bytes()
    with pytest.raises(ArtifactError, match=r"of another job\nreceived: other job, k"):
        run(bundle, users, out, k=5)
    assert out.read_bytes() == before
    run(bundle, users, out, k=5, overwrite=True)
    assert out.read_bytes() != before
    with pytest.raises(KeyboardInterrupt):
        run(bundle, users, tmp_path / "other.parquet", Popular(dies_after=1))
    with pytest.raises(ArtifactError, match="of another job"):
        run(bundle, users, tmp_path / "other.parquet", k=4)
    (tmp_path / "mine.csv").write_text("by hand")
    with pytest.raises(ArtifactError, match="is there already"):
        run(bundle, users, tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "by hand"


def test_everything_is_checked_before_anything_is_scored(bundle: Path, users: Path, tmp_path: Path) -> None:
    with users.open("a") as stream:
        stream.write('{"user_id": "late", "history": ["i1", "gone"]}\n')
    asked = Popular()
    with pytest.raises(DataError, match=r"1 of 26 users, the first in line 26: 'gone'"):
        run(bundle, users, tmp_path / "recs.parquet", asked)
    assert asked.asked == 0
    assert run(bundle, users, tmp_path / "recs.parquet", unknown="skip").users == 26
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(DataError, match="has no users"):
        run(bundle, tmp_path / "none.jsonl", tmp_path / "x.parquet")
    with pytest.raises(DataError, match="which format to write"):
        run(bundle, users, tmp_path / "recs.xlsx")
    with pytest.raises(ConfigError, match="no such shard"):
        run(bundle, users, tmp_path / "x.parquet", shard=(3, 3))
    with pytest.raises(ConfigError, match="a part needs a user"):
        run(bundle, users, tmp_path / "x.parquet", part_size=0)
    with pytest.raises(DecodingError, match="asked for no item"):
        run(bundle, users, tmp_path / "x.parquet", k=0)
    assert run(bundle, users, tmp_path / "x.parquet", unknown="skip").joined  # nothing of it is in the way


def test_memory_does_not_grow_with_the_number_of_users(bundle: Path, tmp_path: Path) -> None:
    def peak(count: int, name: str) -> int:
        path = tmp_path / f"{name}.jsonl"
        with path.open("w") as stream:
            for n in range(count):
                stream.write(json.dumps({"user_id": f"u{n}", "history": ITEMS[:8]}) + "\n")
        run(bundle, path, tmp_path / f"{name}.csv", part_size=50)  # imports and caches
        tracemalloc.start()
        run(bundle, path, tmp_path / f"{name}.parquet", part_size=50)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = peak(300, "few")
    assert min(peak(3000, "many"), peak(3000, "again")) < 2 * few  # others' late imports count once at most
