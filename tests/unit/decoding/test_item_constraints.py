"""Filters, exclusions, bonuses and limits, against the best of a list of every item's score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.decoding import ConstrainedBeamSearch, GroupLimit
from genrec.errors import DecodingError, SemanticIdError

ITEMS, K = 60, 6
NONE = float("-inf")


@pytest.fixture(scope="module", params=[False, True], ids=["decoder", "encoder_decoder"])
def setting(
    request: pytest.FixtureRequest, make_tiny: Callable[..., Any], make_prompts: Callable[..., Any]
) -> Any:
    """A search with narrow beams, prompts, and every item's score after each of them."""
    tiny = make_tiny(ITEMS, encoder_decoder=request.param)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, num_beams=2)
    prompts = make_prompts(tiny, [5, 1, 7, 3])
    return search, prompts, search.score(*prompts).numpy()


def masks(seed: int = 0) -> np.ndarray:
    """Filters that leave half, one, none and three items."""
    found = np.zeros((4, ITEMS), dtype=bool)
    generator = np.random.default_rng(seed)
    for place, count in enumerate((ITEMS // 2, 1, 0, 3)):
        found[place, generator.choice(ITEMS, size=count, replace=False)] = True
    return found


def test_filters_leave_the_allowed_items_with_their_scores(
    setting: Any, best_rows: Callable[..., list[int]]
) -> None:
    search, prompts, scores = setting
    mask = masks()
    found = search.search(*prompts, K, allowed=mask, exact=True)
    for place in range(4):
        expected = best_rows(np.where(mask[place], scores[place], NONE), K)
        assert found.rows[place].tolist() == expected
        real = found.rows[place] >= 0
        np.testing.assert_allclose(
            found.scores[place][real], scores[place][expected][: int(real.sum())], atol=1e-4
        )
    assert found.proven.all()
    beams = search.search(*prompts, K, allowed=mask)
    for place in range(4):  # a beam finds as many as there are
        rows = beams.rows[place][beams.rows[place] >= 0]
        assert len(rows) == min(K, mask[place].sum())
        assert mask[place][rows].all()


def test_all_ways_to_give_a_filter_are_one(setting: Any) -> None:
    search, prompts, _ = setting
    mask = masks()
    expected = search.search(*prompts, K, allowed=mask)
    listed = [mask[0], torch.from_numpy(mask[1]), search.trie.restrict(mask[2]), mask[3]]
    for given in (torch.from_numpy(mask), listed):
        assert torch.equal(search.search(*prompts, K, allowed=given).rows, expected.rows)
    for given in (mask[0], torch.from_numpy(mask[0]), search.trie.restrict(mask[0]), [mask[0]] * 4):
        assert torch.equal(search.search(*prompts, K, allowed=given).rows[0], expected.rows[0])
    free = search.search(*prompts, K)
    assert torch.equal(search.search(*prompts, K, allowed=[None, *mask[1:]]).rows[0], free.rows[0])


def test_excluded_items_make_room_for_the_next(setting: Any, best_rows: Callable[..., list[int]]) -> None:
    search, prompts, scores = setting
    exclude = [best_rows(scores[0], 5), [], list(range(ITEMS)), [7, 7, 3, 10**6, -5]]
    for mask in (None, np.random.default_rng(1).random(ITEMS) < 0.5, masks()[[0, 0, 1, 3]]):
        found = search.search(*prompts, K, exclude=exclude, allowed=mask, exact=True)
        for place in range(4):
            left = scores[place].copy()
            left[[row for row in exclude[place] if 0 <= row < ITEMS]] = NONE
            if mask is not None:
                left[~(mask if mask.ndim == 1 else mask[place])] = NONE
            assert found.rows[place].tolist() == best_rows(left, K)
        assert found.proven.all()


@pytest.mark.parametrize("shape", [(ITEMS,), (4, ITEMS)])
def test_a_bonus_changes_the_ranking_and_not_the_log_probabilities(
    setting: Any, best_rows: Callable[..., list[int]], shape: tuple[int, ...]
) -> None:
    search, prompts, scores = setting
    bonus = np.random.default_rng(2).normal(scale=4.0, size=shape)
    bonus[..., :5] = NONE
    found = search.search(*prompts, K, bonus=bonus, exact=True)
    total = scores + bonus
    for place in range(4):
        expected = best_rows(total[place], K)
        assert found.rows[place].tolist() == expected
        np.testing.assert_allclose(found.scores[place], total[place][expected], atol=1e-4)
        np.testing.assert_allclose(found.log_probs[place], scores[place][expected], atol=1e-4)
    assert found.proven.all()
    plain = search.search(*prompts, K, bonus=list(np.broadcast_to(bonus, (4, ITEMS))), exact=True)
    assert torch.equal(plain.rows, found.rows)


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("exact", [False, True])
def test_a_limit_is_a_greedy_selection_on_the_ranking(
    setting: Any, best_rows: Callable[..., list[int]], most: int, exact: bool
) -> None:
    search, prompts, scores = setting
    labels = np.random.default_rng(3).integers(-1, 3, size=ITEMS)  # some are not limited
    limit = GroupLimit(labels, most)
    found = search.search(*prompts, 12, limit=limit, exact=exact)
    for place in range(4):
        rows = found.rows[place].numpy()
        assert (rows >= 0).all()
        assert max(np.bincount(labels[rows][labels[rows] >= 0])) <= most
        if exact:
            assert rows.tolist() == best_rows(scores[place], 12, labels, most)
    if exact:
        assert found.proven.all()
    only = np.where(labels >= 0, labels, 0)  # three values: no more than 3 * most items can be found
    found = search.search(*prompts, 12, limit=GroupLimit(only, most), exact=exact)
    assert ((found.rows >= 0).sum(1) == 3 * most).all()


def test_everything_at_once(setting: Any, best_rows: Callable[..., list[int]]) -> None:
    search, prompts, scores = setting
    generator = np.random.default_rng(4)
    mask, bonus = generator.random((4, ITEMS)) < 0.7, generator.normal(size=ITEMS)
    labels, exclude = generator.integers(4, size=ITEMS), [[1, 2], [], [3], list(range(20))]
    found = search.search(
        *prompts, K, allowed=mask, bonus=bonus, exclude=exclude, limit=GroupLimit(labels, 1), exact=True
    )
    total = np.where(mask, scores + bonus, NONE)
    for place in range(4):
        total[place, exclude[place]] = NONE
        assert found.rows[place].tolist() == best_rows(total[place], K, labels, 1)


@pytest.mark.parametrize("exact", [False, True])
def test_a_bonus_that_takes_all_items_out_leaves_nothing(setting: Any, exact: bool) -> None:
    search, prompts, _ = setting
    for limit in (None, GroupLimit(np.zeros(ITEMS, dtype=int), 1)):
        found = search.search(*prompts, K, bonus=np.full(ITEMS, NONE), limit=limit, exact=exact)
        assert (found.rows == -1).all()
        assert found.proven.all()


def test_filters_and_bonuses_of_another_catalog_are_refused(
    setting: Any, make_tiny: Callable[..., Any]
) -> None:
    search, prompts, _ = setting
    other = make_tiny(ITEMS - 1).trie
    with pytest.raises(SemanticIdError, match="the trie of another catalog"):
        search.search(*prompts, K, allowed=other.restrict(np.ones(ITEMS, dtype=bool)))
    with pytest.raises(SemanticIdError, match="the trie of another catalog"):
        search.search(*prompts, K, bonus=[None, None, other.bonus(np.zeros(ITEMS)), None])


def test_constraints_that_do_not_fit_are_refused(setting: Any) -> None:
    search, prompts, _ = setting
    with pytest.raises(DecodingError, match="exclude takes numbers of catalog rows"):
        search.search(*prompts, K, exclude=[[1], np.ones(ITEMS, dtype=bool), [], []])
    with pytest.raises(DecodingError, match="allowed is one array for all prompts, or one for each"):
        search.search(*prompts, K, allowed=masks()[:3])
    with pytest.raises(DecodingError, match="one list of catalog rows for each prompt"):
        search.search(*prompts, K, exclude=[[1]])
    with pytest.raises(SemanticIdError, match="one bool for each catalog row"):
        search.search(*prompts, K, allowed=np.ones(ITEMS))
    with pytest.raises(SemanticIdError, match="one number for each catalog row"):
        search.search(*prompts, K, bonus=np.ones(3))
    with pytest.raises(DecodingError, match="one label for each catalog row"):
        search.search(*prompts, K, limit=GroupLimit(np.zeros(3, dtype=int), 1))
    with pytest.raises(DecodingError, match="at least one item of each value"):
        search.search(*prompts, K, limit=GroupLimit(np.zeros(ITEMS, dtype=int), 0))
    with pytest.raises(DecodingError, match="a budget counts nodes"):
        search.search(*prompts, K, exact=True, budget=-1)
