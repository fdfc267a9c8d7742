"""Requests: filters hold whatever the model says, batches equal single calls, queries find words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec import ChatSession, GenerativeRecommender
from genrec.errors import DataError, DecodingError
from genrec.recommender import Filters, GenerativeRanker, explanation
from genrec.recommender.explanation import explain

DEMANDS = [
    Filters(max_price=15),
    Filters(min_price=20, categories=("Skin Care",)),
    Filters(words=("dry skin",)),
    Filters(brands=("Fallowmere",), exclude_categories=("Blushes",)),
]


@settings(max_examples=25)
@given(st.data())
def test_only_what_fits_comes_out_and_nothing_that_fits_is_lost(
    shop: GenerativeRecommender, data: st.DataObject
) -> None:
    ids = shop.catalog.item_ids
    history = data.draw(st.lists(st.sampled_from(ids[:20]), max_size=4))
    filters = data.draw(st.sampled_from(DEMANDS))
    exclude = data.draw(st.lists(st.sampled_from(ids), max_size=5))
    query = data.draw(st.sampled_from([None, "face cream for dry skin"]))
    fits = {i for i, f in zip(ids, shop.shortlister.mask(filters), strict=True) if f}
    found = [r.item_id for r in shop.recommend(history, 200, query=query, filters=filters, exclude=exclude)]
    assert len(found) == len(set(found))
    rest = fits - set(exclude) - set(history)
    assert set(found) <= rest
    if query is None:
        assert set(found) == rest


def test_a_batch_gives_what_single_calls_give(shop: GenerativeRecommender) -> None:
    ids = shop.catalog.item_ids
    histories = [[ids[3]], [], [ids[1], ids[2], ids[1]], [ids[9]] * 30]
    for options in ({}, {"filters": {"max_price": 20}}, {"queries": ["nail polish", "", "serum", "x"]}):
        batch = shop.recommend_batch(histories, 5, **options)  # type: ignore[arg-type]
        for i, history in enumerate(histories):
            single: dict[str, Any] = {k: v for k, v in options.items() if k != "queries"}
            if "queries" in options:
                single["query"] = options["queries"][i]
            alone = shop.recommend(history, 5, **single)
            assert [r.item_id for r in alone] == [r.item_id for r in batch[i]]
            assert [r.score for r in alone] == pytest.approx([r.score for r in batch[i]], abs=1e-4)


def test_a_query_finds_its_words_and_says_what_ranked(shop: GenerativeRecommender) -> None:
    found = shop.recommend(query="Nail Polish", k=3)
    assert found
    assert {r.source for r in found} == {"text"}
    assert all("nail" in r.title.lower() or "polish" in r.title.lower() for r in found)
    mixed = shop.recommend([shop.catalog.item_ids[0]], 3, query="nail polish")
    assert {r.source for r in mixed} == {"text+model"}
    assert shop.recommend(query="qqqqq") == []
    assert {r.source for r in shop.recommend()} == {"popularity"}
    assert {r.source for r in shop.recommend([shop.catalog.item_ids[0]])} == {"model"}


def test_a_model_trained_on_queries_is_asked_with_them(shop: GenerativeRecommender) -> None:
    trained = GenerativeRecommender(
        shop.model, shop.text_tokenizer, shop.vocabulary, shop.catalog, shop.items,
        settings=shop.settings, recipe={"tasks": {"seqrec": None, "itemsearch": None}},
    )  # fmt: skip
    history = shop.catalog.item_ids[:2]
    for found in (trained.recommend(query="<a_1> nail", k=4), trained.recommend(history, 4, query="nail")):
        assert {r.source for r in found} == {"model"}
        assert len(found) == 4
    prompt = trained.shortlister.queries.prompt("<a_1> <|eos|> nail", shop.catalog.codes[:2])
    assert set(prompt) & set(shop.vocabulary.reserved_ids) == set(
        shop.vocabulary.encode(shop.catalog.codes[:2]).reshape(-1)
    )


def test_scores_are_those_of_the_search(shop: GenerativeRecommender) -> None:
    ids = shop.catalog.item_ids
    history = ids[:3]
    found = shop.recommend(history, len(ids), exclude_history=False, exact=True)
    assert all(r.certified for r in found)
    scores = shop.score(history, [r.item_id for r in found])
    assert scores.tolist() == pytest.approx([r.score for r in found], abs=1e-4)
    assert sorted(scores.tolist(), reverse=True) == pytest.approx(scores.tolist(), abs=1e-4)
    some = shop.score([*history, "x"], [ids[9], "y", ids[9]], unknown="skip")
    assert some[1] == float("-inf")
    assert some[0] == some[2]
    for wrong, expected in (
        (lambda: shop.score(history, ["y"]), "not in the catalog"),
        (lambda: shop.score([], ids[:2]), "nothing to rate items by"),
        (lambda: shop.score(history, ids[:2], query="nail"), "not trained on queries"),
    ):
        with pytest.raises(DataError, match=expected):
            wrong()


def test_filters_change_no_score(shop: GenerativeRecommender) -> None:
    history = shop.catalog.item_ids[:2]
    everything = {r.item_id: r.score for r in shop.recommend(history, 200)}
    for filters in DEMANDS:
        for r in shop.recommend(history, 5, filters=filters):
            assert r.score == pytest.approx(everything[r.item_id], abs=1e-4)


def test_nothing_fits_is_said(shop: GenerativeRecommender) -> None:
    filters = {"max_price": 1, "brands": ["Fallowmere"]}
    assert shop.recommend(filters=filters) == []
    ((demand, count),) = shop.why_nothing_fits(filters)
    assert (demand, count) == (
        "price at most 1",
        shop.shortlister.index.count(Filters(brands=("Fallowmere",))),
    )
    assert shop.why_nothing_fits({"max_price": 20}) == []


def test_too_many_filters_for_the_popular_items_are_filled_up(shop: GenerativeRecommender) -> None:
    found = shop.recommend(k=10, filters={"max_price": 20})
    assert len(found) == 10
    assert [r.score for r in found] == [-float(n) for n in range(1, 11)]


def test_excluded_popular_items_are_made_up_for(shop: GenerativeRecommender) -> None:
    popular = [r.item_id for r in shop.recommend(k=10)]
    found = [r.item_id for r in shop.recommend(k=10, exclude=popular)]
    assert len(found) == len({*found, *popular}) - len(popular) == 10


def test_items_to_rate_are_not_called_a_history(shop: GenerativeRecommender) -> None:
    with pytest.raises(DataError, match="the list to rate names items that are not in the catalog"):
        shop.score(shop.catalog.item_ids[:2], ["nowhere"])


@pytest.mark.parametrize(
    ("arguments", "error", "expected"),
    [
        ({"exclude": "w0001"}, DataError, "what to exclude must be a list of item ids"),
        ({"exclude": [5]}, DataError, "item ids are texts"),
        ({"history": 5}, DataError, "list of item ids"),
        ({"history": [5]}, DataError, "item ids are texts"),
        ({"query": 5}, DataError, "a query is a text"),
        ({"k": True}, DecodingError, "asked for no item"),
        ({"k": 1.5}, DecodingError, "asked for no item"),
    ],
)
def test_wrong_arguments_get_a_clear_error(
    shop: GenerativeRecommender, arguments: dict[str, Any], error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        shop.recommend(**arguments)
    with pytest.raises(DataError, match="lists of 1, 2"):
        shop.recommend_batch([[]], queries=["a", "b"])


def test_huge_numbers_are_cut(shop: GenerativeRecommender) -> None:
    item = shop.catalog.item_ids[0]
    assert len(shop.recommend([item], 10**9)) == len(shop.catalog) - 1
    assert shop.recommend([item] * 100_000, 3) == shop.recommend([item] * 20, 3)


def test_long_lists_are_searched_in_smaller_batches(
    shop: GenerativeRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = [shop.catalog.item_ids[n : n + 2] for n in range(5)]
    expected = [[r.item_id for r in one] for one in shop.recommend_batch(histories, 20)]
    search, sizes = shop.ranker.search.search, []

    def counted(ids: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(ids))
        return search(ids, *args, **options)

    monkeypatch.setattr(shop.ranker.search, "search", counted)
    monkeypatch.setattr("genrec.recommender.generative_ranker.ROWS", 45)
    assert [[r.item_id for r in one] for one in shop.recommend_batch(histories, 20)] == expected
    shop.recommend_batch(histories, 3)  # as wide as the beams, which are 8
    assert sizes == [2, 2, 1, 5]


def test_requests_of_the_same_filters_share_one_mask(
    shop: GenerativeRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_prompts, given = shop.ranker.after_prompts, []

    def seen(prompts: Any, k: int, *, allowed: Any, **options: Any) -> Any:
        given.extend(allowed)
        return after_prompts(prompts, k, allowed=allowed, **options)

    monkeypatch.setattr(shop.ranker, "after_prompts", seen)
    histories = [shop.catalog.item_ids[n : n + 2] for n in range(4)]
    shop.recommend_batch(histories, 3, filters={"max_price": 20})
    assert len(given) == 4
    assert len({id(mask) for mask in given}) == 1  # a filter over a large catalog is made ready once


def test_what_is_not_wanted_stays_out_though_the_history_may_come_back(shop: GenerativeRecommender) -> None:
    one, two, three = shop.catalog.item_ids[:3]
    messages = [
        {"role": "user", "content": "something new"},
        {"role": "assistant", "content": "There are two.", "items": [one, two]},
        {"role": "user", "content": "I don't like the first one"},
    ]
    for options in ({"messages": messages}, {"messages": messages, "exclude": [two]}):
        found = shop.recommend([one, three], 200, exclude_history=False, **options)  # type: ignore[arg-type]
        names = {r.item_id for r in found}
        assert three in names
        assert not {one, *options.get("exclude", ())} & names


def test_explaining_an_item_tells_what_its_codes_share(shop: GenerativeRecommender) -> None:
    catalog = shop.catalog
    item = catalog.item_ids[7]
    told = shop.explain(item, nearest=4)
    assert told.semantic_id == catalog.tokens(item)
    for depth, code in enumerate(told.codes, start=1):
        members = [i for i in catalog.item_ids if catalog.tokens(i)[:depth] == told.semantic_id[:depth]]
        assert code.num_items == len(members)
        for name, share in code.categories:
            held = sum(name in shop.items.row(i)["categories"] for i in members)
            assert share == pytest.approx(held / len(members))
        text = " ".join(shop.items.texts(("title", "description"), members)).lower()
        assert all(word in text for word in code.words)
    depths = [near.shared_codes for near in told.nearest]
    assert depths == sorted(depths, reverse=True)
    assert len(depths) == 4
    assert "near: " in str(told)
    with pytest.raises(DataError):
        shop.explain("nowhere")


NO_COUNTS: list[Any] = [-1, 2.5, True, None, "3"]


@pytest.mark.parametrize("wrong", NO_COUNTS)
def test_numbers_that_count_nothing_get_a_clear_error(shop: GenerativeRecommender, wrong: Any) -> None:
    item = shop.catalog.item_ids[7]
    with pytest.raises(DataError, match="nearest counts what is shown"):
        shop.explain(item, nearest=wrong)
    with pytest.raises(DataError, match="most counts what is shown"):
        explain(shop.catalog, shop.items, item, most=wrong)
    parts = (shop.model, shop.ranker.builder, shop.catalog)
    for number in (wrong, 0):
        for call in (
            lambda k: shop.recommend([item], k),
            lambda k: shop.chat([{"role": "user", "content": "a serum"}], k=k),
            lambda k: ChatSession(shop, k=k),
            lambda k: shop.ranker.rank([[item]], k),
            lambda k: shop.ranker.rank([[]], k),
            lambda k: shop.ranker.after_prompts([], k),
            lambda k: GenerativeRanker(*parts, batch_size=k),
            lambda k: GenerativeRanker(*parts, num_beams=k),
        ):
            with pytest.raises(DecodingError):
                call(number)


def test_no_near_items_are_none(shop: GenerativeRecommender, monkeypatch: pytest.MonkeyPatch) -> None:
    item = shop.catalog.item_ids[7]
    assert shop.explain(item, nearest=0).nearest == ()
    monkeypatch.setattr(explanation, "SEEN", 3)  # more can be asked for than are looked at in a prefix
    assert len(shop.explain(item, nearest=10).nearest) == 10


def test_retired_items_are_gone_everywhere(shop: GenerativeRecommender) -> None:
    nails = [i for i in shop.catalog.item_ids if "Nails" in shop.items.row(i)["categories"]]
    gone, kept = nails[::2], nails[1::2]
    later = GenerativeRecommender(
        shop.model, shop.text_tokenizer, shop.vocabulary, shop.catalog.retire(gone), shop.items,
        settings=shop.settings,
    )  # fmt: skip
    filters = {"categories": ["Nails"]}
    for options in ({}, {"query": "nail polish"}, {"messages": [{"role": "user", "content": "nails"}]}):
        for history in ([], [kept[0]]):
            found = {r.item_id for r in later.recommend(history, 200, filters=filters, **options)}
            assert found <= set(kept) - set(history)
    assert {r.item_id for r in later.recommend([kept[0]], 200, filters=filters)} == set(kept[1:])
    with pytest.raises(DataError, match="not in the catalog"):
        later.recommend([gone[0]])
    with pytest.raises(DataError):
        later.explain(gone[0])
    assert later.recommend([gone[0], kept[0]], 3, unknown="skip") == later.recommend([kept[0]], 3)
    assert not {near.item_id for near in later.explain(kept[0], nearest=200).nearest} & set(gone)
    session = ChatSession(shop, history=gone[:1])
    session.say("nails under 100 dollars")
    moved = ChatSession.from_dict(later, session.to_dict())
    assert moved.state.history == ()
    assert not set(moved.state.shown) & set(gone)
    reply = moved.say("more like the first one")
    assert not {r.item_id for r in reply.recommendations} & set(gone)
    assert moved.say(shop.items.title(gone[0])).filters == moved.filters
