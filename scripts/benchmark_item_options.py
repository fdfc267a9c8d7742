"""What one training of an item model may differ in, and what the options make: IDs, content, model, rows.

Part of `benchmark_item_training.py`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from genrec.baselines import sasrec_model
from genrec.catalog import Catalog
from genrec.embeddings import EmbeddingTable, PrincipalComponents
from genrec.models import ItemLevelModel, ItemSoftmaxModel
from genrec.semantic_ids import SemanticIdSpec, read_index, resolve_extra_code
from genrec.tasks import ItemAugmentation, ItemNeighbours, TeacherLists
from genrec.training import ItemTrainingConfig, on_cpu

AUGMENTATION = ("crop", "reverse", "item_dropout", "far_targets", "soft_targets", "soft_inputs")


def options(description: str | None) -> argparse.ArgumentParser:
    """What a job may differ in."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--ids", type=Path, required=True, help="index.json[.gz] or folder of a catalog")
    parser.add_argument("--vector-ids", type=Path, help="item ids of the rows of all vectors")
    parser.add_argument("--content", type=Path, nargs="*", default=[], help=".npy of vectors, one a channel")
    parser.add_argument("--content-dim", type=int, default=128, help="components kept of each channel")
    parser.add_argument("--content-length", type=float, default=4.0, help="root mean square, each channel")
    parser.add_argument("--neighbours", type=Path, help=".npy of the vectors that soft targets come from")
    parser.add_argument("--teacher", type=Path, help="lists of prepare_item_teacher.py to learn from as well")
    parser.add_argument("--teacher-share", type=float, default=0.5, help="of the labels drawn from them")
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
    parser.add_argument("--parts", nargs="+", default=["validation", "test"], help="measured at the end")
    parser.add_argument("--save-lists", action="store_true")
    parser.add_argument("--keep-weights", action="store_true")
    return parser


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


def teacher(arguments: argparse.Namespace) -> TeacherLists | None:
    """The teacher's lists, None where none is asked for."""
    if arguments.teacher is None:
        return None
    lists = np.load(arguments.teacher)
    return TeacherLists.of(lists["rows"], lists["shares"], arguments.teacher_share)


def _or(given: Any, default: Any) -> Any:
    return default if given is None else given
