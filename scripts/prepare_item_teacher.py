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

from genrec.baselines import neighbour_teacher
from genrec.data import InteractionLog, ItemTable
from genrec.embeddings import EmbeddingTable


def main() -> None:
    """Tunes, fits, asks ten times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument(
        "--fields",
        nargs="*",
        default=["title", "brand", "categories", "description"],
        help="text that BM25 reads; none = without BM25",
    )
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO)
    ids = json.loads((arguments.inputs / "item_ids.json").read_text(encoding="utf-8"))
    vectors = EmbeddingTable.from_files(arguments.inputs / "minilm.npy", arguments.inputs / "item_ids.json")
    split = InteractionLog.read(arguments.interactions, time="order").leave_one_out()
    rows, shares = neighbour_teacher(
        ItemTable.read(arguments.items),
        vectors,
        split,
        ids,
        fields=arguments.fields,
        log_folder=arguments.output.parent / "teacher",
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        arguments.output, rows=rows.astype(np.uint16 if len(ids) < 2**16 else np.int32), shares=shares
    )
    print(f"{arguments.output}: lists after {int((shares[:, 0] > 0).sum())} interactions")


if __name__ == "__main__":
    main()
