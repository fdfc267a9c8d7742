"""Filters: what they say, what they refuse, and the items that they let through, judged row by row."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec import GenRecError, ItemTable
from genrec.errors import ConfigError, DataError
from genrec.recommender import Condition, FilterIndex, Filters
from genrec.recommender.conversation_state import ConversationState, StateChanges
from genrec.recommender.filters import as_filters
from genrec.recommender.intents import Intent

ROWS: list[dict[str, Any]] = [
    {"item_id": "a", "title": "Red Lip Gloss", "brand": "Velora", "categories": ["Lips", "Make-up"],
     "price": 9.5, "vegan": True, "stars": 4, "maker": "One"},
    {"item_id": "b", "title": "Redwood Comb (c++)", "brand": "velora", "categories": ["Hair"], "price": None,
     "vegan": False, "stars": 5, "maker": None},
    {"item_id": "c", "title": "Blue Soap", "brand": "", "categories": [], "price": 20.0, "vegan": None,
     "stars": 1, "maker": "Two"},
    {"item_id": "d", "title": "Lip Liner", "brand": "Quill", "categories": ["lips"], "price": 30.0,
     "vegan": True, "stars": 2, "maker": "two"},
]  # fmt: skip
INDEX = FilterIndex(ItemTable.from_rows(ROWS), ["d", "c", "b", "a"])


def fitting(filters: Filters) -> str:
    return "".join(
        sorted(item for item, fits in zip(INDEX.item_ids, INDEX.mask(filters), strict=True) if fits)
    )


@pytest.mark.parametrize(
    ("filters", "items"),
    [
        (Filters(), "abcd"),
        (Filters(max_price=20), "ac"),
        (Filters(min_price=20), "cd"),
        (Filters(min_price=9.5, max_price=9.5), "a"),
        (Filters(brands=("VELORA",)), "ab"),
        (Filters(brands=("Velora", "Quill")), "abd"),
        (Filters(exclude_brands=("velora",)), "cd"),
        (Filters(categories=("lips",)), "ad"),
        (Filters(exclude_categories=("Lips",)), "bc"),
        (Filters(words=("red",)), "a"),
        (Filters(words=("lip", "liner")), "d"),
        (Filters(words=("lip  gloss",)), "a"),
        (Filters(words=("(c++)",)), "b"),
        (Filters(exclude_words=("lip",)), "bc"),
        (Filters(exclude_items=("a", "zz")), "bcd"),
        (Filters(where=(Condition("vegan", "is", (True,)),)), "ad"),
        (Filters(where=(Condition("vegan", "is_not", (True,)),)), "bc"),
        (Filters(where=(Condition("stars", "is", (1, 5)),)), "bc"),
        (Filters(where=(Condition("stars", "at_least", (4,)),)), "ab"),
        (Filters(where=(Condition("maker", "is", ("TWO",)),)), "cd"),
        (Filters(where=(Condition("maker", "contains_not", ("one",)),)), "bcd"),
        (
            Filters(max_price=20, exclude_brands=("Velora",), where=(Condition("stars", "at_most", (1,)),)),
            "c",
        ),
    ],
)
def test_what_fits(filters: Filters, items: str) -> None:
    assert fitting(filters) == items


VALUES = st.lists(
    st.sampled_from(["Velora", "velora", "Quill", "lips", "Hair", "red", "lip", "soap"]), max_size=2
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "min_price": st.sampled_from([0.0, 9.5, 20.0]),
        "max_price": st.sampled_from([20.0, 25.5, 30.0]),
        **{name: VALUES.map(tuple) for name in ("brands", "categories", "words", "exclude_words")},
        "exclude_items": st.lists(st.sampled_from("abcdz"), max_size=2).map(tuple),
    },
)


def by_hand(row: dict[str, Any], f: Filters) -> bool:
    text = " ".join([row["title"], row["brand"], *row["categories"]]).lower()

    def says(phrase: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", text) is not None

    price = row["price"]
    return (
        (f.min_price is None or (price is not None and price >= f.min_price))
        and (f.max_price is None or (price is not None and price <= f.max_price))
        and (not f.brands or row["brand"].lower() in {b.lower() for b in f.brands})
        and (
            not f.categories
            or bool({c.lower() for c in row["categories"]} & {c.lower() for c in f.categories})
        )
        and all(map(says, f.words))
        and not any(map(says, f.exclude_words))
        and row["item_id"] not in f.exclude_items
    )


@given(FILTERS)
def test_masks_agree_with_a_check_row_by_row_and_json_brings_filters_back(values: dict[str, Any]) -> None:
    try:
        filters = Filters(**values)
    except ConfigError:
        assert {w.lower() for w in values["words"]} & {w.lower() for w in values["exclude_words"]}
        return
    assert fitting(filters) == "".join(row["item_id"] for row in ROWS if by_hand(row, filters))
    assert Filters.from_json(filters.to_json()) == filters
    assert len(filters.describe()) == len(filters.parts())
    for part in filters.parts():
        assert set(fitting(filters)) <= set(fitting(filters.without(part)))
        assert part not in filters.without(part).parts()


def test_a_mask_kept_for_truth_values_is_not_that_of_numbers() -> None:
    index = FilterIndex(ItemTable.from_rows(ROWS), ["d", "c", "b", "a"])
    for column, fit, unfit in (("vegan", True, 1), ("vegan", False, 0.0), ("stars", 1, True)):
        assert index.mask(Filters(where=(Condition(column, "is", (fit,)),))).any()
        with pytest.raises(DataError, match="compare truth values with truth values"):
            index.mask(Filters(where=(Condition(column, "is", (unfit,)),)))


def test_filters_are_edited_as_text() -> None:
    filters = Filters().edited('max_price=15 brands=Velora,Quill "words=dry skin"')
    assert filters == Filters(max_price=15, brands=("Velora", "Quill"), words=("dry skin",))
    assert filters.edited("brands= max_price=20") == Filters(max_price=20, words=("dry skin",))
    assert filters.edited('{"min_price": 3}') == Filters(min_price=3)
    assert filters.edited("none") == Filters() == Filters().edited("")
    for wrong in ("max_price", "'", "max_prise=3", "max_price=x"):
        with pytest.raises(ConfigError):
            filters.edited(wrong)


def test_item_ids_are_told_apart_by_their_case() -> None:
    ids = ("b0a1", "B0A1")
    assert Filters(exclude_items=ids).exclude_items == ids
    changes = StateChanges(ItemTable.from_rows(ROWS))
    state = changes.apply(ConversationState(), [Intent("like", ids[0]), Intent("dislike", ids[1])])
    assert (state.likes, state.dislikes) == (ids[:1], ids[1:])


def test_the_demand_in_the_way_is_named() -> None:
    filters = Filters(brands=("Quill",), max_price=20)
    assert [(part.describe()[0], count) for part, count in INDEX.obstacles(filters)] == [
        ("brand Quill", 2), ("price at most 20", 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Filters(min_price=30, max_price=20), "min_price=30 is above max_price=20"),
        (lambda: Filters(max_price=float("nan")), "max_price=nan is no price"),
        (lambda: Filters(min_price=-1), "is no price"),
        (lambda: Filters(brands="Velora"), "brands='Velora' is no list of texts"),  # type: ignore[arg-type]
        (lambda: Filters(words=(" ",)), "is no list of texts"),
        (lambda: Filters(words=None), "words=None is no list of texts"),  # type: ignore[arg-type]
        (lambda: Filters(where=[{"column": "price"}]), "no list of conditions"),  # type: ignore[arg-type]
        (lambda: Filters(brands=("A",), exclude_brands=("a",)), "both name 'a'"),
        (lambda: Filters.from_json("[1]"), "JSON object"),
        (lambda: Filters.from_json("{"), "no JSON"),
        (lambda: Filters.from_dict({"max_prise": 3}), "did you mean max_price"),
        (lambda: Condition("price", "at_least", ("x",)), "give one number"),
        (lambda: Condition("price", "is", ()), "needs a column, a test and a value"),
        (lambda: as_filters(3), "or a mapping"),  # type: ignore[arg-type]
        (lambda: INDEX.mask(Filters(where=(Condition("star", "is", (1,)),))), "did you mean 'stars'"),
        (lambda: INDEX.mask(Filters(where=(Condition("title", "at_least", (1,)),))), "large_string"),
        (lambda: INDEX.mask(Filters(where=(Condition("stars", "is", ("x",)),))), "with numbers"),
    ],
)
def test_what_makes_no_sense_is_told(make: Any, expected: str) -> None:
    with pytest.raises(GenRecError) as told:
        make()
    assert expected in str(told.value)
    assert isinstance(told.value, ConfigError | DataError)
