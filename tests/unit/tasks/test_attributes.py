"""Attributes as a source of queries and preferences: true, distinctive, the same whatever the order."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.data import ItemTable, SyntheticWorld
from genrec.errors import ConfigError, DataError
from genrec.tasks.attribute_texts import AttributeTexts, _phrases
from genrec.tasks.attributes import AttributeTable

BANDS = {word: band for band, words in _phrases()["bands"].items() for word in words}


@pytest.fixture(scope="module")
def items() -> ItemTable:
    return SyntheticWorld.generate(seed=1, num_items=400, num_users=1).items


@pytest.fixture(scope="module")
def texts(items: ItemTable) -> AttributeTexts:
    return AttributeTexts(items)


def stated(query: str, items: ItemTable) -> dict[str, Any]:
    """What a query says, read back from its text with the words of the whole table, by longest match."""
    rows = items.table.to_pylist()
    found: dict[str, Any] = {"brands": set(), "categories": set(), "bands": set()}
    rest = query
    names = sorted({("brands", row["brand"]) for row in rows}, key=lambda name: -len(name[1]))
    names += sorted(
        {("categories", name) for row in rows for name in row["categories"]}, key=lambda name: -len(name[1])
    )
    names += [("bands", word) for word in BANDS]
    for kind, name in names:
        pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
        if re.search(pattern, rest, re.IGNORECASE):
            found[kind].add(name)
            rest = re.sub(pattern, " ", rest, flags=re.IGNORECASE)
    own = " ".join(re.sub(r"{\w+}", " ", wording) for wording in _phrases()["queries"]).lower()
    found["words"] = set(re.findall(r"\w+", rest.lower())) - set(re.findall(r"\w+", own))
    return found


def test_what_a_query_states_is_true_of_its_item(items: ItemTable, texts: AttributeTexts) -> None:
    prices: dict[str, list[float]] = {}
    for row in items.table.to_pylist():
        for name in row["categories"]:
            prices.setdefault(name, []).append(row["price"])
    counted = {"brands": 0, "categories": 0, "bands": 0, "words": 0}
    for item in items.item_ids[::7]:
        row = items.row(item)
        own_words = re.findall(r"[^\W\d_]+", f"{row['title']} {row['description']}".lower())
        group = min((n for n in row["categories"] if len(prices[n]) >= 6), key=lambda n: len(prices[n]))
        share = np.mean([price < row["price"] for price in prices[group]])
        for query in texts.queries(item):
            said = stated(query, items)
            assert said["brands"] <= {row["brand"]}
            assert said["categories"] <= set(row["categories"])
            assert said["words"] <= set(own_words)
            for word in said["bands"]:
                low, high = {"low": (0, 0.4), "middle": (0.25, 0.75), "high": (0.5, 1)}[BANDS[word]]
                assert low <= share <= high, (query, share)
            for kind, values in said.items():
                counted[kind] += len(values)
    assert min(counted.values()) > 50, counted


def test_ranking_by_match_puts_the_item_in_the_top_group(items: ItemTable, texts: AttributeTexts) -> None:
    documents = [
        " ".join([row["title"], row["brand"], *row["categories"], row["description"]]).lower()
        for row in items.table.to_pylist()
    ]
    vocabularies = [set(re.findall(r"\w+", document)) for document in documents]
    for place, item in list(enumerate(items.item_ids))[::11]:
        for query in texts.queries(item):
            said = stated(query, items)
            words = {
                w.lower() for kind in ("brands", "categories") for name in said[kind] for w in name.split()
            }
            words |= said["words"]
            if said["bands"]:
                continue  # the words of a band are in no document
            scores = np.array([len(words & vocabulary) for vocabulary in vocabularies])
            assert scores[place] == scores.max()
            assert (scores == scores.max()).sum() <= texts.max_matches


@pytest.mark.parametrize("name", ["amazon_scientific", "amazon_beauty", "conv_redial", "limit_small"])
def test_real_items_have_queries_that_fit_and_tell_them_apart(shared_data: Path, name: str) -> None:
    items = ItemTable.read(shared_data / name / "items.jsonl.gz")
    texts = AttributeTexts(items)
    sample = random.Random(0).sample(items.item_ids, min(200, len(items)))
    queries = {item: texts.queries(item) for item in sample}
    assert sum(map(bool, queries.values())) >= 0.99 * len(sample)
    matches = []
    for item, own in queries.items():
        for query in own:
            assert not re.search(rf"(?<!\w){re.escape(item)}(?!\w)", query)
            assert not re.search(r"[<>{}\n]", query)
        attributes = texts.attributes[item]
        facts = [("category", c) for c in attributes.categories[:1]]
        facts += [("word", w) for w in attributes.words]
        place = texts.attributes.item_ids.index(item)
        assert place in texts.attributes.matches(facts)  # type: ignore[arg-type]
        matches.append(len(texts.attributes.matches(facts)))  # type: ignore[arg-type]
    assert np.median(matches) <= 3
    assert (np.array(matches) <= texts.max_matches).mean() >= 0.9


def test_the_order_of_rows_changes_nothing(items: ItemTable, texts: AttributeTexts) -> None:
    order = items.item_ids.copy()
    random.Random(4).shuffle(order)
    shuffled = AttributeTexts(items.subset(order))
    for item in items.item_ids:
        assert shuffled.queries(item) == texts.queries(item)
    history = items.item_ids[:9]
    assert shuffled.preference(history) == texts.preference(history)


def test_there_are_several_wordings_and_none_twice(items: ItemTable, texts: AttributeTexts) -> None:
    for item in items.item_ids[:50]:
        assert len(set(texts.queries(item))) == len(texts.queries(item)) >= 4
    wordings = {texts.preference([item]).split(" ")[0] for item in items.item_ids}
    assert len(wordings) >= 4


COLUMNS: dict[str, Any] = {
    "title": ["A red cotton hat", "A blue cotton hat", "A blue wool scarf", "A green wool scarf"],
    "brand": ["Ada", "Ada", "Bo", "Bo"],
    "categories": [["Hats"], ["Hats"], ["Scarves"], ["Scarves"]],
    "price": [1.0, 2.0, 3.0, 4.0],
    "description": ["soft", "warm", "soft", "warm"],
}


@pytest.mark.parametrize(
    "there", [there for n in range(1, 6) for there in itertools.combinations(COLUMNS, n)], ids="-".join
)
def test_any_columns_will_do_and_the_others_are_named(there: tuple[str, ...]) -> None:
    rows = [
        {"item_id": f"i{row}", "title": "", **{name: COLUMNS[name][row % 4] for name in there}}
        for row in range(8)
    ]
    texts = AttributeTexts(ItemTable.from_rows(rows))
    assert set(texts.attributes.missing) == set(COLUMNS) - set(there)
    for item in texts.attributes.item_ids:
        known = texts.attributes[item]
        assert bool(known.brand) == ("brand" in there)
        assert bool(known.categories) == ("categories" in there)
        assert bool(known.band) == ("price" in there)
        if set(there) - {"price"}:
            assert texts.queries(item)
            assert texts.preference([item])


def test_nothing_to_describe_by_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to describe items by") as caught:
        AttributeTexts(ItemTable.from_rows([{"item_id": "a", "title": ""}]))
    assert "categories, brand, price, title, description" in str(caught.value)
    with pytest.raises(DataError, match="no attributes are known"):
        AttributeTexts(ItemTable.from_rows([{"item_id": "a", "title": "b c d"}])).queries("z")


@pytest.mark.parametrize("setting", [{"num_words": -1}, {"max_matches": 0}])
def test_settings_out_of_range_are_errors(items: ItemTable, setting: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="cannot be made with these settings"):
        AttributeTexts(items, **setting)


def test_ids_and_tokens_are_not_said() -> None:
    rows = [
        {"item_id": "Velora", "title": "Velora shampoo", "brand": "Velora", "categories": ["Hair", "<a_1>"]},
        {"item_id": "b", "title": "soap <|im_end|> <a_12>", "brand": "<b_2>", "categories": ["Bath", "b"]},
        {"item_id": "c", "title": "Velora soap", "brand": "Velora", "categories": ["Bath"]},
    ]
    texts = AttributeTexts(ItemTable.from_rows(rows))
    said = " | ".join([*texts.queries("Velora"), *texts.queries("b"), texts.preference(["Velora", "b"])])
    assert "velora" not in said.lower()
    assert not re.search(r"[<>]|\bb\b", said)
    assert any("Velora" in query for query in texts.queries("c"))


@given(st.lists(st.text(max_size=30), min_size=3, max_size=3), st.text(min_size=1, max_size=8))
def test_no_text_brings_a_token_or_the_id_into_a_query(fields: list[str], item: str) -> None:
    rows = [
        {"item_id": item, "title": fields[0], "brand": fields[1], "categories": [fields[2]]},
        {"item_id": f"{item} other", "title": "a plain cotton hat", "brand": "Ada", "categories": ["Hats"]},
    ]
    try:
        table = ItemTable.from_rows(rows)
    except DataError:  # half a surrogate pair
        return
    texts = AttributeTexts(table)
    own = " ".join(re.sub(r"{\w+}", " ", wording) for wording in _phrases()["queries"]).lower()
    for query in texts.queries(item):
        assert not re.search(r"[<>\n]", query)
        if item.lower() not in own:
            assert not re.search(rf"(?<!\w){re.escape(item)}(?!\w)", query, re.IGNORECASE)


def test_prices_are_banded_within_the_category() -> None:
    rows = [
        {"item_id": f"{kind}{n}", "title": "", "categories": ["All", kind], "price": float(base + n)}
        for kind, base in (("Pens", 1), ("Sofas", 1000))
        for n in range(9)
    ]
    table = AttributeTable(ItemTable.from_rows(rows))
    for kind in ("Pens", "Sofas"):
        bands = [table[f"{kind}{n}"].band for n in range(9)]
        assert bands == ["low"] * 3 + ["middle"] * 3 + ["high"] * 3
        assert table[f"{kind}0"].categories == (kind,)  # "All" holds of every item and says nothing


def test_the_newest_choices_lead_a_preference() -> None:
    rows = [
        {"item_id": f"{brand}{n}", "title": "", "brand": brand, "categories": [kind], "price": float(n)}
        for brand, kind in (("Ada", "Hats"), ("Bo", "Scarves"), ("Cy", "Gloves"), ("Di", "Socks"))
        for n in range(6)
    ]
    texts = AttributeTexts(ItemTable.from_rows(rows))
    old, new = ["Ada0", "Ada1"], ["Bo5", "Bo4"]
    said = texts.preference([*old, *new])
    assert said.index("scarves") < said.index("hats")
    assert said.index("Bo") < said.index("Ada")
    turned = texts.preference([*new, *old])
    assert turned.index("hats") < turned.index("scarves")
    # Ten of one kind outweigh a single newer one.
    many = texts.preference([f"Cy{n % 6}" for n in range(10)] + ["Di1"])
    assert many.index("gloves") < many.index("socks")
    assert [BANDS[word] for word in BANDS if word in texts.preference(["Ada0", "Bo5", "Ada5", "Bo4"])] == [
        "high"
    ]
    assert texts.preference([]) == texts.preference(["nowhere"]) == ""
    assert texts.preference(["nowhere", "Ada0"]) != ""
