"""Vectors and Semantic IDs of one data set, as files for `benchmark_item_training.py`.

    python scripts/prepare_item_models.py --items data/amazon-scientific/items.jsonl.gz \
        --interactions data/amazon-scientific/interactions.csv.gz --output outputs/scientific-inputs

`--output` gets, beside a copy of the interactions, `item_ids.json`, four channels of vectors in float16:
`minilm.npy` (the frozen text encoder), `words.npy` (TF-IDF and truncated SVD: exact words, which sentence
embeddings blur), `cooccurrence.npy` (items bought by the same users) and `successors.npy` (what comes after
what), both from training interactions only, and residual k-means IDs `VECTORS-CODES-SEED.index.json.gz`,
where `fused` are the first three side by side.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import svds

from genrec.data import InteractionLog, ItemTable
from genrec.embeddings import (
    EmbeddingTable,
    LsaItemEncoder,
    TextItemEncoder,
    cached_embeddings,
    successor_vectors,
)
from genrec.quantization import ResidualKMeans
from genrec.semantic_ids import ItemTokenizer


def cooccurrence(train: InteractionLog, item_ids: list[str], dim: int) -> np.ndarray:
    """Positive pointwise mutual information of items in one training history, by truncated SVD.

    Pairs count by 1 / the square root of the history's length. Levy and Goldberg 2014 (section 5): left
    singular vectors times the root of the singular values. An item without training interactions gets zeros.
    """
    row_of = {item: row for row, item in enumerate(item_ids)}
    histories = train.histories()
    rows = np.array([row_of[item] for item in histories.item_ids])[histories.items]
    sizes = np.diff(histories.offsets)
    users = np.repeat(np.arange(len(sizes)), sizes)
    bought = csr_matrix((np.ones(len(rows)), (users, rows)), shape=(len(sizes), len(item_ids)))
    pairs = (bought.T @ diags(1 / np.sqrt(np.maximum(sizes, 1))) @ bought).tolil()
    pairs.setdiag(0)
    counts: coo_matrix = pairs.tocoo()
    marginal = np.asarray(counts.sum(axis=1)).ravel() ** 0.75  # context distribution smoothing
    total = marginal.sum()
    plain = np.asarray(counts.tocsr().sum(axis=1)).ravel()
    values = np.log(counts.data * total / (plain[counts.row] * marginal[counts.col]))
    kept = values > 0
    ppmi = csr_matrix((values[kept], (counts.row[kept], counts.col[kept])), shape=counts.shape)
    left, singular, _ = svds(ppmi, k=dim, random_state=0)
    return (left * np.sqrt(singular)).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, zeros as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def write_index(path: Path, items: ItemTable, vectors: np.ndarray, shape: str, seed: int) -> None:
    """Residual k-means IDs of vectors in canonical order, unique by matching."""
    codebooks, size = map(int, shape.split("x"))
    tokenizer = ItemTokenizer(ResidualKMeans(codebooks, size, seed=seed))
    table = EmbeddingTable(items.canonical_ids, vectors)
    tokenizer.fit(items, embeddings=table)
    item_ids, codes = tokenizer.encode(items, embeddings=table)
    index = {
        item: [tokenizer.spec.token(place, int(code)) for place, code in enumerate(row)]
        for item, row in zip(item_ids, codes, strict=True)
    }
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        json.dump(index, stream)


def main() -> None:
    """Makes what is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--interactions", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--encoder", default="minilm", help="sentence-transformers model or folder")
    parser.add_argument("--fields", nargs="+", default=["title", "brand", "categories", "description"])
    parser.add_argument("--cache", type=Path, help="folder of encoded texts; default in --output")
    parser.add_argument("--dim", type=int, default=128, help="width of words and co-occurrence vectors")
    parser.add_argument("--successor-dim", type=int, default=192, help="of each side")
    parser.add_argument("--shapes", nargs="+", default=["3x256"], help="of the IDs from minilm")
    parser.add_argument("--seeds", type=int, default=3, help="ID sets of 3x256 from minilm and from fused")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    items = ItemTable.read(arguments.items)
    log = InteractionLog.read(arguments.interactions, time="order", items=items)
    if arguments.interactions.name.endswith(".csv.gz"):
        shutil.copyfile(arguments.interactions, arguments.output / "interactions.csv.gz")
    else:
        log.write(arguments.output / "interactions.csv.gz")
    ids = items.canonical_ids
    (arguments.output / "item_ids.json").write_text(json.dumps(ids), encoding="utf-8")
    encoder = TextItemEncoder(arguments.encoder, arguments.fields)
    minilm = cached_embeddings(encoder, items, arguments.cache or arguments.output / "cache")
    words = LsaItemEncoder(arguments.fields, dim=arguments.dim).fit(items).encode(items)
    vectors = {
        "minilm": minilm.vectors_for(ids).astype(np.float32),
        "words": words.vectors_for(ids).astype(np.float32),
        "cooccurrence": cooccurrence(log.leave_one_out().train, ids, arguments.dim),
        "successors": successor_vectors(
            log.leave_one_out().train, ids, dim=arguments.successor_dim
        ).vectors_for(ids),
    }
    for name, rows in vectors.items():
        np.save(arguments.output / f"{name}.npy", rows.astype(np.float16))
    fused = ("minilm", "words", "cooccurrence")
    vectors["fused"] = np.concatenate([unit(vectors[name]) for name in fused], axis=1)
    jobs = [("minilm", shape, 0) for shape in arguments.shapes]
    jobs += [(name, "3x256", seed) for name in ("minilm", "fused") for seed in range(arguments.seeds)]
    for name, shape, seed in dict.fromkeys(jobs):
        path = arguments.output / f"{name}-{shape}-{seed}.index.json.gz"
        if not path.exists():
            write_index(path, items, vectors[name], shape, seed)
            print(path, flush=True)


if __name__ == "__main__":
    main()
