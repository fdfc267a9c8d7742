"""Names of a catalog in a text: whole words, the longest first, and none that is not there."""

from __future__ import annotations

from itertools import pairwise

from genrec import ItemTable
from genrec.recommender.phrase_index import PhraseIndex

ITEMS = ItemTable.from_rows(
    [
        {"item_id": "m1", "title": "Up (2009)", "description": "A house goes up. Ready for home?"},
        {"item_id": "movie-2", "title": "Sky Fall", "brand": "Home", "categories": ["Brushes", "Sky"]},
        {"item_id": "12345", "title": "Sky Fall", "brand": "O'Neil's", "description": None},
        {"item_id": "movie-4", "title": " ".join(["very"] * 20), "brand": "Sky"},
        {"item_id": "movie-5", "title": "…"},
    ]
)


def found(text: str) -> list[tuple[str, str, str]]:
    mentions = PhraseIndex(ITEMS, ITEMS.canonical_ids).mentions(text)
    assert all(a.end <= b.start for a, b in pairwise(mentions))
    return [(m.kind, m.value, text[m.start : m.end]) for m in mentions]


def test_names_are_found_as_whole_words() -> None:
    assert found("a brush, SKY FALL's and o'neil") == [
        ("category", "Brushes", "brush"),
        ("item", "12345", "SKY FALL's"),
        ("brand", "O'Neil's", "o'neil"),
    ]
    assert found("sky") == [("brand", "Sky", "sky")]
    assert found("skyfall movie 4 m1 12345 very very …") == [("item", "movie-4", "movie 4")]


def test_common_words_are_names_only_as_they_are_written() -> None:
    assert found("going up to home") == []
    assert found("Home") == [("brand", "Home", "Home")]
    assert found("Up (2009)") == [("item", "m1", "Up (2009")]


def test_words_are_those_of_all_columns() -> None:
    words = PhraseIndex(ITEMS, ITEMS.canonical_ids).words
    assert {"up", "2009", "home", "o'neil's", "brushes", "ready", "very"} <= words
    assert "…" not in words
