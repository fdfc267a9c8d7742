"""`ItemAugmentation`: other readings of a history for the training of models that read items.

Does not know users, codes or models: a window of catalog rows in, items and labels out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from genrec.errors import ConfigError


@dataclass(frozen=True)
class ItemNeighbours:
    """A few neighbours of every item, from which soft targets and soft inputs are drawn.

    Attributes:
        rows: int64 `[items, m]`, catalog rows.
        bounds: float64 `[items, m]`, running sums of each neighbour's share; the last column is 1.
    """

    rows: np.ndarray
    bounds: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, *, count: int = 10, power: float = 8.0) -> ItemNeighbours:
        """The nearest items by cosine, drawn in proportion to the sharpened cosine.

        Args:
            vectors: float `[items, d]` in catalog order, made without held-out interactions.
            count: Neighbours an item; at most one less than there are items.
            power: Of the cosine: the higher, the more the closest is drawn.

        Raises:
            ConfigError: Fewer than two items, a count below 1 or a power that is not positive.
        """
        count = min(count, len(vectors) - 1)
        if count < 1 or not power > 0:
            raise ConfigError(
                "neighbours need two items, a count and a positive power",
                received=f"{len(vectors)} items, count={count}, power={power}",
                remedy="give count=10 and power=8",
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        rows = np.empty((len(unit), count), dtype=np.int64)
        shares = np.empty((len(unit), count))
        for start in range(0, len(unit), 1024):
            cosine = unit[start : start + 1024] @ unit.T  # [block, items]
            block = np.arange(len(cosine))
            cosine[block, block + start] = -np.inf
            nearest = np.argpartition(-cosine, count - 1, axis=1)[:, :count]  # [block, count]
            values = np.take_along_axis(cosine, nearest, axis=1)
            rows[start : start + 1024] = nearest
            shares[start : start + 1024] = np.maximum(values, 1e-6) ** power
        bounds = np.cumsum(shares, axis=1)
        return cls(rows, bounds / bounds[:, -1:])

    def draw(self, items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One neighbour of each of `items [n]`, int64 `[n]`."""
        place = (rng.random((len(items), 1)) > self.bounds[items]).sum(axis=1)  # [n]
        drawn: np.ndarray = self.rows[items, np.minimum(place, self.rows.shape[1] - 1)]
        return drawn


@dataclass(frozen=True)
class ItemAugmentation:
    """What may happen to a row of `ItemSequences`, each a probability; all 0 = rows as they are.

    A soft target drawn anew each epoch is the sampled form of cross-entropy against a target that gives the
    neighbours a share: the expected gradient is the same, and no model has to know of it.

    Attributes:
        crop: That a row is cut to a random stretch of at least two items (training on prefixes and suffixes).
        reverse: That a row is read backwards. Reviews of one day have no true order.
        item_dropout: That an item is left out of a row; two always stay.
        far_targets: That a label is one of the following four items in place of the next one.
        soft_targets: That a label is a neighbour of the true one.
        soft_inputs: That an item read is a neighbour of the true one.
        neighbours: Where the last two come from.

    Raises:
        ConfigError: A probability outside [0, 1), or neighbours asked for without any.
    """

    crop: float = 0.0
    reverse: float = 0.0
    item_dropout: float = 0.0
    far_targets: float = 0.0
    soft_targets: float = 0.0
    soft_inputs: float = 0.0
    neighbours: ItemNeighbours | None = None

    def __post_init__(self) -> None:
        """Checks the probabilities."""
        shares = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "neighbours"}
        wrong = [f"{name}={value}" for name, value in shares.items() if not 0 <= value < 1]
        if wrong:
            raise ConfigError(
                "a probability of the augmentation is outside [0, 1)",
                received=", ".join(wrong),
                remedy="give 0 for never, 0.5 for every other time",
            )
        if (self.soft_targets or self.soft_inputs) and self.neighbours is None:
            raise ConfigError(
                "soft targets and soft inputs need neighbours to be drawn from",
                received=f"soft_targets={self.soft_targets}, soft_inputs={self.soft_inputs}",
                remedy="pass neighbours=ItemNeighbours.of(content vectors)",
            )

    def apply(self, window: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Items read and the labels after each.

        Args:
            window: int64 `[n]`, n >= 2, catalog rows, oldest first.
            rng: Decides.

        Returns:
            Two int64 `[m - 1]`, 2 <= m <= n.
        """
        if self.crop and rng.random() < self.crop:
            length = int(rng.integers(2, len(window) + 1))
            start = int(rng.integers(len(window) - length + 1))
            window = window[start : start + length]
        if self.item_dropout:
            kept = rng.random(len(window)) >= self.item_dropout
            kept[rng.permutation(len(window))[:2]] = True
            window = window[kept]
        if self.reverse and rng.random() < self.reverse:
            window = window[::-1].copy()  # torch takes no negative strides
        items, labels = window[:-1], window[1:]
        if self.far_targets:
            ahead = np.where(rng.random(len(labels)) < self.far_targets, rng.integers(1, 5, len(labels)), 1)
            labels = window[np.minimum(np.arange(len(labels)) + ahead, len(window) - 1)]
        return self._softened(items, self.soft_inputs, rng), self._softened(labels, self.soft_targets, rng)

    def _softened(self, rows: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        if not share or self.neighbours is None:
            return rows
        return np.where(rng.random(len(rows)) < share, self.neighbours.draw(rows, rng), rows)
