"""Which alignment tasks help: trains and evaluates one mixture from one seed and writes one JSON.

    python scripts/ablation_tasks.py scratch +itemsearch 0 --output outputs/ablation [KEY=VALUE ...]
    python scripts/ablation_tasks.py --list | xargs -P 8 -L 1 \
        python scripts/ablation_tasks.py --output outputs/ablation
    python scripts/ablation_tasks_table.py outputs/ablation

`scratch` trains every weight of a small model; `lora` puts adapters on a small model that has read the item
texts, which is made once a seed (`lora base SEED`). A mixture is `seqrec`, that and one more of LC-Rec's
tasks, or `all` of them. A job that is done is skipped; one that was stopped (SIGTERM) goes on from its last
checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from ablation_tasks_job import MIXTURES, REGIMES, TRAINING, measure, text_model

from genrec import GenRecError
from genrec.artifacts import atomic_write_text


def jobs(seeds: list[int]) -> list[str]:
    """Arguments of every job, a seed after the other; the models that have read the texts come first."""
    bases = [f"lora base {seed}" for seed in seeds]
    return bases + [f"{way} {name} {seed}" for seed in seeds for way in REGIMES for name in MIXTURES]


def main() -> int:
    """Runs one job, or lists all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("regime", nargs="?", choices=tuple(REGIMES))
    parser.add_argument("mixture", nargs="?", choices=(*MIXTURES, "base"))
    parser.add_argument("seed", nargs="?", type=int)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the recipe")
    parser.add_argument("--output", type=Path, default=Path("outputs/ablation"), help="folder of all jobs")
    parser.add_argument("--recipe", default="amazon-scientific")
    parser.add_argument("--cap", type=int, default=2000, help="rows an epoch of each task beside seqrec")
    parser.add_argument("--list", nargs="*", type=int, metavar="SEED", help="list the jobs of these seeds")
    given = parser.parse_intermixed_args()
    if given.list is not None:
        sys.stdout.write("\n".join(jobs(given.list or [0, 1, 2])) + "\n")
        return 0
    if given.seed is None:
        parser.error("name a regime, a mixture and a seed, or --list")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    regime, name = given.regime, f"{given.regime}-{given.mixture.removeprefix('+')}-{given.seed}"
    done, folder = given.output / f"{name}.json", given.output / name
    overrides = [*TRAINING, *REGIMES[regime], *given.overrides, f"seed={given.seed}", f"output_dir={folder}"]
    try:
        if regime == "lora" and not done.exists():
            overrides.append(f"model.base={text_model(given.recipe, overrides, given.output, given.seed)}")
        if given.mixture != "base" and not done.exists():
            facts = {"regime": regime, "mixture": given.mixture, "seed": given.seed}
            found = measure(given.recipe, overrides, given.mixture, given.cap)
            atomic_write_text(done, json.dumps({**facts, **found}) + "\n")
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{name}: done\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
