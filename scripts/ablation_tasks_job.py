"""One job of `ablation_tasks.py`: a mixture, trained and evaluated from one seed.

Does not know which jobs there are.
"""

from __future__ import annotations

import fcntl
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from genrec import GenerativeRecommender, Recipe, RetrievalEvaluator
from genrec.pipeline import align, build_ids, load_inputs
from genrec.pipeline.base_model import text_base
from genrec.pipeline.mixture import training_mixture
from genrec.pipeline.semantic_ids import load_catalog
from genrec.training import on_cpu

EXTRA = ("item2index", "index2item", "fusionseqrec", "itemsearch", "preferenceobtain")
DESCRIBING, LONGEST = ("index2item", "fusionseqrec"), 400  # characters of a description that is an answer
VALIDATIONS = 4  # of every job; the weights of the best are tested
LONG = "seqrec-long"  # as many steps as `all`
MIXTURES = ("seqrec", *(f"+{task}" for task in EXTRA), "all", LONG)
TRAINING = (
    *("align.batch_size=256", "align.learning_rate=2e-3", "align.warmup_steps=50", "align.epochs=16"),
    *("align.max_length=512", "align.validation_users=4000", "align.patience=0"),
)
ADAPTERS = (
    *("model.hidden_size=256", "model.intermediate_size=512", "model.initialization=codebook"),
    *("align.lora_r=16", "align.lora_alpha=32", "align.lora_dropout=0.1", "align.residual_dropout=0"),
)
REGIMES = {"scratch": (), "lora": ADAPTERS}


def text_model(name: str, overrides: Sequence[str], output: Path, seed: int) -> Path:
    """Folder of the seed's model that has read the item texts; one job makes it, the rest wait."""
    folder = output / f"text-model-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.load(name, ["model.text_epochs=5", *overrides, f"output_dir={folder}"])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return text_base(recipe, load_inputs(recipe).items)


def tasks_of(mixture: str, cap: int) -> list[str]:
    """Overrides of a recipe: all of seqrec, and `cap` rows an epoch of each other task."""
    extra = EXTRA if mixture == "all" else (mixture.removeprefix("+"),) if mixture[0] == "+" else ()
    describing = [f"tasks.{task}.max_characters={LONGEST}" for task in extra if task in DESCRIBING]
    return ["tasks.seqrec.weight=1", *(f"tasks.{task}.cap={cap}" for task in extra), *describing]


def measure(name: str, overrides: Sequence[str], mixture: str, cap: int) -> dict[str, object]:
    """Trains and evaluates; NDCG@10 of every test case stands in the order of the cases' numbers."""
    overrides = [*overrides, *tasks_of(mixture, cap)]
    recipe = Recipe.load(name, overrides)
    inputs = load_inputs(recipe)
    build_ids(recipe, inputs)
    longest = Recipe.load(name, [*overrides, *tasks_of("all", cap)]) if mixture == LONG else recipe
    rows = len(training_mixture(longest, inputs, load_catalog(recipe)))
    steps = int(recipe.align.epochs * (rows // recipe.align.batch_size))
    overrides += [f"align.max_steps={steps}", f"align.evaluate_every={math.ceil(steps / VALIDATIONS)}"]
    began = time.perf_counter()
    align(Recipe.load(name, overrides), inputs)
    seconds = time.perf_counter() - began
    device = "cpu" if on_cpu() else str(torch.accelerator.current_accelerator())
    trained = GenerativeRecommender.from_pretrained(recipe.output_dir / "bundle", device=device)
    evaluator = RetrievalEvaluator(inputs.split.test, item_ids=trained.catalog.item_ids, bootstrap=0)
    found = evaluator.evaluate(trained.ranker)
    values = dict(zip(found.run.case_ids, found.per_user["ndcg@10"].tolist(), strict=True))
    return {
        "metrics": found.metrics,
        "validation": trained.metrics["validation"],
        "steps": steps,
        "seconds of training": seconds,
        "ndcg@10 of each case": [round(values[case], 5) for case in sorted(values, key=int)],
    }
