"""A shop that does not exist, with customers whose next purchase has a known probability.

Does not know what recommends: it hands out items, interactions, and the best list there can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from genrec.data.canonical import canonical_order
from genrec.data.interactions import InteractionLog
from genrec.data.items import ItemTable
from genrec.data.synthetic_catalog import make_catalog
from genrec.data.synthetic_process import SyntheticProcess
from genrec.data.synthetic_reviews import make_reviews
from genrec.errors import ConfigError, DataError

MIN_ITEMS, MAX_ITEMS, MAX_USERS = 50, 100_000, 10_000_000
_FIRST_DAY = 1_577_836_800  # 2020-01-01 00:00 UTC
_DAY = 86_400
_MIN_LENGTH, _MAX_LENGTH = 5, 200
_TAIL_SCALE, _TAIL_SHAPE = 5.4, 2.2  # Lomax tail of the history lengths, read off Amazon Beauty's 5-core
_CELLS = 2_000_000  # largest matrix of probabilities held at once
_FACT_CASES = 2000


class SyntheticWorld:
    """Items and interactions drawn from a process whose next-item probabilities are known exactly.

    The process is told in `genrec.data.synthetic_process`. Users' lengths, the popularity of items and the
    absence of repeats are near those of Amazon Beauty's 5-core. Ids are given by lot, and the item table is
    in the order of ids, so neither tells anything about an item.

    Attributes:
        items: `item_id`, `title`, `brand`, `categories` (three levels), `description`, `price` (dollars).
        interactions: `user_id`, `item_id`, `timestamp` (Unix seconds, rising within a user); unless left out,
            `rating` (1 to 5 stars) and the texts `summary`, `review` and `explanation`.
        tastes: int64[users], each user's hidden taste, in the order of `interactions.user_ids`; the oracle
            does not see it.
        process: The numbers behind the world.
        item_numbers: int64[items], the process's number of each row of `items`.
    """

    def __init__(
        self,
        items: ItemTable,
        interactions: InteractionLog,
        tastes: np.ndarray,
        process: SyntheticProcess,
        item_numbers: np.ndarray,
    ) -> None:
        self.items = items
        self.interactions = interactions
        self.tastes = tastes
        self.process = process
        self.item_numbers = item_numbers
        self._number_of = dict(zip(items.item_ids, item_numbers.tolist(), strict=True))

    @classmethod
    def generate(
        cls, *, seed: int = 0, num_items: int = 1000, num_users: int = 3000, reviews: bool = True
    ) -> SyntheticWorld:
        """Draws a world; the same arguments give the same world, byte for byte.

        Args:
            seed: Not negative.
            num_items: 50 to 100,000. Small worlds have fewer departments, large ones more brands.
            num_users: 1 to 10,000,000; every user has 5 interactions or more.
            reviews: Whether interactions have ratings and texts, about 150 bytes each; nothing else depends
                on it.

        Raises:
            ConfigError: A number is out of range.
        """
        _check("num_items", num_items, MIN_ITEMS, MAX_ITEMS)
        _check("num_users", num_users, 1, MAX_USERS)
        _check("seed", seed, 0, 2**63 - 1)
        rng = np.random.default_rng([seed, num_items])
        catalog = make_catalog(num_items, rng)
        process = SyntheticProcess.draw(catalog, rng)
        tail = _TAIL_SCALE * ((1 - rng.random(num_users)) ** (-1 / _TAIL_SHAPE) - 1)
        longest = min(_MAX_LENGTH, num_items // 4)
        lengths = np.minimum(_MIN_LENGTH + np.floor(tail), longest).astype(np.int64)
        drawn, tastes = process.sample(lengths, rng)
        width = max(4, len(str(num_items)))
        ids = [f"w{row + 1:0{width}d}" for row in range(num_items)]
        numbers = rng.permutation(num_items)
        items = ItemTable.from_rows(
            {"item_id": item, **catalog.rows[number]}
            for item, number in zip(ids, numbers.tolist(), strict=True)
        )
        table = _log_table(lengths, np.argsort(numbers)[drawn], ids, rng)
        if reviews:  # drawn by lots of their own, so that items and purchases are the same without them
            lots = np.random.default_rng([seed, num_items, 1])
            users = np.repeat(np.arange(num_users), lengths)
            for name, column in make_reviews(catalog, drawn, users, tastes, lots).items():
                table = table.append_column(name, column)
        log = InteractionLog.from_table(table, time="absolute", items=items)
        return cls(items, log, tastes, process, numbers)

    def next_item_probabilities(self, history: Sequence[str]) -> np.ndarray:
        """Returns p(next item | history): float64[num_items], in the order of `items.item_ids`.

        Args:
            history: Item ids, oldest first; may be empty.

        Raises:
            DataError: An id is not in the world.
        """
        unknown = [item for item in history if item not in self._number_of]
        if unknown:
            raise DataError(
                "the history holds an item that is not in this world",
                received=repr(unknown[0]),
                remedy="take ids from world.items.item_ids",
            )
        chances: np.ndarray = self.probabilities([history])[0]
        return chances

    def probabilities(self, histories: Sequence[Sequence[str]]) -> np.ndarray:
        """Returns `next_item_probabilities` of many histories, float64[histories, num_items].

        Ids that are not in the world are left out of a history.
        """
        known = self._number_of
        numbers = [
            np.array([known[i] for i in history if i in known], dtype=np.int64) for history in histories
        ]
        return self.process.probabilities(numbers)[:, self.item_numbers]

    def oracle(self, item_ids: Sequence[str] | None = None) -> OracleRanker:
        """Returns the ranker that lists items by their true probabilities: no ranker can expect more hits.

        Args:
            item_ids: The items it may list; None = all.
        """
        return OracleRanker(self, item_ids)

    def facts(self) -> dict[str, Any]:
        """Returns statistics of the log (see `log_statistics`) and how predictable it is.

        `entropy_floor_nats` is the mean entropy of p(last item | what came before) over up to 2,000 users: no
        model can expect a lower cross-entropy on these cases. `oracle_recall@10` is the share of those last
        items that the ten most probable ones are expected to hold.
        """
        users = self.interactions.user_ids
        chosen = np.linspace(0, len(users) - 1, min(_FACT_CASES, len(users))).astype(np.int64)
        cases = [self.interactions.history(users[number])[:-1] for number in chosen]
        entropy, hits = [], []
        step = max(1, _CELLS // len(self.items))
        for start in range(0, len(cases), step):
            chances = self.probabilities(cases[start : start + step])
            entropy.append(-(chances * np.log(np.maximum(chances, 1e-300))).sum(axis=1))
            hits.append(np.sort(chances, axis=1)[:, -10:].sum(axis=1))
        return {
            **log_statistics(self.interactions, len(self.items)),
            "entropy_floor_nats": float(np.concatenate(entropy).mean()),
            "oracle_recall@10": float(np.concatenate(hits).mean()),
        }


class OracleRanker:
    """The best list there can be: items by their true probability after the history.

    Items that cannot come next, such as those of the history, are not listed.
    """

    name = "oracle"

    def __init__(self, world: SyntheticWorld, item_ids: Sequence[str] | None = None) -> None:
        self.world = world
        rows = {item: row for row, item in enumerate(world.items.item_ids)}
        names = world.items.canonical_ids if item_ids is None else canonical_order(item_ids)
        self._names = np.array(names, dtype=object)  # ties go by canonical order
        self._columns = np.array([rows[item] for item in names])

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the k most probable items, scores are probabilities; see `genrec.ranking.Ranker`."""
        items = np.full((len(histories), k), "", dtype=object)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        step = max(1, _CELLS // len(self._names))
        for start in range(0, len(histories), step):
            chances = self.world.probabilities(histories[start : start + step])[:, self._columns]
            best = np.argsort(-chances, axis=1, kind="stable")[:, :k]
            found = np.take_along_axis(chances, best, axis=1)
            where = slice(start, start + len(best)), slice(0, best.shape[1])
            items[where] = np.where(found > 0, self._names[best], "")
            scores[where] = np.where(found > 0, found, -np.inf)
        return items, scores


def log_statistics(log: InteractionLog, num_items: int) -> dict[str, Any]:
    """Returns the counts by which a log is compared with another.

    `share_of_rare_items` is the share of items with at most 0.305 times the mean count, which is 5
    interactions in Amazon Beauty's 5-core. Items that were never chosen count too.

    Args:
        log: The interactions.
        num_items: Size of the catalog.
    """
    histories = log.histories()
    lengths = np.diff(histories.offsets)
    counts = np.zeros(num_items)
    counts[: len(histories.item_ids)] = np.bincount(histories.items, minlength=len(histories.item_ids))
    counts.sort()
    users = np.repeat(np.arange(len(lengths)), lengths)
    distinct = len(np.unique(users * len(histories.item_ids) + histories.items))
    total = counts.sum()
    return {
        "items": num_items,
        "users": len(lengths),
        "interactions": len(log),
        "length_min": int(lengths.min()),
        "length_mean": float(lengths.mean()),
        "length_median": float(np.median(lengths)),
        "length_p90": float(np.quantile(lengths, 0.9)),
        "length_p99": float(np.quantile(lengths, 0.99)),
        "length_max": int(lengths.max()),
        "share_of_repeats": 1 - distinct / len(log),
        "popularity_gini": float(
            (2 * np.arange(1, num_items + 1) - num_items - 1) @ counts / (num_items * total)
        ),
        "share_of_top_1_percent": float(counts[-max(1, round(num_items / 100)) :].sum() / total),
        "share_of_top_10_percent": float(counts[-max(1, round(num_items / 10)) :].sum() / total),
        "share_of_rare_items": float((counts <= 0.305 * total / num_items).mean()),
    }


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ConfigError(
            f"{name} of a synthetic world is out of range",
            received=repr(value),
            remedy=f"give a whole number from {low} to {high}",
        )


def _log_table(lengths: np.ndarray, rows: np.ndarray, ids: list[str], rng: np.random.Generator) -> pa.Table:
    """Gives users' names and times to the drawn items."""
    users = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    position = np.arange(len(users)) - starts
    begin = rng.integers(0, 730 * _DAY, len(lengths))
    span = rng.integers(30 * _DAY, 365 * _DAY, len(lengths))
    gaps = np.where(position == 0, 0.0, rng.standard_exponential(len(users)))
    walked = np.cumsum(gaps)
    walked -= walked[starts]
    whole = walked[np.cumsum(lengths) - 1]
    # whole seconds, one more at each step so that no two are equal
    seconds = np.floor(walked * (span / whole)[users]).astype(np.int64) + position
    width = max(5, len(str(len(lengths))))
    names = pa.array([f"u{user + 1:0{width}d}" for user in range(len(lengths))])
    return pa.table(
        {
            "user_id": pa.DictionaryArray.from_arrays(pa.array(users, pa.int32()), names).cast(pa.string()),
            "item_id": pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32()), pa.array(ids)).cast(
                pa.string()
            ),
            "timestamp": pa.array(_FIRST_DAY + begin[users] + seconds),
        }
    )
