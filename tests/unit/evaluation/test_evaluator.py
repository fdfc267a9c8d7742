"""The evaluator: what it asks for, what counts as a hit, what is counted as invalid or repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.baselines import Popularity, RandomRanker
from genrec.data import Cases, InteractionLog
from genrec.errors import DataError
from genrec.evaluation import EvaluationResult, RetrievalEvaluator, asking
from genrec.ranking import Ranker

ITEMS = [f"i{n}" for n in range(12)]


def cases_of(rows: Sequence[tuple[Sequence[str], str]]) -> Cases:
    histories = tuple(tuple(history) for history, _ in rows)
    return Cases(tuple(f"u{i}" for i in range(len(rows))), histories, tuple(target for _, target in rows))


class FixedRanker:
    """Returns the list written down for a history, cut or filled up to k; remembers what it was asked for."""

    def __init__(self, lists: dict[tuple[str, ...], list[str]], name: str = "fixed") -> None:
        self.name = name
        self.lists = lists
        self.asked: dict[tuple[str, ...], int] = {}

    def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Lists by the table, scores by place."""
        items = np.full((len(histories), k), "", dtype=object)
        for i, history in enumerate(histories):
            self.asked[tuple(history)] = k
            row = self.lists[tuple(history)][:k]
            items[i, : len(row)] = row
        scores = np.where(items == "", -np.inf, -np.arange(k)).astype(np.float32)
        return items, scores


def measure(ranker: Ranker, rows: Sequence[tuple[Sequence[str], str]], **options: Any) -> EvaluationResult:
    return RetrievalEvaluator(cases_of(rows), item_ids=ITEMS, bootstrap=0, **options).evaluate(ranker)


@given(data=st.data())
def test_masking_is_taking_the_history_out_of_a_full_list(data: st.DataObject) -> None:
    mask = data.draw(st.booleans())
    histories = data.draw(
        st.lists(st.lists(st.sampled_from([*ITEMS, "gone"]), max_size=5), min_size=1, max_size=6)
    )
    rows = [(history, data.draw(st.sampled_from(ITEMS))) for history in histories]
    k = data.draw(st.integers(1, 14))
    ranker = RandomRanker(ITEMS, seed=1)
    result = measure(ranker, rows, ks=(k,), mask_history=mask)
    lists = ranker.rank([history for history, _ in rows], len(ITEMS))[0].tolist()
    for i, (history, target) in enumerate(rows):
        left = [item for item in lists[i] if not mask or item not in history]
        hit = target in left[:k]
        assert result.per_user[f"recall@{k}"][i] == hit
        assert result.per_user[f"mrr@{k}"][i] == pytest.approx(1 / (1 + left.index(target)) if hit else 0)
    assert result.invalid_rate == result.duplicate_rate == 0
    assert result.history_masked is mask


def test_a_target_in_its_own_history_is_a_miss_where_masked_and_a_hit_where_not() -> None:
    rows = [(["i0", "i1"], "i0")]
    ranker = FixedRanker({("i0", "i1"): ["i0", "i1", "i2", "i3"]})
    assert measure(ranker, rows, ks=(2,)).metrics["recall@2"] == 1
    masked = measure(ranker, rows, ks=(2,), mask_history=True)
    assert masked.metrics["recall@2"] == 0
    assert masked.invalid_rate == 0


def test_a_ranker_is_asked_for_as_many_more_as_the_history_has_items() -> None:
    histories = [(), ("i0",), ("i0", "i0", "i1"), ("gone", "i2"), ("i0", "i1", "i2")]
    ranker = FixedRanker({history: ITEMS for history in histories})
    rows = [(history, "i9") for history in histories]
    measure(ranker, rows, ks=(2, 4), mask_history=True)
    assert ranker.asked == dict(zip(histories, [4, 5, 6, 5, 7], strict=True))
    measure(ranker, rows, ks=(2, 4))
    assert set(ranker.asked.values()) == {4}


def test_blanks_foreign_items_and_repeats_are_counted_and_keep_their_place() -> None:
    lists = {
        ("i0",): ["i1", "i1", "foreign", "i2"],  # a repeat and a foreign item
        ("i1",): ["i3", "", "i2"],  # a hole, and one slot too few
        ("i2",): ["i4", "i5", "i6", "i2"],
    }
    rows = [(["i0"], "i2"), (["i1"], "i2"), (["i2"], "i2")]
    result = measure(FixedRanker(lists), rows, ks=(4,))
    assert result.invalid_rate == pytest.approx(3 / 12)
    assert result.duplicate_rate == pytest.approx(1 / 12)
    assert result.per_user["mrr@4"].tolist() == pytest.approx([1 / 4, 1 / 3, 1 / 4])


