"""The process that fills baskets in the synthetic world, and its exact next-item probabilities.

Does not know names, texts or ids: types, brands, bands and items are numbers here.

A step of a history is drawn in two parts, ``p(type | history) p(item | type, history, taste)``:

1. *Type*: the types of a department form a routine, a circle. Each of the latest four purchases leaves a need, the type
   that follows in its routine, until a later purchase meets it. With probability `IMPULSE` the next type is anything;
   else one of the open needs, the recent ones more probably. As several routines are under way at once, the last item
   alone does not tell what is still missing.
2. *Item*: among the items of the type that the user does not have yet, by popularity, times ``1 + LOYALTY * n`` for a
   brand bought ``n`` times in the whole history, times the fit to the user's taste (price band x kind of customer).

The taste is drawn once per user from twelve and never shown. Given a history, its posterior is a finite Bayes sum, so the
probabilities below are exact: they are what the best possible recommender would know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genrec.data.synthetic_catalog import SyntheticCatalog

IMPULSE = 0.2
SKIP = 0.35
NEED_WEIGHTS = (0.45, 0.30, 0.15, 0.10)  # of open needs, by how many purchases ago they arose
LOYALTY = 2.0
BAND_PRIOR = (0.45, 0.35, 0.20)
FIT_PRIOR = (0.30, 0.26, 0.24, 0.20)
BAND_WEIGHTS = (1.0, 0.35, 0.15)  # by distance of the item's price band from the taste's
FIT_MISMATCH = 0.2  # weight of an item made for another kind of customer
POPULARITY_SHAPE = 1.4  # of the Pareto distribution of the items' popularity

_CHUNK = 4096


@dataclass(frozen=True)
class SyntheticProcess:
    """The numbers of one world.

    Attributes:
        catalog: The items.
        popularity: float64[items].
        impulse: float64[types], sums to 1: types bought out of the blue, and first of all.
        taste_prior: float64[tastes], sums to 1.
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
        departments = int(catalog.type_department.max()) + 1
        weights = rng.uniform(0.5, 1.5, departments)[catalog.type_department]
        quantiles = (rng.permutation(len(catalog.item_type)) + 0.5) / len(catalog.item_type)
        popularity = quantiles ** (-1 / POPULARITY_SHAPE)
        bands = np.array(BAND_WEIGHTS)[abs(np.arange(3)[:, None] - catalog.item_band)]  # [3, items]
        fits = np.where(np.arange(4)[:, None] == catalog.item_fit, 1.0, FIT_MISMATCH)  # [4, items]
        counts = np.bincount(catalog.item_type)
        shelf = np.full((len(counts), counts.max()), -1)
        shelf[np.arange(counts.max()) < counts[:, None]] = np.arange(len(catalog.item_type))
        return cls(
            catalog,
            popularity,
            weights / weights.sum(),
            np.outer(BAND_PRIOR, FIT_PRIOR).ravel(),
            (bands[:, None] * fits[None]).reshape(-1, len(popularity)),  # [3, 4, items] -> [12, items]
            shelf,
        )

    def sample(self, lengths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws histories.

        Args:
            lengths: int64[users], at least 1 each; well below the number of items.
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
            state = _State(self, len(users), int(lengths[users[0]]))
            for step in range(int(lengths[users[0]])):
                rows = np.arange(int((lengths[users] > step).sum()))  # users are sorted by length
                kinds = _draw(state.types(rows), rng)
                weights, shelves = state.shelf_weights(rows, kinds)
                weights = weights * self.taste_weights[tastes[users[rows], None], shelves]
                items = shelves[rows, _draw(weights, rng)]
                state.observe(rows, items)
                drawn[offsets[users[rows]] + step] = items
        return drawn, tastes

    def probabilities(self, histories: list[np.ndarray]) -> np.ndarray:
        """Returns p(next item | history), the taste summed out: float64[histories, items]; a row sums to 1.

        Where a history holds every item there is nothing left to buy, and the row is 0. An item that comes twice tells
        nothing the second time.
        """
        lengths = np.array([len(history) for history in histories], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        state = _State(self, len(histories), int(lengths.max(initial=0)))
        for step in range(int(lengths.max(initial=0))):
            rows = np.arange(int((lengths > step).sum()))
            items = np.array([histories[user][step] for user in order[: len(rows)]])
            state.learn_taste(rows, items)
            state.observe(rows, items)
        result = np.empty((len(histories), len(self.popularity)))
        result[order] = self._predict(state)
        return result

    def _predict(self, state: _State) -> np.ndarray:
        rows = np.arange(len(state.length))
        kinds = state.types(rows)  # [rows, types]
        everything = np.broadcast_to(np.arange(len(self.popularity)), (len(rows), len(self.popularity)))
        weights = state.item_weights(rows, everything)
        starts = np.flatnonzero(np.diff(self.catalog.item_type, prepend=-1))
        result = np.zeros_like(weights)
        for taste, posterior in enumerate(state.taste_posterior().T):
            fitted = weights * self.taste_weights[taste]
            totals = np.add.reduceat(fitted, starts, axis=1)  # [rows, items] -> [rows, types]
            share = np.divide(kinds * posterior[:, None], totals, out=np.zeros_like(totals), where=totals > 0)
            result += fitted * share[:, self.catalog.item_type]
        return result


class _State:
    """What many histories have come to: the sufficient statistics of the process, a row a history."""

    def __init__(self, process: SyntheticProcess, size: int, longest: int) -> None:
        catalog = process.catalog
        num_types = len(catalog.next_type)
        self.process = process
        self.latest = np.full(
            (size, len(NEED_WEIGHTS)), -1
        )  # types of the latest purchases, the last one first
        self.brands = np.zeros((size, catalog.num_brands))
        self.owned = np.full((size, longest), -1)
        self.length = np.zeros(size, dtype=np.int64)
        self.left = np.tile(np.bincount(catalog.item_type, minlength=num_types), (size, 1))
        self.log_taste = np.tile(np.log(process.taste_prior), (size, 1))

    def types(self, rows: np.ndarray) -> np.ndarray:
        """Returns p(type), sold-out types left out: float64[rows, types]."""
        next_type, latest, there = self.process.catalog.next_type, self.latest[rows], self.left[rows] > 0
        needs = np.stack([next_type[latest], next_type[next_type[latest]]], axis=2)  # [rows, purchases, 2]
        weights = np.where(latest >= 0, NEED_WEIGHTS, 0.0)
        for age in range(1, len(NEED_WEIGHTS)):  # a purchase that came after may have met the need
            met = needs[:, age, :, None] == latest[:, None, :age]  # [rows, 2, purchases]
            weights[met.any(axis=(1, 2)), age] = 0
        routine = np.zeros((len(rows), len(next_type)))
        steps = weights[..., None] * np.array([1 - SKIP, SKIP])
        np.add.at(routine, (np.arange(len(rows))[:, None, None], needs), steps)
        return _normalized(
            (1 - IMPULSE) * _normalized(routine * there) + IMPULSE * _normalized(self.process.impulse * there)
        )

    def item_weights(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Returns popularity times loyalty, 0 for owned items and padding: float64[rows, candidates]."""
        process = self.process
        brands = process.catalog.item_brand[items]
        weights = process.popularity[items] * (1 + LOYALTY * self.brands[rows[:, None], brands])
        weights[items < 0] = 0
        first = items[
            :, :1
        ]  # candidates are consecutive items: an owned one's column is its distance to the first
        columns = self.owned[rows, : int(self.length[rows].max(initial=0))] - first
        inside = (columns >= 0) & (columns < items.shape[1]) & (self.owned[rows, : columns.shape[1]] >= 0)
        row, place = np.nonzero(inside)
        weights[row, columns[row, place]] = 0
        return weights

    def shelf_weights(self, rows: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns `item_weights` over one type a row, and the items: both [rows, longest shelf]."""
        shelves = self.process.shelf[kinds]
        return self.item_weights(rows, shelves), shelves

    def learn_taste(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Updates the posterior of the taste by the items bought next: p(item | type, history, taste)."""
        weights, shelves = self.shelf_weights(rows, self.process.catalog.item_type[items])
        totals = np.einsum("rm,trm->rt", weights, self.process.taste_weights[:, shelves])
        new = ~(self.owned[rows] == items[:, None]).any(axis=1)
        likelihood = self.process.taste_weights[:, items].T[new] / totals[new]
        self.log_taste[rows[new]] += np.log(likelihood)

    def taste_posterior(self) -> np.ndarray:
        """Returns p(taste | history): float64[rows, tastes]."""
        result = np.exp(self.log_taste - self.log_taste.max(axis=1, keepdims=True))
        return result / result.sum(axis=1, keepdims=True)

    def observe(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Appends one item to each of the histories."""
        catalog = self.process.catalog
        kinds = catalog.item_type[items]
        new = ~(self.owned[rows] == items[:, None]).any(axis=1)
        self.left[rows[new], kinds[new]] -= 1
        self.owned[rows, self.length[rows]] = items
        self.length[rows] += 1
        self.brands[rows, catalog.item_brand[items]] += 1
        self.latest[rows, 1:] = self.latest[rows, :-1]
        self.latest[rows, 0] = kinds


def _normalized(weights: np.ndarray) -> np.ndarray:
    """Gives rows that sum to 1; a row of zeros stays one."""
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def _draw(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a column from each row of weights that need not sum to 1; never one of weight 0."""
    cumulative = np.cumsum(weights, axis=1)
    cut = rng.random(len(weights)) * cumulative[:, -1]
    return np.asarray((cumulative <= cut[:, None]).sum(axis=1))
