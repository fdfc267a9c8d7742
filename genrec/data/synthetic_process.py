"""The process that fills baskets in the synthetic world, and its exact next-item probabilities.

Does not know names, texts or ids: types, brands, bands and items are numbers here.

A step of a history is drawn in three parts, ``p(item | history, taste) = p(department) p(type) p(item in the type)``:

1. *Department*: stay, go back to the department before, or go elsewhere. Whoever has just changed departments probably
   goes back (an errand), so the last item alone does not tell.
2. *Type*: departments have routines, circles of types. The two latest types bought in that department, however long
   ago, tell which routine is under way and what comes next.
3. *Item*: among the items of the type that the user does not have yet, by popularity, times ``1 + LOYALTY * n`` for a
   brand bought ``n`` times in the whole history, times the fit to the user's taste (price band x kind of customer).

The taste is drawn once per user from twelve and never shown. Given a history, its posterior is a finite Bayes sum, so the
probabilities below are exact: they are what the best possible recommender would know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genrec.data.synthetic_catalog import SyntheticCatalog

STAY = (0.62, 0.35)  # probability to stay in the department: ordinarily, and just after a change
BACK = (0.16, 0.50)  # to go back to the one before; what is left goes elsewhere
OFF_ROUTINE = 0.15  # probability that the type is any of the department's
OTHER_ROUTINE = (
    0.08  # weight of a routine that does not explain the two latest types, against 1 for one that does
)
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
        department_weights: float64[departments], sums to 1.
        follow: float64[types + 1, types + 1, types]: probability of a type inside its department after the two latest
            types there; `types` stands for none.
        taste_prior: float64[tastes], sums to 1.
        taste_weights: float64[tastes, items].
        shelf: int64[types, longest]: the items of each type, -1 behind them.
    """

    catalog: SyntheticCatalog
    popularity: np.ndarray
    department_weights: np.ndarray
    follow: np.ndarray
    taste_prior: np.ndarray
    taste_weights: np.ndarray
    shelf: np.ndarray

    @classmethod
    def draw(cls, catalog: SyntheticCatalog, rng: np.random.Generator) -> SyntheticProcess:
        """Draws popularity and department weights; the rest is fixed by the catalog."""
        num_departments = int(catalog.type_department.max()) + 1
        weights = rng.uniform(0.6, 1.4, num_departments)
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
            _follow_table(catalog),
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
        rows = np.arange(len(state.here))
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
        num_types, num_departments = process.shelf.shape[0], len(process.department_weights)
        self.process = process
        self.here, self.before = (
            np.full(size, -1),
            np.full(size, -1),
        )  # departments: the last one, the one before it
        self.changed = np.zeros(size, dtype=np.int64)
        self.trail = np.full((size, num_departments, 2), num_types)  # the two latest types of each department
        self.brands = np.zeros((size, catalog.num_brands))
        self.owned = np.full((size, longest), -1)
        self.length = np.zeros(size, dtype=np.int64)
        self.left = np.tile(np.bincount(catalog.item_type, minlength=num_types), (size, 1))
        self.log_taste = np.tile(np.log(process.taste_prior), (size, 1))

    def departments(self, rows: np.ndarray) -> np.ndarray:
        """Returns p(department): float64[rows, departments]."""
        base = self.process.department_weights
        here, before, changed = self.here[rows], self.before[rows], self.changed[rows]
        at, started, has_before = np.arange(len(rows)), here >= 0, before >= 0
        elsewhere = np.tile(base, (len(rows), 1))
        elsewhere[at[started], here[started]] = 0
        elsewhere[at[has_before], before[has_before]] = 0
        stay = np.where(started, np.array(STAY)[changed], 0.0)
        back = np.where(has_before, np.array(BACK)[changed], 0.0)
        total = elsewhere.sum(axis=1)
        result = (
            elsewhere * np.divide(1 - stay - back, total, out=np.zeros_like(total), where=total > 0)[:, None]
        )
        result[at[started], here[started]] += stay[started]
        result[at[has_before], before[has_before]] += back[has_before]
        return result

    def types(self, rows: np.ndarray) -> np.ndarray:
        """Returns p(type), sold-out types left out: float64[rows, types]."""
        department = self.process.catalog.type_department
        trail = self.trail[rows][:, department]  # [rows, departments, 2] -> [rows, types, 2]
        inside = self.process.follow[trail[..., 0], trail[..., 1], np.arange(len(department))]
        result = self.departments(rows)[:, department] * inside * (self.left[rows] > 0)
        total = result.sum(axis=1, keepdims=True)
        return np.divide(result, total, out=np.zeros_like(result), where=total > 0)

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
        departments = catalog.type_department[kinds]
        new = ~(self.owned[rows] == items[:, None]).any(axis=1)
        self.left[rows[new], kinds[new]] -= 1
        self.owned[rows, self.length[rows]] = items
        self.length[rows] += 1
        self.brands[rows, catalog.item_brand[items]] += 1
        self.trail[rows, departments, 0] = self.trail[rows, departments, 1]
        self.trail[rows, departments, 1] = kinds
        changed = (self.here[rows] >= 0) & (self.here[rows] != departments)
        self.before[rows[changed]] = self.here[rows[changed]]
        self.changed[rows] = changed
        self.here[rows] = departments


def _draw(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a column from each row of weights that need not sum to 1; never one of weight 0."""
    cumulative = np.cumsum(weights, axis=1)
    cut = rng.random(len(weights)) * cumulative[:, -1]
    return np.asarray((cumulative <= cut[:, None]).sum(axis=1))


def _follow_table(catalog: SyntheticCatalog) -> np.ndarray:
    """Gives p(type | two latest types of its department), for every pair and none."""
    num_types = len(catalog.type_department)
    table = np.zeros((num_types + 1, num_types + 1, num_types))
    for department in range(int(catalog.type_department.max()) + 1):
        kinds = np.flatnonzero(catalog.type_department == department)
        routines = [routine for routine in catalog.routines if routine[0] in kinds]
        starts = np.isin(kinds, [routine[0] for routine in routines])
        table[num_types, num_types, kinds] = (
            OFF_ROUTINE / len(kinds) + (1 - OFF_ROUTINE) * starts / starts.sum()
        )
        for before in [*kinds, num_types]:
            for last in kinds:
                row = np.zeros(num_types)
                for routine in routines:
                    if last in routine:
                        place = routine.index(last)
                        explains = routine[place - 1] == before
                        row[routine[(place + 1) % len(routine)]] += 1.0 if explains else OTHER_ROUTINE
                row *= (1 - OFF_ROUTINE) / row.sum()
                row[kinds] += OFF_ROUTINE / len(kinds)
                table[before, last] = row
    return table
