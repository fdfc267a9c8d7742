"""Single-vector rows of `benchmark_limit.py`: MiniLM cut to some dimensions, and free vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from genrec.data import SearchTask
from genrec.embeddings import TextItemEncoder, cached_embeddings

DENSE = (32, 64, 128, 256, 384)
FREE = (4, 8, 16, 32, 64)


class FixedVectors:
    """Documents and queries as vectors: their inner products rank."""

    def __init__(self, name: str, items: list[str], documents: np.ndarray, queries: dict[str, np.ndarray]):
        self.name, self.items = name, np.array(items, dtype=object)
        self.documents, self.queries = documents, queries

    def rank_queries(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best items of each query."""
        scores = np.stack([self.queries[query] for query in queries]) @ self.documents.T
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return self.items[order], np.take_along_axis(scores, order, axis=1).astype(np.float32)


def free_vectors(task: SearchTask, dim: int, seed: int) -> FixedVectors:
    """Vectors of documents and test queries, fitted on the test judgments by full-softmax cross-entropy."""
    items, queries = task.corpus.canonical_ids, task.judged("test")
    row_of = {item: row for row, item in enumerate(items)}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    targets = torch.zeros(len(queries), len(items))
    for number, query in enumerate(queries):
        for item in task.qrels["test"][query]:
            targets[number, row_of[item]] = 0.5
    generator = torch.Generator().manual_seed(seed)
    sides = [
        torch.randn(len(side), dim, generator=generator, requires_grad=True) for side in (items, queries)
    ]
    sides = [side.detach().to(device).requires_grad_() for side in sides]
    targets = targets.to(device)
    optimizer = torch.optim.Adam(sides, lr=0.05)
    for _ in range(1500):
        documents, asked = (torch.nn.functional.normalize(side, dim=1) for side in sides)
        loss = torch.nn.functional.cross_entropy(asked @ documents.T * 30, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    documents, asked = (torch.nn.functional.normalize(side, dim=1).detach().cpu().numpy() for side in sides)
    known = {task.queries[query]: asked[number] for number, query in enumerate(queries)}
    return FixedVectors(f"free vectors, {dim} dimensions", items, documents, known)


def dense(task: SearchTask, output: Path) -> list[FixedVectors]:
    """MiniLM's vectors of documents and test queries, cut to their first dimensions and normalised again."""
    encoder = TextItemEncoder("minilm", ["description"])
    documents = cached_embeddings(encoder, task.corpus, output / "embeddings")
    texts = [task.queries[query] for query in task.judged("test")]
    asked = encoder.encode_texts(texts)
    found = []
    for dim in DENSE:
        cut = [matrix[:, :dim] for matrix in (documents.vectors_for(task.corpus.canonical_ids), asked)]
        known, vectors = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True) for matrix in cut[::-1])
        name = f"MiniLM, {dim} dimensions"
        found.append(
            FixedVectors(name, task.corpus.canonical_ids, vectors, dict(zip(texts, known, strict=True)))
        )
    return found
