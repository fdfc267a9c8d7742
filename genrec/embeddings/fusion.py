"""Several embedding tables as one: each whitened, weighted, and put side by side.

Does not know where a table comes from, nor what the vectors are used for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from genrec.data import Cases, canonical_order
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.embeddings.principal_components import PrincipalComponents
from genrec.errors import ConfigError, DataError

Weights = Literal["equal", "learned"]
NEWEST = 5  # items of a history that are paired with the next one
SMALLEST = 0.05  # of a learned weight, so that no table is lost altogether

logger = logging.getLogger(__name__)


def whitened(table: EmbeddingTable, dim: int = 64) -> EmbeddingTable:
    """A table's first `dim` principal directions, all of equal variance, zeros where there are fewer.

    The root mean square of the vectors' lengths is 1.
    """
    components = PrincipalComponents(dim, power=0.0, length=1.0)
    return components.fit(table).apply(table)


def fused(
    tables: Mapping[str, EmbeddingTable],
    item_ids: Sequence[str],
    *,
    weights: Mapping[str, float] | None = None,
    dim: int = 64,
) -> EmbeddingTable:
    """The tables side by side: whitened, so that none is louder than another, then multiplied by its weight.

    Args:
        tables: Name -> vectors of all the items; widths may differ.
        item_ids: The items.
        weights: Name -> weight above 0; a table's vectors are multiplied by its root, so that squared
            distances add up by weight. None = 1 for each.
        dim: Principal directions of each table; zeros where a table has fewer.

    Returns:
        float32 `[items, tables * dim]`, rows in canonical order, tables in the order given.

    Raises:
        ConfigError: No table, weights for other tables, or one that is not above 0.
        DataError: An item without a vector in one of the tables.
    """
    given = dict.fromkeys(tables, 1.0) if weights is None else dict(weights)
    if not tables or given.keys() != tables.keys() or not all(0 < w < np.inf for w in given.values()):
        raise ConfigError(
            "fusion needs tables, and a weight above 0 for each",
            received=f"tables {', '.join(tables) or 'none'}; weights {given}",
            remedy="leave the weights out, or give one for every table",
        )
    ids = canonical_order(item_ids)
    parts = []
    for name, table in tables.items():
        chosen = EmbeddingTable(ids, table.vectors_for(ids))
        parts.append(whitened(chosen, dim).vectors * np.float32(np.sqrt(given[name])))
    return EmbeddingTable(ids, np.concatenate(parts, axis=1))


def learned_weights(
    tables: Mapping[str, EmbeddingTable],
    item_ids: Sequence[str],
    cases: Cases,
    *,
    dim: int = 64,
    seed: int = 0,
) -> dict[str, float]:
    """Weights with which the tables together tell a user's next item from another user's.

    A logistic regression without negative weights over the products of the whitened vectors, one feature a
    table; the weights are scaled to a mean of 1, and none is below 0.05.

    Args:
        tables: Name -> vectors. One that is made of interactions must not have seen those of the cases, or it
            gets more than its due: take `inner = split.train.leave_one_out()`, make the tables of
            `inner.train`, and pass `inner.test`.
        item_ids: The items.
        cases: Histories and the items that came next; each is paired with the newest 5 items before it.
        dim: As in `fused`.
        seed: Of the other users' items.

    Raises:
        DataError: No case with a history.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    ids = canonical_order(item_ids)
    row_of = {item: row for row, item in enumerate(ids)}
    pairs = [
        (row_of[item], row_of[target])
        for history, target in zip(cases.histories, cases.targets, strict=True)
        for item in history[-NEWEST:]
        if item in row_of and target in row_of and item != target
    ]
    if not pairs:
        raise DataError(
            "weights are learned from users' next items",
            received=f"{len(cases)} cases without a history of these items",
            remedy="give more cases, or leave the weights out",
        )
    one, near = np.array(sorted(pairs)).T
    count = len(one)
    far = near[np.random.default_rng(seed).permutation(count)]  # as popular as the others
    features = []
    for table in tables.values():
        vectors = whitened(EmbeddingTable(ids, table.vectors_for(ids)), dim).vectors
        both = [np.einsum("nd,nd->n", vectors[one], vectors[other]) for other in (near, far)]
        features.append(np.concatenate(both))
    x = np.stack(features, axis=1)  # [2 * count, tables]
    y = np.repeat([1.0, -1.0], count)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        margin = y * (x @ parameters[:-1] + parameters[-1])
        slope = -y * expit(-margin) / len(y)
        value = float(np.logaddexp(0, -margin).mean())
        return value, np.append(slope @ x, slope.sum())

    bounds = [(0.0, None)] * len(tables) + [(None, None)]
    start = np.append(np.ones(len(tables)), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x[:-1]
    scaled = np.maximum(found / max(float(found.mean()), 1e-12), SMALLEST)
    weights = {name: round(float(weight), 4) for name, weight in zip(tables, scaled, strict=True)}
    logger.info("learned weights of the tables: %s", weights)
    return weights
