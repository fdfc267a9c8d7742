"""One training of an item model with its lists for every validation and test user: a job among many.

    python scripts/train_item_model.py --interactions data/amazon-scientific/interactions.csv.gz \
        --vector-ids vectors/item_ids.json --content vectors/minilm.npy vectors/words.npy \
        --ids ids/rkmeans-3x256-0.index.json --output outputs/jobs/base-0 --seed 0

`--output` gets `result.json` (settings, validation by step, metrics of both parts), `places.npz` (where each
target stood) and, with `--save-lists`, `lists.npz` for `mix_item_models.py`. Early stopping looks at the
validation cases only. A finished job is not run again, a killed one goes on from its newest checkpoint, so
many can share a GPU: `xargs -P 16 -I{} sh -c '{}' < jobs.txt`.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from genrec.artifacts import atomic_write_text
from genrec.baselines import SASRec, sasrec_model
from genrec.catalog import Catalog
from genrec.data import Cases, InteractionLog
from genrec.embeddings import EmbeddingTable, PrincipalComponents
from genrec.models import ItemLevelModel, ItemSoftmaxModel
from genrec.pipeline.item_models import train_item_model
from genrec.recommender import ItemLevelRanker
from genrec.semantic_ids import SemanticIdSpec, read_index, resolve_extra_code
from genrec.tasks import ItemAugmentation, ItemNeighbours
from genrec.training import ItemTrainingConfig, on_cpu

AUGMENTATION = ("crop", "reverse", "item_dropout", "far_targets", "soft_targets", "soft_inputs")


def options() -> argparse.ArgumentParser:
    """What a job may differ in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--ids", type=Path, required=True, help="index.json[.gz] or folder of a catalog")
    parser.add_argument("--vector-ids", type=Path, help="item ids of the rows of all vectors")
    parser.add_argument("--content", type=Path, nargs="*", default=[], help=".npy of vectors, one a channel")
    parser.add_argument("--content-dim", type=int, default=128, help="components kept of each channel")
    parser.add_argument("--content-length", type=float, default=4.0, help="root mean square, each channel")
    parser.add_argument("--neighbours", type=Path, help=".npy of the vectors that soft targets come from")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="item-level", choices=("item-level", "control", "sasrec"))
    parser.add_argument("--node-levels", type=int, help="levels with an embedding per node; default all")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--embedding-weight-decay", type=float)
    parser.add_argument("--ema", type=float)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=float, default=200)
    parser.add_argument("--evaluate-every", type=int, default=200, metavar="STEPS")
    parser.add_argument("--patience", type=int, default=4)
    parser.add_argument("--validation-users", type=int, default=0, help="for early stopping; 0 = all")
    parser.add_argument("--max-seconds", type=float, default=0.0, help="training stops then; 0 = never")
    parser.add_argument("--seed", type=int, default=0)
    for name in AUGMENTATION:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=0.0)
    parser.add_argument("--depth", type=int, default=50, help="length of the lists, and the beam")
    parser.add_argument("--save-lists", action="store_true")
    parser.add_argument("--keep-weights", action="store_true")
    return parser


class Deadline(TrainerCallback):
    """Ends a training after so many seconds, whatever it has reached."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + (seconds or float("inf"))
        self.reached = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stops."""
        if time.monotonic() > self.end:
            control.should_training_stop = self.reached = True


def read_catalog(path: Path) -> Catalog:
    """A catalog's folder or an index file; items that share an ID are told apart by one more code."""
    if path.is_dir():
        return Catalog.load(path)
    item_ids, codes, spec = read_index(path)
    if len(np.unique(codes, axis=0)) == len(codes):
        return Catalog(item_ids, codes, spec)
    resolved = resolve_extra_code(codes, 256)
    return Catalog(item_ids, resolved, SemanticIdSpec((*spec.codebook_sizes, 256)), native_codes=codes)


def content_of(arguments: argparse.Namespace, catalog: Catalog) -> np.ndarray | None:
    """The content channels side by side, float32 `[items, channels * content_dim]`."""
    channels = []
    for path in arguments.content:
        table = EmbeddingTable.from_files(path, arguments.vector_ids)
        components = PrincipalComponents(
            min(arguments.content_dim, table.dim), length=arguments.content_length
        )
        channels.append(components.fit(table).apply(table).vectors_for(catalog.item_ids))
    return np.concatenate(channels, axis=1) if channels else None


def untrained(arguments: argparse.Namespace, catalog: Catalog, content: np.ndarray | None) -> Any:
    """The model."""
    sizes = {
        "hidden_size": arguments.hidden,
        "num_layers": arguments.layers,
        "num_heads": arguments.heads,
        "label_smoothing": arguments.label_smoothing,
        "seed": arguments.seed,
    }
    if arguments.model == "sasrec":
        return sasrec_model(len(catalog), content, dropout=_or(arguments.dropout, 0.5), **sizes)
    sizes |= {"intermediate_size": 2 * arguments.hidden, "dropout": _or(arguments.dropout, 0.3)}
    if arguments.model == "control":
        return ItemSoftmaxModel.for_items(len(catalog), content, **sizes)
    levels = _or(arguments.node_levels, catalog.trie.length)
    return ItemLevelModel.for_catalog(catalog.trie, content, node_levels=levels, **sizes)


def training_arguments(arguments: argparse.Namespace) -> ItemTrainingConfig:
    """SASRec has a weight decay of its own and no average, as tuned; the others the generator's."""
    sasrec = arguments.model == "sasrec"
    embedding_decay = _or(arguments.embedding_weight_decay, None if sasrec else 0.01)
    return ItemTrainingConfig(
        str(arguments.output / "training"),
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        weight_decay=_or(arguments.weight_decay, 0.1 if sasrec else 0.05),
        embedding_weight_decay=embedding_decay,
        ema_decay=_or(arguments.ema, 0.0 if sasrec and not arguments.content else 0.99),
        seed=arguments.seed,
        data_seed=arguments.seed,
        use_cpu=on_cpu(),
        disable_tqdm=not sys.stderr.isatty(),
        save_total_limit=1,
        logging_steps=1000,
    )


def augmentation(arguments: argparse.Namespace, catalog: Catalog) -> ItemAugmentation | None:
    """What is asked for, None where nothing is."""
    shares = {name: getattr(arguments, name) for name in AUGMENTATION}
    if not any(shares.values()):
        return None
    neighbours = None
    if arguments.neighbours:
        vectors = EmbeddingTable.from_files(arguments.neighbours, arguments.vector_ids)
        neighbours = ItemNeighbours.of(vectors.vectors_for(catalog.item_ids))
    return ItemAugmentation(**shares, neighbours=neighbours)


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


def _or(given: Any, default: Any) -> Any:
    return default if given is None else given


def main() -> None:
    """Trains one model and writes what it found."""
    arguments = options().parse_args()
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
        callbacks=[deadline],
    )
    best.to(model.device)
    seconds, saved, found = time.perf_counter() - began, {}, {}
    lists: dict[str, np.ndarray] = {}
    for part in ("validation", "test"):
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
