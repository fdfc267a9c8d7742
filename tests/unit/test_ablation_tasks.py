"""The ablation of tasks: its jobs, and the table of their results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def write_job(folder: Path, mixture: str, seed: int, values: list[float]) -> None:
    job = {"regime": "scratch", "mixture": mixture, "seed": seed, "steps": 60}
    path = folder / f"scratch-{mixture}-{seed}.json"
    path.write_text(json.dumps({**job, "ndcg@10 of each case": values}))


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.mark.usefixtures("scripts")
def test_gains_are_paired_by_case_and_seed(tmp_path: Path) -> None:
    import ablation_tasks_table as page

    for seed in (0, 1):
        write_job(tmp_path, "seqrec", seed, [0.0, 0.5, 1.0, 0.0])
        write_job(tmp_path, "all", seed, [0.25, 0.75, 1.25, 0.25] if seed else [0.0, 0.5, 1.0, 0.0])
    write_job(tmp_path, "all", 2, [1.0, 1.0, 1.0, 1.0])  # its seqrec is not there yet
    lines = page.table("scratch", page.read(tmp_path)["scratch"], 200).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| seqrec", "| all"]
    assert lines[2].split(" | ")[3] == ".3750, .3750"
    # one seed gains as much in every case, the other nothing: either might have come out twice
    assert lines[3].split(" | ")[4:6] == ["+.1250 [+.0000, +.2500]", "+.0000, +.2500"]


@pytest.mark.usefixtures("scripts")
def test_words_name_one_job_or_all_jobs_of_seeds() -> None:
    import ablation_tasks_queue as queue

    listed = queue.asked(["all", "0", "1"])
    assert len({job.name for job in listed}) == len(listed) == 2 + 2 * 2 * len(queue.MIXTURES)
    assert listed[:2] == [queue.Job("lora", "base", 0), queue.Job("lora", "base", 1)]
    for job in listed:
        assert queue.asked([job.regime, job.mixture, str(job.seed)]) == [job]
    for words in ([], ["all"], ["scratch", "seqrec"], ["scratch", "seqrek", "0"], ["lora", "all", "first"]):
        with pytest.raises(ValueError, match="names no job"):
            queue.asked(words)


@pytest.mark.usefixtures("scripts")
def test_a_job_is_taken_by_one_process(tmp_path: Path) -> None:
    import ablation_tasks_queue as queue

    job = queue.Job("scratch", "all", 0)
    with queue.taken(job, tmp_path) as mine:
        assert mine
        with queue.taken(job, tmp_path) as theirs:
            assert not theirs
    with queue.taken(job, tmp_path) as mine:
        assert mine


@pytest.mark.usefixtures("scripts")
def test_only_the_tasks_of_a_mixture_are_trained_on() -> None:
    import ablation_tasks_job as job

    named = {name: {o.split(".")[1] for o in job.tasks_of(name, 40)} for name in job.MIXTURES}
    assert named["seqrec"] == named[job.LONG] == {"seqrec"}
    assert named["+itemsearch"] == {"seqrec", "itemsearch"}
    assert named["all"] == {"seqrec", *job.EXTRA}


@pytest.mark.slow
def test_a_job_trains_on_a_model_that_has_read_the_texts_and_is_done_once(tmp_path: Path) -> None:
    command = [
        *(sys.executable, str(SCRIPTS / "ablation_tasks.py"), "lora", "+item2index", "0"),
        *("--recipe", "quickstart", "--output", str(tmp_path), "--cap", "40"),
        *(
            "data.num_items=60",
            "data.num_users=80",
            "embeddings.dim=8",
            "item_tokenizer.definition=rkmeans-3x64",
        ),
        *("model.hidden_size=16", "model.intermediate_size=16", "model.num_heads=2"),
        *("model.text_vocab_size=300", "align.batch_size=16", "align.epochs=2", "align.validation_users=20"),
    ]
    for again in (False, True):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("item2index: 40 rows an epoch" in done.stderr) is not again
    job = json.loads((tmp_path / "lora-item2index-0.json").read_text())
    assert len(job["ndcg@10 of each case"]) == 80
    assert job["metrics"]["ndcg@10"] == pytest.approx(sum(job["ndcg@10 of each case"]) / 80, abs=1e-4)
