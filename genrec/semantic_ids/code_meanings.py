"""What codes stand for: the words and categories that tell a code's items from the others.

Does not know how IDs were made or who uses them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.data import ItemTable

WORDS = 6
CATEGORIES = 3
DISTINCTIVE = 1.0  # standard deviations of log-odds that a word must be above the other items
FEWEST = 2  # items of a code that a word must stand in


@dataclass(frozen=True)
class CodeMeaning:
    """One code or prefix.

    Attributes:
        codes: The prefix, one code or more.
        tokens: The same as tokens.
        num_items: Items that have it.
        words: Its most distinctive title words, most distinctive first.
        categories: Its most frequent categories that say something, each with the share of its items.
        titles: Titles of three of its items.
    """

    codes: tuple[int, ...]
    tokens: tuple[str, ...]
    num_items: int
    words: tuple[str, ...]
    categories: tuple[tuple[str, float], ...]
    titles: tuple[str, ...]


def code_meanings(
    items: ItemTable,
    item_ids: Sequence[str],
    codes: np.ndarray,
    tokens: Sequence[Sequence[str]],
    *,
    depth: int = 1,
    most: int = 300,
) -> list[CodeMeaning]:
    """Meanings of the prefixes of `depth` codes that most items have, most frequent first.

    Words are ranked by log-odds against all other items, with the overall frequencies as prior and divided
    by their standard deviation (Monroe, Colaresi and Quinn 2008), so that neither rare nor common words win.

    Args:
        items: Titles and, where the table has them, categories.
        item_ids: n items.
        codes: int ``[n, L]``.
        tokens: Semantic ID of each item as tokens.
        depth: Codes of a prefix.
        most: Prefixes at most.
    """
    prefixes = [tuple(row) for row in codes[:, :depth].tolist()]
    members: dict[tuple[int, ...], list[int]] = {}
    for row, prefix in enumerate(prefixes):
        members.setdefault(prefix, []).append(row)
    chosen = sorted(members, key=lambda prefix: (-len(members[prefix]), prefix))[:most]
    titles = items.texts(["title"], item_ids)
    categories = _categories(items, item_ids)
    common = {
        name
        for name, count in Counter(c for names in categories for c in set(names)).items()
        if count > 0.9 * len(item_ids)
    }
    counts, vocabulary = _counts(titles)
    found = []
    for prefix in chosen:
        rows = members[prefix]
        listed = Counter(
            name for row in rows for name in dict.fromkeys(categories[row]) if name not in common
        )
        best = sorted(listed.items(), key=lambda pair: (-pair[1], pair[0]))[:CATEGORIES]
        found.append(
            CodeMeaning(
                codes=prefix,
                tokens=tuple(tokens[rows[0]][:depth]),
                num_items=len(rows),
                words=_distinctive(counts, vocabulary, np.array(rows)),
                categories=tuple((name, count / len(rows)) for name, count in best),
                titles=tuple(titles[row] for row in rows[:3]),
            )
        )
    return found


def _categories(items: ItemTable, item_ids: Sequence[str]) -> list[list[str]]:
    if "categories" not in items.columns:
        return [[] for _ in item_ids]
    by_id = dict(zip(items.item_ids, items.table.column("categories").to_pylist(), strict=True))
    return [by_id[item] for item in item_ids]


def _counts(titles: Sequence[str]) -> tuple[Any, np.ndarray]:
    """In which titles a word stands, sparse ``[titles, words]``, and the words."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(binary=True, stop_words="english", token_pattern=r"(?u)\b[^\W\d_]{3,}\b")
    try:
        counts = vectorizer.fit_transform(titles).tocsr()
    except ValueError:  # no title holds a word
        return None, np.empty(0, dtype=object)
    return counts, vectorizer.get_feature_names_out()


def _distinctive(counts: Any, vocabulary: np.ndarray, rows: np.ndarray) -> tuple[str, ...]:
    if counts is None:
        return ()
    inside = np.asarray(counts[rows].sum(axis=0)).ravel().astype(np.float64)  # [words]
    overall = np.asarray(counts.sum(axis=0)).ravel().astype(np.float64)
    outside = overall - inside
    prior = 0.01 * overall
    one = (inside + prior) / np.maximum(inside.sum() + prior.sum() - inside - prior, 1e-9)
    other = (outside + prior) / np.maximum(outside.sum() + prior.sum() - outside - prior, 1e-9)
    deviation = np.sqrt(1 / (inside + prior) + 1 / (outside + prior))
    score = (np.log(one) - np.log(other)) / deviation
    score[inside < min(FEWEST, len(rows))] = -np.inf
    order = np.argsort(-score, kind="stable")[:WORDS]
    return tuple(str(vocabulary[word]) for word in order if score[word] > DISTINCTIVE)
