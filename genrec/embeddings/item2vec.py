"""`item2vec`: vectors of items from what users had close together, by skip-grams with negative sampling.

Does not know what an item is like, nor what its vectors are used for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from tqdm.auto import tqdm

from genrec.data import InteractionLog, canonical_order, id_hash
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.errors import ConfigError, DataError

Side = Literal["in", "out", "both"]
POWER = 0.75  # negatives are drawn by the number of interactions to this power, as word2vec does

logger = logging.getLogger(__name__)


def item2vec(
    interactions: InteractionLog,
    item_ids: Sequence[str],
    *,
    dim: int = 64,
    window: int = 5,
    negatives: int = 5,
    epochs: int = 20,
    learning_rate: float = 0.01,
    batch_size: int = 4_096,
    side: Side = "both",
    seed: int = 0,
) -> EmbeddingTable:
    """Learns in- and out-vectors (arXiv 1603.04259) of items that stand near each other in histories.

    The product of an item's in-vector and another's out-vector says how likely the other is near it; two
    in-vectors are alike where items can stand for each other. Pairs are made once, shuffled every epoch, and
    learned with Adam on the gradients' rows. The order of a log's users changes nothing.

    Args:
        interactions: The training part of a split; what is held out must not be in it.
        item_ids: Items that get a vector; those without a neighbour in the log get zeros.
        dim: Width of the in- and of the out-vectors.
        window: Neighbours on each side of an item in a history.
        negatives: Items drawn against each pair.
        epochs: Passes over the pairs.
        learning_rate: Of Adam.
        batch_size: Pairs a step.
        side: `in`, `out`, or `both` = one behind the other, `2 * dim` wide.
        seed: Of first vectors, order and negatives.

    Returns:
        Rows in canonical order.

    Raises:
        ConfigError: A size below 1, or another side.
        DataError: No two items stand near each other.
    """
    if min(dim, window, negatives, epochs, batch_size) < 1 or side not in get_args(Side):
        raise ConfigError(
            "item2vec needs sizes of at least 1 and a side",
            received=f"dim={dim}, window={window}, negatives={negatives}, epochs={epochs}, "
            f"batch_size={batch_size}, side={side!r}",
            remedy=f"sides are {', '.join(get_args(Side))}",
        )
    import torch
    from torch.nn.functional import logsigmoid

    ids = canonical_order(item_ids)
    pairs = torch.from_numpy(_pairs(interactions, ids, window))  # [pairs, 2]
    if not len(pairs):
        raise DataError(
            "no two items stand near each other in the log",
            received=f"{len(interactions)} interactions with {len(ids)} items",
            remedy="give a log with histories of two items and more",
        )
    counts = torch.bincount(pairs[:, 0], minlength=len(ids)).double()
    bounds = torch.cumsum(counts**POWER, dim=0)
    generator = torch.Generator().manual_seed(seed)
    tables = [
        torch.empty(len(ids), dim).uniform_(-0.5 / dim, 0.5 / dim, generator=generator) for _ in range(2)
    ]
    inward, outward = (torch.nn.Embedding.from_pretrained(t, freeze=False, sparse=True) for t in tables)
    optimizer = torch.optim.SparseAdam([inward.weight, outward.weight], lr=learning_rate)
    mean = 0.0
    for epoch in tqdm(range(epochs), desc="item2vec", unit="epoch", disable=None):
        total = 0.0
        for batch in pairs[torch.randperm(len(pairs), generator=generator)].split(batch_size):
            uniform = torch.rand(len(batch), negatives, generator=generator, dtype=torch.float64)
            drawn = torch.searchsorted(bounds, uniform * bounds[-1], right=True)  # [batch, negatives]
            centre = inward(batch[:, 0])  # [batch, dim]
            near = (centre * outward(batch[:, 1])).sum(dim=1)  # [batch]
            far = torch.bmm(outward(drawn), centre.unsqueeze(2)).squeeze(2)  # [batch, negatives]
            loss = -(logsigmoid(near) + logsigmoid(-far).sum(dim=1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        mean = total / len(pairs)
        logger.debug("item2vec: epoch %d, loss %.4f", epoch, mean)
    logger.info("item2vec: %d pairs, loss %.4f after %d epochs", len(pairs), mean, epochs)
    seen = (counts > 0).numpy()[:, None]
    sides = {"in": inward.weight, "out": outward.weight}
    chosen = [sides[name].detach().numpy() for name in (("in", "out") if side == "both" else (side,))]
    return EmbeddingTable(ids, np.where(seen, np.concatenate(chosen, axis=1), 0).astype(np.float32))


def _pairs(log: InteractionLog, ids: Sequence[str], window: int) -> np.ndarray:
    """Every item of a history with each neighbour, int64 `[pairs, 2]`, users in the order of a hash."""
    row_of = {item: row for row, item in enumerate(ids)}
    rows = np.array([row_of.get(item, -1) for item in log.item_ids], dtype=np.int64)[log.items]
    order = np.argsort(np.array([id_hash(user) for user in log.user_ids]), kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    by_user = np.argsort(place[log.users], kind="stable")  # users by their hash, their items as they stand
    rows, users = rows[by_user], log.users[by_user]
    rows, users = rows[rows >= 0], users[rows >= 0]
    found = [np.empty((0, 2), dtype=np.int64)]
    for distance in range(1, window + 1):
        same = users[distance:] == users[:-distance]
        pair = np.stack([rows[:-distance], rows[distance:]], axis=1)[same]
        found += [pair, pair[:, ::-1]]
    together = np.concatenate(found)
    return np.ascontiguousarray(together[together[:, 0] != together[:, 1]])