def test_blanks_beyond_the_catalog_are_not_invalid() -> None:
    rows = [(["i0", "i1"], "i2"), ([], "i3")]
    ranker = RandomRanker(ITEMS, seed=0)
    for mask in (False, True):
        result = measure(ranker, rows, ks=(20,), mask_history=mask)
        assert result.invalid_rate == 0
        assert result.metrics["recall@20"] == 1


def test_a_list_of_foreign_items_is_all_invalid() -> None:
    result = measure(FixedRanker({(): ["x", "y"]}), [([], "i0")], ks=(2,))
    assert (result.invalid_rate, result.duplicate_rate, result.metrics["recall@2"]) == (1, 0, 0)


def test_values_follow_the_cases_whatever_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    drawn = [generator.integers(12, size=1 + n % 6) for n in range(40)]
    cases = cases_of([([ITEMS[i] for i in items[:-1]], ITEMS[items[-1]]) for items in drawn])

    def run(cases: Cases) -> EvaluationResult:
        judge = RetrievalEvaluator(cases, item_ids=ITEMS, ks=(1, 3), mask_history=True, bootstrap=0)
        return judge.evaluate(RandomRanker(ITEMS, seed=0))

    whole = run(cases)
    order = generator.permutation(40)
    turned = run(cases.subset(order))
    monkeypatch.setattr(asking, "CASES_AT_ONCE", 3)
    chunked = run(cases)
    assert 0 < whole.metrics["recall@3"] < 1
    for name, values in whole.per_user.items():
        assert values.dtype == np.float32
        assert chunked.per_user[name].tolist() == values.tolist()
        assert turned.per_user[name].tolist() == values[order].tolist()
        assert whole.metrics[name] == pytest.approx(values.mean(), rel=1e-5)
    assert chunked.metrics == whole.metrics
    assert turned.cases == whole.cases
    assert turned.user_ids == tuple(whole.user_ids[i] for i in order)


def test_the_order_of_the_catalog_changes_no_number() -> None:
    generator = np.random.default_rng(0)
    log = InteractionLog.from_rows(
        [
            {"user_id": f"u{u}", "item_id": ITEMS[int(item)], "timestamp": time}
            for u in range(20)
            for time, item in enumerate(generator.choice(12, size=5, replace=False))
        ]
    )
    split = log.leave_one_out()
    results = [
        RetrievalEvaluator(split.test, item_ids=order, ks=(3,), bootstrap=50).evaluate(
            Popularity(split.train, order)
        )
        for order in (ITEMS, ITEMS[::-1])
    ]
    assert results[0].metrics == results[1].metrics
    assert results[0].intervals == results[1].intervals
    assert results[0].metrics["recall@3"] > 0


def test_intervals_hold_the_mean_and_come_from_the_seed() -> None:
    rows = [([ITEMS[i % 12]], ITEMS[(i + 1) % 12]) for i in range(60)]
    ranker = RandomRanker(ITEMS, seed=0)

    def intervals(seed: int) -> dict[str, tuple[float, float]]:
        judge = RetrievalEvaluator(cases_of(rows), item_ids=ITEMS, ks=(5,), bootstrap=300, seed=seed)
        result = judge.evaluate(ranker)
        assert all(
            lower <= result.metrics[name] <= upper for name, (lower, upper) in result.intervals.items()
        )
        assert all(lower < upper for lower, upper in result.intervals.values())
        return dict(result.intervals)

    assert intervals(0) == intervals(0)
    assert intervals(0) != intervals(1)


def test_a_result_says_what_it_is_and_leaves_users_out_of_files() -> None:
    result = RetrievalEvaluator(cases_of([(["i0"], "i1")]), item_ids=ITEMS, bootstrap=10).evaluate(
        RandomRanker(ITEMS)
    )
    assert list(result.metrics) == ["recall@5", "ndcg@5", "recall@10", "ndcg@10", "mrr@10"]
    assert result.user_ids == ("u0",)
    plain = result.to_dict()
    assert plain["name"] == "random"
    assert plain["cases"] == 1
    assert "u0" not in str(plain)


