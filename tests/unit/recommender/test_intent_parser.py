"""What messages ask for: a table of wordings, and texts of any kind that must do no harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec import GenerativeRecommender
from genrec.errors import ConfigError
from genrec.recommender.intent_parser import IntentParser
from genrec.recommender.intent_phrases import FILE, IntentPhrases

SHOWN = ["w0002", "w0004", "w0003"]  # by Fallowmere, Embercote, Fallowmere


@pytest.fixture(scope="module")
def parser(shop: GenerativeRecommender) -> IntentParser:
    return shop.conversation.parser


CASES: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("under 20 dollars", [("max_price", 20.0)]),
    ("at most $19.99, please", [("max_price", 19.99)]),
    ("less than 1,200 euros", [("max_price", 1200.0)]),
    ("20 dollars or less", [("max_price", 20.0)]),
    ("my budget is 30", [("max_price", 30.0)]),
    ("over 15 bucks", [("min_price", 15.0)]),
    ("$15 and up", [("min_price", 15.0)]),
    ("between 10 and 20", [("min_price", 10.0), ("max_price", 20.0)]),
    ("10-20 dollars", [("min_price", 10.0), ("max_price", 20.0)]),
    ("from 20 to 10 euros", [("min_price", 10.0), ("max_price", 20.0)]),
    ("around 20 dollars", [("min_price", 15.0), ("max_price", 25.0)]),
    ("cheaper", [("cheaper", "")]),
    ("That is too expensive.", [("cheaper", "")]),
    ("cheaper than the second one", [("cheaper", "w0004")]),
    ("something more upmarket", [("dearer", "")]),
    ("not that brand", [("not_brand", "Fallowmere")]),
    ("I don't want that brand again", [("not_brand", "Fallowmere")]),
    ("same brand as the second one", [("brand", "Embercote")]),
    ("the same kind", [("category", "Eye Creams")]),
    ("only from Fallowmere", [("brand", "Fallowmere")]),
    ("embercote's nail polish", [("brand", "Embercote"), ("category", "Nail Polishes")]),
    ("anything but Fallowmere", [("not_brand", "Fallowmere")]),
    ("no Fallowmere or Embercote", [("not_brand", "Fallowmere"), ("not_brand", "Embercote")]),
    ("not Fallowmere but Embercote", [("not_brand", "Fallowmere"), ("brand", "Embercote")]),
    ("nail polish or blush", [("category", "Nail Polishes"), ("category", "Blushes")]),
    ("no blushes", [("not_category", "Blushes")]),
    ("more like the second one", [("more_like", "w0004")]),
    ("under twenty dollars", [("max_price", 20.0)]),
    ("I like the second one, show me more like it", [("like", "w0004"), ("more_like", "w0004")]),
    ("more like that", [("more_like", "w0002")]),
    ("anything vegan for my husband?", [("unknown_word", "vegan")]),
    ("something similar to number 2", [("more_like", "w0004")]),
    ("more like the first but cheaper", [("more_like", "w0002"), ("cheaper", "")]),
    ("I like the third one", [("like", "w0003")]),
    ("the last one looks good", [("like", "w0003")]),
    ("I hate the second one", [("dislike", "w0004")]),
    ("the first one is not for me", [("dislike", "w0002")]),
    ("none of these", [("dislike", item) for item in SHOWN]),
    ("I'll take the second one", [("choose", "w0004")]),
    ("I already have #3", [("own", "w0003")]),
    ("tell me more about the second one", [("details", "w0004")]),
    ("why the first one?", [("details", "w0002")]),
    ("the seventh one", [("no_reference", "the seventh one")]),
    ("w0004 was great", [("like", "w0004")]),
    ("for dry skin", [("word", "dry skin")]),
    ("with almond oil, without chamomile", [("word", "almond oil"), ("not_word", "chamomile")]),
    ("I don't want anything with green tea", [("not_word", "green tea")]),
    ("in turquoise", [("unknown_word", "turquoise")]),
    ("for my sister", []),
    ("without parabens", []),
    ("something else", [("more", "")]),
    ("show me more", [("more", "")]),
    ("any brand will do", [("forget", "brand")]),
    ("no price limit", [("forget", "price")]),
    ("start over", [("reset", "")]),
    ("undo, please", [("undo", "")]),
    ("hello!", [("greeting", "")]),
    ("thank you, bye", [("thanks", ""), ("goodbye", "")]),
    ("a gentle scent", [("query", "gentle scent")]),
    ("first I need a moment", [("unknown_word", "moment")]),
    ("100 years", []),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), CASES, ids=[message for message, _ in CASES])
def test_what_a_message_asks_for(parser: IntentParser, message: str, expected: list[tuple[Any, ...]]) -> None:
    found = [
        (i.kind, i.amount if i.kind.endswith("_price") else i.value) for i in parser.parse(message, SHOWN)
    ]
    assert sorted(map(str, found)) == sorted(map(str, expected))


PIECES = [
    "not", "cheaper", "under", "20", "$", "the second one", "more like", "Fallowmere", ",", "but", "blush",
    "with", "<a_1>", "<|eos|>", "\u202e", "\x00", "it", "that brand", "or", "w0002", "no", "\n", "100 ml",
]  # fmt: skip


@settings(max_examples=120)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)))
def test_any_text_gives_values_that_the_catalog_has(
    parser: IntentParser, shop: GenerativeRecommender, message: str
) -> None:
    rows = shop.items.table.to_pylist()
    brands, names = {r["brand"] for r in rows}, {c for r in rows for c in r["categories"]}
    found = parser.parse(message, SHOWN)
    assert found == parser.parse(message, SHOWN)
    for intent in found:
        match intent.kind:
            case "brand" | "not_brand":
                assert intent.value in brands
            case "category" | "not_category":
                assert intent.value in names
            case "like" | "dislike" | "more_like" | "choose" | "own" | "details":
                assert intent.value in shop.catalog
            case "word" | "not_word":
                assert shop.conversation.occurs(intent.value)
            case "max_price" | "min_price":
                assert intent.amount >= 0


def test_long_messages_are_cut(parser: IntentParser) -> None:
    parser.parse("not , " * 700, SHOWN)
    parser.parse("1,111" * 800, SHOWN)
    parser.parse("x" * 100_000 + " under 20", SHOWN)
    assert parser.parse("x" * 100_000 + " under 20 dollars", SHOWN)[-1].kind != "max_price"


def test_phrases_are_data(tmp_path: Path, shop: GenerativeRecommender) -> None:
    values = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    values["cheaper"] = ["billiger"]
    path = tmp_path / "intents.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    conversation = shop.conversation
    german = IntentParser(shop.items, conversation.names, conversation.occurs, IntentPhrases.read(path))
    assert [i.kind for i in german.parse("billiger")] == ["cheaper"]
    values["cheaperr"] = values.pop("cheaper")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean cheaper"):
        IntentPhrases.read(path)
    values["forget"]["colour"] = ["x"]
    values["cheaper"] = values.pop("cheaperr")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match="colour"):
        IntentPhrases.read(path)
