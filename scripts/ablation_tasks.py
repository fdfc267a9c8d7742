"""Which alignment tasks help: trains and evaluates one mixture from one seed and writes one JSON.

    python scripts/ablation_tasks.py --output outputs/ablation scratch +itemsearch 0 [KEY=VALUE ...]
    python scripts/ablation_tasks.py --output outputs/ablation all 0 1 2 [KEY=VALUE ...]  # once a core
    python scripts/ablation_tasks_table.py outputs/ablation

`scratch` trains every weight of a small model; `lora` puts adapters on a small model that has read the item
texts, which is made once a seed (`lora base SEED`). A mixture is `seqrec`, that and one more of LC-Rec's
tasks, or `all` of them. All go over the histories equally often, and the rows of the other tasks come on
top; `seqrec-long` is `seqrec` alone for as many steps as `all` takes. A job that is done is skipped; one that
was stopped (SIGTERM) goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from ablation_tasks_job import REGIMES, TRAINING, measure, text_model
from ablation_tasks_queue import BASE, Job, asked, taken

from genrec import GenRecError
from genrec.artifacts import atomic_write_text
from genrec.errors import TrainingInterrupted


def do(job: Job, given: argparse.Namespace, changes: list[str]) -> None:
    """Trains and evaluates, unless that is done."""
    done, folder = given.output / f"{job.name}.json", given.output / job.name
    if done.exists():
        return
    overrides = [*TRAINING, *REGIMES[job.regime], *changes]
    overrides += [f"seed={job.seed}", f"output_dir={folder}"]
    if job.regime == "lora":
        base = text_model(given.recipe, overrides, given.output, job.seed)
        overrides += [f"model.base={base}", "model.text_epochs=0"]
    if job.mixture != BASE:
        found = measure(given.recipe, overrides, job.mixture, given.cap)
        facts = {"regime": job.regime, "mixture": job.mixture, "seed": job.seed}
        atomic_write_text(done, json.dumps({**facts, **found}) + "\n")


def main() -> int:
    """Runs the jobs asked for that no other process has taken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", nargs="+", help="see above")
    parser.add_argument("--output", type=Path, default=Path("outputs/ablation"), help="folder of all jobs")
    parser.add_argument("--recipe", default="amazon-scientific")
    parser.add_argument("--cap", type=int, default=2000, help="rows an epoch of each task beside seqrec")
    given = parser.parse_intermixed_args()
    changes = [word for word in given.job if "=" in word]
    try:
        todo = asked([word for word in given.job if "=" not in word])
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    failed = 0
    for job in todo:
        with taken(job, given.output) as mine:
            try:
                if mine:
                    do(job, given, changes)
                sys.stdout.write(f"{job.name}: {'done' if mine else 'another process does it'}\n")
            except GenRecError as error:
                failed += 1
                sys.stderr.write(f"{job.name}: error: {error}\n")
                if isinstance(error, TrainingInterrupted):
                    break
            sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
