"""One training of an item model with its lists for every validation and test user: a job among many.

    python scripts/benchmark_item_training.py --interactions data/amazon-scientific/interactions.csv.gz \
        --vector-ids vectors/item_ids.json --content vectors/minilm.npy vectors/words.npy \
        --ids ids/rkmeans-3x256-0.index.json --output outputs/jobs/base-0 --seed 0

`--output` gets `result.json` (settings and metrics of both parts), `places.npz` (where each target stood)
and, with `--save-lists`, `lists.npz` for `benchmark_item_mixtures.py`. Early stopping looks at the validation
cases only. A finished job is not run again, a killed one goes on from its newest checkpoint, so many can
share a GPU: `xargs -P 16 -I{} sh -c '{}' < jobs.txt`.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_item_options import (
    augmentation,
    content_of,
    options,
    read_catalog,
    teacher,
    training_arguments,
    untrained,
)
from transformers import TrainerCallback

from genrec.artifacts import atomic_write_text
from genrec.baselines import SASRec
from genrec.data import Cases, InteractionLog
from genrec.pipeline.item_models import train_item_model
from genrec.recommender import ItemLevelRanker


class Deadline(TrainerCallback):
    """Ends a training after so many seconds, whatever it has reached."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + (seconds or float("inf"))
        self.reached = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stops."""
        if time.monotonic() > self.end:
            control.should_training_stop = self.reached = True


def places(items: np.ndarray, cases: Cases, *, masked: bool) -> np.ndarray:
    """Where each target stands from 0, int16 `[cases]`, -1 = nowhere; masked = history's items taken out."""
    found = np.full(len(cases), -1, dtype=np.int16)
    for i, (row, history, target) in enumerate(zip(items, cases.histories, cases.targets, strict=True)):
        out = set(history) if masked else set()
        row = [item for item in row.tolist() if item not in out]
        if target in row:
            found[i] = row.index(target)
    return found


def measured(place: np.ndarray) -> dict[str, float]:
    """Recall and NDCG at 5 and 10."""
    metrics = {}
    for k in (5, 10):
        hit = (place >= 0) & (place < k)
        metrics[f"recall@{k}"] = round(float(hit.mean()), 6)
        metrics[f"ndcg@{k}"] = round(float((hit / np.log2(2.0 + np.maximum(place, 0))).mean()), 6)
    return metrics


def main() -> None:
    """Trains one model and writes what it found."""
    arguments = options(__doc__).parse_args()
    result_file = arguments.output / "result.json"
    if result_file.exists():
        print(f"{arguments.output}: there already")
        return
    logging.basicConfig(level=logging.WARNING, format=f"{arguments.output.name}: %(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    torch.set_num_threads(1)
    began = time.perf_counter()
    catalog = read_catalog(arguments.ids)
    split = InteractionLog.read(arguments.interactions, time="order").leave_one_out()
    model = untrained(arguments, catalog, content_of(arguments, catalog))

    def ranker(trained: Any, beams: int = 20) -> Any:
        if arguments.model == "item-level":
            return ItemLevelRanker(trained, catalog, num_beams=beams, batch_size=512, name="item-level")
        return SASRec(trained, catalog.item_ids, name=arguments.model)

    deadline = Deadline(arguments.max_seconds)
    best, callback = train_item_model(
        model,
        ranker,
        split,
        catalog.item_ids,
        training_arguments(arguments),
        evaluate_every=arguments.evaluate_every,
        patience=arguments.patience,
        validation_users=arguments.validation_users,
        augmentation=augmentation(arguments, catalog),
        teacher=teacher(arguments),
        callbacks=[deadline],
    )
    best.to(model.device)
    seconds, saved, found = time.perf_counter() - began, {}, {}
    lists: dict[str, np.ndarray] = {}
    for part in arguments.parts:
        cases = getattr(split, part)
        items, scores = ranker(best, arguments.depth).rank(cases.histories, arguments.depth)
        for rule in ("unmasked", "masked"):
            saved[f"{part}_{rule}"] = places(items, cases, masked=rule == "masked")
            found[f"{part}_{rule}"] = measured(saved[f"{part}_{rule}"])
        rows = {item: row for row, item in enumerate(catalog.item_ids)}
        lists[f"{part}_rows"] = np.array([[rows[i] for i in line] for line in items], dtype=np.uint16)
        lists[f"{part}_scores"] = scores.astype(np.float16)
    np.savez_compressed(arguments.output / "places.npz", **saved)
    if arguments.save_lists:
        np.savez_compressed(arguments.output / "lists.npz", **lists)
    settings = {
        name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()
    }
    settings["content"] = [path.stem for path in arguments.content]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    facts = {"seconds": round(seconds, 1), "step": callback.best_step, "last_step": callback.last_step}
    facts |= {
        "ended_by_deadline": deadline.reached,
        "device": device,
        "parameters": sum(p.numel() for p in best.parameters()),
    }
    row = {"name": arguments.output.name, **facts, **found, "settings": settings}
    atomic_write_text(result_file, json.dumps(row, indent=1) + "\n")
    if not arguments.keep_weights:
        shutil.rmtree(arguments.output / "training")
    print(f"{arguments.output.name}: {facts} validation {found['validation_unmasked']}", flush=True)


if __name__ == "__main__":
    main()
