"""Lists of a teacher for `benchmark_item_training.py --teacher`: the neighbours' mixture at every position.

    python scripts/prepare_item_teacher.py --items data/amazon-scientific/items.jsonl.gz \
        --interactions data/amazon-scientific/interactions.csv.gz --inputs outputs/scientific-inputs \
        --output outputs/scientific-inputs/teacher.npz

`--inputs` is the output of `prepare_item_models.py`. Parameters of the neighbours and powers of the mixture
are chosen on the validation cases, as in `benchmark_item_mixtures.py`; then each tenth of the users is asked
of neighbours that counted the other nine tenths, so that no list knows its own user's next item.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import numpy as np

from genrec.baselines import (
    BM25,
    ItemKNN,
    LogLinearMixture,
    MarkovKNN,
    Part,
    cross_fitted_lists,
    fit_log_linear,
    tune_content_knn,
    tune_item_knn,
    tune_markov_knn,
)
from genrec.baselines.tuning import NEXT_TWELVE
from genrec.data import InteractionLog, ItemTable
from genrec.embeddings import EmbeddingTable
from genrec.ranking import Ranker

DEPTH = 60  # items of a neighbour's list


def main() -> None:
    """Tunes, fits, asks ten times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--fields", nargs="+", default=["title", "brand", "categories", "description"])
    parser.add_argument("--without", nargs="*", default=[], choices=["bm25"])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    ids = json.loads((arguments.inputs / "item_ids.json").read_text(encoding="utf-8"))
    vectors = EmbeddingTable.from_files(arguments.inputs / "minilm.npy", arguments.inputs / "item_ids.json")
    split = InteractionLog.read(arguments.interactions, time="order").leave_one_out()
    validation, tried = split.validation, arguments.output.parent
    fixed: list[Ranker] = [
        tune_content_knn(vectors, validation, ids, train=split.train, log_file=tried / "content-knn.jsonl")
    ]
    if "bm25" not in arguments.without:
        fixed.append(BM25(ItemTable.read(arguments.items), ids, fields=arguments.fields))
    options = {"max_cases": 4000, "log_file": tried / "item-knn.jsonl"}
    knn = tune_item_knn(split.train, validation, ids, **options)
    markov = tune_markov_knn(
        split.train, validation, ids, gaps=(NEXT_TWELVE,), **{**options, "log_file": tried / "markov.jsonl"}
    )
    whole = [Part(ranker, 1.0, "share") for ranker in (*fixed, knn, markov)]
    fitted = fit_log_linear(whole, validation, depth=DEPTH, max_cases=6000, name="teacher")
    powers = [part.weight for part in fitted.parts]

    def without(others: InteractionLog) -> Ranker:
        counted = [
            ItemKNN(
                others,
                ids,
                decay=knn.decay,
                shrinkage=knn.shrinkage,
                self_similarity=knn.self_similarity,
            ),
            MarkovKNN(others, ids, gaps=NEXT_TWELVE, decay=markov.decay, shrinkage=markov.shrinkage),
        ]
        parts = [
            Part(ranker, power, "share") for ranker, power in zip([*fixed, *counted], powers, strict=True)
        ]
        return LogLinearMixture(parts, floor=fitted.floor, depth=DEPTH)

    rows, shares = cross_fitted_lists(without, split.train, ids)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        arguments.output, rows=rows.astype(np.uint16 if len(ids) < 2**16 else np.int32), shares=shares
    )
    print(f"{arguments.output}: lists after {int((shares[:, 0] > 0).sum())} interactions")


if __name__ == "__main__":
    main()
