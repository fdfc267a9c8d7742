"""Which alignment tasks help: trains and evaluates one mixture from one seed and writes one JSON.

    python scripts/ablation_tasks.py scratch +itemsearch 0 --output outputs/ablation [KEY=VALUE ...]
    python scripts/ablation_tasks.py --list | xargs -P 8 -L 1 \
        python scripts/ablation_tasks.py --output outputs/ablation
    python scripts/ablation_tasks_table.py outputs/ablation

`scratch` trains every weight of a small model; `lora` puts adapters on a small model that has read the item
texts, which is made once a seed (`lora base SEED`). A mixture is `seqrec`, that and one more of LC-Rec's
tasks, or `all` of them; each of the others gives `--cap` rows an epoch beside all of seqrec's. A job that is
done is skipped; one that was stopped (SIGTERM) goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from genrec import GenerativeRecommender, GenRecError, Recipe, RetrievalEvaluator
from genrec.artifacts import atomic_write_text
from genrec.pipeline import align, build_ids, load_inputs
from genrec.pipeline.base_model import text_base
from genrec.pipeline.mixture import training_mixture
from genrec.pipeline.semantic_ids import load_catalog
from genrec.training import on_cpu

EXTRA = ("item2index", "index2item", "fusionseqrec", "itemsearch", "preferenceobtain")
MIXTURES = ("seqrec", *(f"+{task}" for task in EXTRA), "all")
TRAINING = (
    *("align.batch_size=256", "align.learning_rate=2e-3", "align.warmup_steps=50", "align.epochs=40"),
    *("align.max_length=512", "align.validation_users=4000", "align.patience=3"),
)
DESCRIBING, LONGEST = ("index2item", "fusionseqrec"), 400  # characters of a description that is an answer
PASSES_BETWEEN = 4  # over the histories, between two validations
REGIMES = {
    "scratch": (),
    "lora": (
        *("model.hidden_size=256", "model.intermediate_size=512", "model.initialization=codebook"),
        *("align.lora_r=16", "align.lora_alpha=32", "align.residual_dropout=0", "align.lora_dropout=0.1"),
    ),
}


def jobs(seeds: Sequence[int]) -> list[str]:
    """Arguments of every job; the models that have read the texts come first."""
    bases = [f"lora base {seed}" for seed in seeds]
    return bases + [f"{way} {name} {seed}" for way in REGIMES for seed in seeds for name in MIXTURES]


def text_model(name: str, overrides: Sequence[str], output: Path, seed: int) -> Path:
    """Folder of the seed's model that has read the item texts; one job makes it, the rest wait."""
    folder = output / f"text-model-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.load(name, [*overrides, "model.text_epochs=5", f"output_dir={folder}"])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return text_base(recipe, load_inputs(recipe).items)


def measure(name: str, overrides: Sequence[str], mixture: str, cap: int) -> dict[str, object]:
    """Trains and evaluates; NDCG@10 of every test case, in the order of the cases' numbers."""
    extra = EXTRA if mixture == "all" else (mixture.removeprefix("+"),) if mixture != "seqrec" else ()
    tasks = ["tasks.seqrec.weight=1", *(f"tasks.{task}.cap={cap}" for task in extra)]
    tasks += [f"tasks.{task}.max_characters={LONGEST}" for task in extra if task in DESCRIBING]
    recipe = Recipe.load(name, [*overrides, *tasks])
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    rows = len(training_mixture(recipe, inputs, load_catalog(recipe)))
    every = max(1, PASSES_BETWEEN * rows // recipe.align.batch_size)
    began = time.perf_counter()
    align(Recipe.load(name, [*overrides, *tasks, f"align.evaluate_every={every}"]), inputs)
    seconds = time.perf_counter() - began
    device = "cpu" if on_cpu() else str(torch.accelerator.current_accelerator())
    trained = GenerativeRecommender.from_pretrained(recipe.output_dir / "bundle", device=device)
    evaluator = RetrievalEvaluator(inputs.split.test, item_ids=trained.catalog.item_ids, bootstrap=0)
    found = evaluator.evaluate(trained.ranker)
    values = dict(zip(found.run.case_ids, found.per_user["ndcg@10"].tolist(), strict=True))
    return {
        "metrics": found.metrics,
        "validation": trained.metrics["validation"],
        "rows an epoch": rows,
        "seconds of training": seconds,
        "ndcg@10 of each case": [round(values[case], 5) for case in sorted(values, key=int)],
    }


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
        sys.stdout.write("\n".join(jobs(given.list or (0, 1, 2))) + "\n")
        return 0
    if given.seed is None:
        parser.error("name a regime, a mixture and a seed, or --list")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    name = f"{given.regime}-{given.mixture.removeprefix('+')}-{given.seed}"
    done = given.output / f"{name}.json"
    overrides = [*TRAINING, *REGIMES[given.regime], *given.overrides, f"seed={given.seed}"]
    try:
        if given.regime == "lora":
            base = text_model(given.recipe, overrides, given.output, given.seed)
            overrides += [f"model.base={base}"]
        if given.mixture != "base" and not done.exists():
            overrides += [f"output_dir={given.output / name}"]
            facts = {"regime": given.regime, "mixture": given.mixture, "seed": given.seed}
            found = measure(given.recipe, overrides, given.mixture, given.cap)
            atomic_write_text(done, json.dumps({**facts, **found}) + "\n")
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{name}: done\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
