"""The process that fills baskets in the synthetic world, and its exact next-item probabilities.

Does not know names, texts or ids: types, brands, price bands and items are numbers here.

A step of a history is drawn in two parts, ``p(type | history) p(item | type, history, taste)``:

1. *Type*: the types of a department form a routine, a circle. A purchase leaves a need, the type that follows
   in its routine. With probability `IMPULSE` the next type is anything, with probability `RESTOCK` the latest
   one again; else it is the need of the latest purchase or that of the one before, unless the latest has just
   met it. Customers rather finish what they began earlier (`NEED_WEIGHTS`), and several routines are under
   way at once, so the last item alone does not tell what comes next.
2. *Item*: among the items of the type that the user does not have yet, by popularity, times
   ``1 + LOYALTY * n`` for a brand bought ``n`` times in the whole history, times the fit to the user's taste.

The taste, one of twelve (price band x kind of customer), is drawn once per user and never shown. Given a
history its posterior is a finite Bayes sum, so the probabilities below are exact: nobody who sees the history
can know more about the next item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genrec.data.synthetic_catalog import SyntheticCatalog

IMPULSE = 0.32
RESTOCK = 0.1
NEED_WEIGHTS = (0.35, 0.65)  # of the latest purchase's need, of the one before's
LOYALTY = 3.0
BAND_PRIOR = (0.45, 0.35, 0.20)
FIT_PRIOR = (0.30, 0.26, 0.24, 0.20)
BAND_WEIGHTS = (1.0, 0.45, 0.2)  # by distance of the item's price band from the taste's
FIT_MISMATCH = 0.35  # weight of an item made for another kind of customer
# Shape of the Pareto distribution of the items' popularity, for types of 21 items and of 210: as the type is
# drawn first, short shelves even popularity out, and a heavier tail makes up for it.
POPULARITY_SHAPES = (1.2, 1.6)

_CHUNK = 4096


@dataclass(frozen=True)
class SyntheticProcess:
    """The numbers of one world.

    Attributes:
        catalog: The items.
        popularity: float64[items].
        impulse: float64[types], sums to 1: types bought out of the blue, and first of all.
        taste_prior: float64[tastes], sums to 1; taste = 4 x price band + kind of customer.
        taste_weights: float64[tastes, items].
        shelf: int64[types, longest]: the items of each type, -1 behind them.
    """

    catalog: SyntheticCatalog
    popularity: np.ndarray
    impulse: np.ndarray
    taste_prior: np.ndarray
    taste_weights: np.ndarray
    shelf: np.ndarray

    @classmethod
    def draw(cls, catalog: SyntheticCatalog, rng: np.random.Generator) -> SyntheticProcess:
        """Draws the popularity of items and departments; the rest is fixed by the catalog."""
        num_items = len(catalog.item_type)
        departments = rng.uniform(0.5, 1.5, int(catalog.type_department.max()) + 1)
        impulse = departments[catalog.type_department]
        quantiles = (rng.permutation(num_items) + 0.5) / num_items
        shape = np.interp(np.log10(num_items / len(impulse) / 21), (0, 1), POPULARITY_SHAPES)
        bands = np.array(BAND_WEIGHTS)[abs(np.arange(3)[:, None] - catalog.item_band)]  # [3, items]
        fits = np.where(np.arange(4)[:, None] == catalog.item_fit, 1.0, FIT_MISMATCH)  # [4, items]
        counts = np.bincount(catalog.item_type)
        shelf = np.full((len(counts), counts.max()), -1)
        shelf[np.arange(counts.max()) < counts[:, None]] = np.arange(num_items)
        return cls(
            catalog=catalog,
            popularity=quantiles ** (-1 / shape),
            impulse=impulse / impulse.sum(),
            taste_prior=np.outer(BAND_PRIOR, FIT_PRIOR).ravel(),
            taste_weights=(bands[:, None] * fits).reshape(-1, num_items),  # [3, 4, items] -> [12, items]
            shelf=shelf,
        )

    def sample(self, lengths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws histories.

        Args:
            lengths: int64[users], at least 1 each; below the number of items.
            rng: Where chance comes from.

        Returns:
            Items int64[sum of lengths], user after user, oldest first; tastes int64[users].
        """
        tastes = rng.choice(len(self.taste_prior), size=len(lengths), p=self.taste_prior)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        drawn = np.empty(offsets[-1], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        for start in range(0, len(order), _CHUNK):
            users = order[start : start + _CHUNK]
            longest = int(lengths[users[0]])
            state = _State(self, len(users), longest)
            for step in range(longest):
                rows = np.arange(np.count_nonzero(lengths[users] > step))  # users are sorted by length
                kinds = _draw(state.types(rows), rng)
                weights, shelves = state.shelf_weights(rows, kinds)
                weights *= self.taste_weights[tastes[users[rows], None], shelves]
                items = shelves[rows, _draw(weights, rng)]
                state.observe(rows, items)
                drawn[offsets[users[rows]] + step] = items
        return drawn, tastes

    def probabilities(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """Returns p(next item | history), the taste summed out: float64[histories, items]; a row sums to 1.

        Where a history holds every item there is nothing left to buy, and the row is 0. An item that comes
        twice, which the process never does, tells nothing about the taste the second time.

        Args:
            histories: Item numbers, oldest first.
        """
        lengths = np.array([len(history) for history in histories], dtype=np.int64)
        longest = int(lengths.max(initial=0))
        order = np.argsort(-lengths, kind="stable")
        state = _State(self, len(histories), longest)
        for step in range(longest):
            rows = np.arange(np.count_nonzero(lengths > step))
            items = np.array([histories[user][step] for user in order[: len(rows)]])
            state.learn_taste(rows, items)
            state.observe(rows, items)
        result = np.empty((len(histories), len(self.popularity)))
        result[order] = self._predict(state)
        return result

    def _predict(self, state: _State) -> np.ndarray:
        item_type = self.catalog.item_type
        rows = np.arange(len(state.length))
        kinds = state.types(rows)  # [rows, types]
        weights = state.item_weights(rows, np.tile(np.arange(len(item_type)), (len(rows), 1)))
        starts = np.flatnonzero(np.diff(item_type, prepend=-1))
        result = np.zeros_like(weights)
        for taste, posterior in enumerate(state.taste_posterior().T):
            fitted = weights * self.taste_weights[taste]
            totals = np.add.reduceat(fitted, starts, axis=1)  # [rows, items] -> [rows, types]
            share = np.divide(kinds * posterior[:, None], totals, out=np.zeros_like(totals), where=totals > 0)
            result += fitted * share[:, item_type]
        return result


class _State:
    """What many histories have come to: the sufficient statistics of the process, a row a history."""

    def __init__(self, process: SyntheticProcess, size: int, longest: int) -> None:
        catalog = process.catalog
        self.process = process
        self.latest = np.full((size, len(NEED_WEIGHTS)), -1)  # types of the latest purchases, the last first
        self.brands = np.zeros((size, catalog.num_brands))
        self.owned = np.full((size, longest), -1)
        self.length = np.zeros(size, dtype=np.int64)
        self.left = np.tile(np.bincount(catalog.item_type), (size, 1))  # items of each type not owned yet
        self.log_taste = np.tile(np.log(process.taste_prior), (size, 1))

    def types(self, rows: np.ndarray) -> np.ndarray:
        """Returns p(type), sold-out types left out: float64[rows, types]."""
        next_type, latest, there = self.process.catalog.next_type, self.latest[rows], self.left[rows] > 0
        needs = next_type[latest]  # [rows, purchases]
        weights = np.where(latest >= 0, NEED_WEIGHTS, 0.0)
        weights[needs[:, 1] == latest[:, 0], 1] = 0  # met by the latest purchase
        routine = np.zeros((len(rows), len(next_type)))
        np.add.at(routine, (np.arange(len(rows))[:, None], needs), weights)
        again = np.arange(len(next_type)) == latest[:, :1]
        return _normalized(
            (1 - IMPULSE - RESTOCK) * _normalized(routine * there)
            + RESTOCK * _normalized(1.0 * again * there)
            + IMPULSE * _normalized(self.process.impulse * there)
        )

    def item_weights(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Returns popularity times loyalty; 0 for owned items and for padding.

        Args:
            rows: int64[rows].
            items: int64[rows, candidates]: consecutive numbers, then -1.

        Returns:
            float64[rows, candidates].
        """
        process = self.process
        brands = process.catalog.item_brand[items]
        weights = process.popularity[items] * (1 + LOYALTY * self.brands[rows[:, None], brands])
        weights[items < 0] = 0
        owned = self.owned[rows, : int(self.length[rows].max(initial=0))]
        columns = owned - items[:, :1]
        row, place = np.nonzero((owned >= 0) & (columns >= 0) & (columns < items.shape[1]))
        weights[row, columns[row, place]] = 0
        return np.asarray(weights)

    def shelf_weights(self, rows: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns `item_weights` over one type a row, and the items: both [rows, longest shelf]."""
        shelves = self.process.shelf[kinds]
        return self.item_weights(rows, shelves), shelves

    def learn_taste(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Updates the posterior of the taste by the items bought next: p(item | type, history, taste)."""
        rows, items = self._new(rows, items)
        weights, shelves = self.shelf_weights(rows, self.process.catalog.item_type[items])
        totals = np.einsum("rm,trm->rt", weights, self.process.taste_weights[:, shelves])
        self.log_taste[rows] += np.log(self.process.taste_weights[:, items].T / totals)

    def taste_posterior(self) -> np.ndarray:
        """Returns p(taste | history): float64[rows, tastes]."""
        return _normalized(np.exp(self.log_taste - self.log_taste.max(axis=1, keepdims=True)))

    def observe(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Appends one item to each of the histories."""
        item_type = self.process.catalog.item_type
        new_rows, new_items = self._new(rows, items)
        self.left[new_rows, item_type[new_items]] -= 1
        self.owned[rows, self.length[rows]] = items
        self.length[rows] += 1
        self.brands[rows, self.process.catalog.item_brand[items]] += 1
        self.latest[rows, 1:] = self.latest[rows, :-1]
        self.latest[rows, 0] = item_type[items]

    def _new(self, rows: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gives the rows, and their items, where the item is not in the history yet."""
        new = ~(self.owned[rows] == items[:, None]).any(axis=1)
        return rows[new], items[new]


def _draw(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a column from each row of weights that need not sum to 1; never one of weight 0."""
    cumulative = np.cumsum(weights, axis=1)
    cut = rng.random(len(weights)) * cumulative[:, -1]
    return np.asarray((cumulative <= cut[:, None]).sum(axis=1))


def _normalized(weights: np.ndarray) -> np.ndarray:
    """Gives rows that sum to 1; a row of zeros stays one."""
    total = weights.sum(axis=1, keepdims=True)
    result: np.ndarray = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return result