def test_lists_of_a_wrong_shape_are_refused() -> None:
    class Short:
        name = "short"

        def rank(self, histories: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
            return np.full((len(histories), k - 1), "i0", dtype=object), np.zeros(
                (len(histories), k - 1), np.float32
            )

    with pytest.raises(DataError, match=r"'short' returned lists of a wrong shape\nreceived: items \(1, 4\)"):
        measure(Short(), [([], "i0")], ks=(5,))


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "no case"),
        ([([], "i0")], {"ks": ()}, "cut-offs"),
        ([([], "i0")], {"ks": (0, 5)}, "cut-offs"),
        ([([], "elsewhere")], {}, "elsewhere"),
    ],
)
def test_what_cannot_be_evaluated_is_told_at_once(
    rows: list[tuple[list[str], str]], options: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        RetrievalEvaluator(cases_of(rows), item_ids=ITEMS, **options)


@pytest.mark.parametrize("mask", [np.array([True]), np.array([1, 0]), [True]])
def test_a_slice_of_other_cases_is_told_at_once(mask: np.ndarray) -> None:
    rows = [([ITEMS[0]], ITEMS[1]), ([ITEMS[1]], ITEMS[2])]
    with pytest.raises(DataError, match="the slice 'own' does not say of every case"):
        RetrievalEvaluator(cases_of(rows), item_ids=ITEMS, slices={"own": mask})
    result = measure(RandomRanker(ITEMS), rows, slices={"own": [True, False]})
    assert result.slices["own"].cases == 1


def test_a_negative_number_of_resamples_is_refused() -> None:
    with pytest.raises(DataError, match="resamples"):
        RetrievalEvaluator(cases_of([([], "i0")]), item_ids=ITEMS, bootstrap=-1)


def test_coverage_is_the_share_of_the_catalog_that_is_ever_named() -> None:
    lists = {("i0",): ["i1", "i1", "foreign", "i9"], ("i1",): ["i2", "", "i1", "i9"]}
    rows = [(["i0"], "i2"), (["i1"], "i2")]
    assert measure(FixedRanker(lists), rows, ks=(3,)).coverage == pytest.approx(2 / 12)
    # a masked item is not named
    assert measure(FixedRanker(lists), rows, ks=(3,), mask_history=True).coverage == pytest.approx(3 / 12)


def test_a_hit_by_id_counts_any_item_of_the_targets_id() -> None:
    ids = {item: f"<a_{n // 3}>" for n, item in enumerate(ITEMS)}  # three items share an ID
    lists = {
        ("i0",): ["i3", "i4", "i1", "i11"],  # the target's twin after two items of one ID: second place
        ("i1",): ["i6", "i3", "i2", "i0"],  # the item itself in third place, no twin before it
        ("i2",): ["i3", "foreign", "i9", "i10"],
        ("i3",): ["i8", "i8", "i7", "i3"],  # a repeat, then a twin of it
    }
    rows = [(["i0"], "i2"), (["i1"], "i2"), (["i2"], "i0"), (["i3"], "i5")]
    result = measure(FixedRanker(lists), rows, ks=(3, 4), semantic_ids=ids)
    assert result.id_level is not None
    assert result.per_user["mrr@4"].tolist() == pytest.approx([0, 1 / 3, 0, 0])
    # by ID: second place; third; none; third (the repeat keeps its place, the twin after it does not)
    assert result.id_level.metrics["mrr@4"] == pytest.approx((1 / 2 + 1 / 3 + 0 + 1 / 3) / 4)
    assert result.id_level.metrics["recall@3"] == pytest.approx(3 / 4)


@given(data=st.data())
def test_hits_by_id_are_those_of_the_list_of_distinct_ids(data: st.DataObject) -> None:
    ids = {item: data.draw(st.sampled_from("xyz")) for item in ITEMS}
    rows = [([f"i{n}"], data.draw(st.sampled_from(ITEMS))) for n in range(4)]
    foreign = st.sampled_from([*ITEMS, "foreign"])
    lists = {tuple(h): data.draw(st.lists(foreign, min_size=5, max_size=5, unique=True)) for h, _ in rows}
    result = measure(FixedRanker(lists), rows, ks=(5,), semantic_ids=ids)
    expected = []
    for history, target in rows:
        named = list(
            dict.fromkeys(ids.get(item, f"foreign {n}") for n, item in enumerate(lists[tuple(history)]))
        )
        expected.append(1 / (1 + named.index(ids[target])) if ids[target] in named else 0.0)
    assert result.id_level is not None
    assert result.id_level.metrics["mrr@5"] == pytest.approx(np.mean(expected))
    assert result.id_level.metrics["recall@5"] >= result.metrics["recall@5"]


def test_distinct_ids_give_the_items_numbers() -> None:
    rows = [([ITEMS[i % 12]], ITEMS[(i + 1) % 12]) for i in range(30)]
    result = measure(RandomRanker(ITEMS, seed=0), rows, ks=(5,), semantic_ids={i: f"<{i}>" for i in ITEMS})
    assert result.id_level is not None
    assert result.id_level.metrics == result.metrics
    with pytest.raises(DataError, match="1 items have no Semantic ID"):
        measure(RandomRanker(ITEMS), rows, semantic_ids={i: i for i in ITEMS[1:]})
