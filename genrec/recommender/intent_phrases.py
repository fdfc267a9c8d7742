"""The phrases by which a conversation is understood, read from a data file and compiled once.

Does not know items or what a phrase leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from genrec.config import build, read_yaml
from genrec.errors import ConfigError

FILE = Path(__file__).with_name("intents.yaml")
NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,7}(?:[.,]\d{1,2})?"


@dataclass(frozen=True)
class IntentPhrases:
    """Phrases by what they mean; the data file says what each key is for.

    Raises:
        ConfigError: An empty phrase, or an ordinal below 1.
    """

    negative: tuple[str, ...]
    positive: tuple[str, ...]
    negative_after: tuple[str, ...]
    currencies: tuple[str, ...]
    numbers: dict[str, float]
    at_most: tuple[str, ...]
    at_least: tuple[str, ...]
    around: tuple[str, ...]
    between: tuple[str, ...]
    units: tuple[str, ...]
    or_less: tuple[str, ...]
    or_more: tuple[str, ...]
    cheaper: tuple[str, ...]
    dearer: tuple[str, ...]
    ordinals: dict[int, tuple[str, ...]]
    last: tuple[str, ...]
    that: tuple[str, ...]
    like_that: tuple[str, ...]
    all_shown: tuple[str, ...]
    that_brand: tuple[str, ...]
    that_category: tuple[str, ...]
    more_like: tuple[str, ...]
    liked: tuple[str, ...]
    chosen: tuple[str, ...]
    owned: tuple[str, ...]
    details: tuple[str, ...]
    more: tuple[str, ...]
    show: tuple[str, ...]
    undo: tuple[str, ...]
    reset: tuple[str, ...]
    forget: dict[str, tuple[str, ...]]
    greeting: tuple[str, ...]
    thanks: tuple[str, ...]
    goodbye: tuple[str, ...]
    brand_cues: tuple[str, ...]
    must: tuple[str, ...]
    may: tuple[str, ...]
    must_not: tuple[str, ...]
    also: tuple[str, ...]
    talk: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks that every phrase has something in it."""
        lists = [value for value in vars(self).values() if isinstance(value, tuple)]
        lists += [*self.ordinals.values(), *self.forget.values()]
        if any(not phrase.strip() for phrases in lists for phrase in phrases):
            raise ConfigError("a phrase is empty", remedy="give every phrase a word")
        unknown = set(self.forget) - {"price", "brand", "category", "words"}
        if unknown or any(number < 1 for number in self.ordinals):
            raise ConfigError(
                "the phrases name what a conversation does not have",
                received=", ".join([*sorted(unknown), *map(str, self.ordinals)]),
                remedy="`forget` has price, brand, category and words; ordinals count from 1",
            )

    @classmethod
    def read(cls, path: str | Path = FILE) -> IntentPhrases:
        """Reads a data file with the keys of genrec's own `intents.yaml`.

        Raises:
            ConfigError: No such file, or whatever is wrong in it.
        """
        return build(cls, read_yaml(path), source=str(path))

    def pattern(self, *names: str) -> re.Pattern[str]:
        """Matches any phrase of these keys as whole words, the longest first."""
        known = self._patterns.get(names)
        if known is None:
            phrases = [phrase for name in names for phrase in getattr(self, name)]
            known = self._patterns[names] = whole_words(phrases)
        return known

    @cached_property
    def _patterns(self) -> dict[tuple[str, ...], re.Pattern[str]]:
        return {}

    @cached_property
    def talk_words(self) -> frozenset[str]:
        """Words that say nothing of an item, those of the phrases among them."""
        lists = [self.talk, self.negative, self.positive, self.negative_after, self.liked, self.owned]
        lists += [self.more, *self.ordinals.values()]
        return frozenset(word for words in lists for phrase in words for word in phrase.casefold().split())

    @cached_property
    def ordinal_patterns(self) -> list[tuple[int, re.Pattern[str]]]:
        """Place -> how it is said: "the second", "second one", "number 2"."""
        found = []
        for place, phrases in self.ordinals.items():
            words = "|".join(map(_escaped, sorted(phrases, key=len, reverse=True)))
            plain = "|".join(_escaped(p) for p in phrases if not p[0].isalpha() or " " in p or "." in p)
            named = rf"(?:the|your|that)\s+(?:{words})(?:\s+(?:one|item|product|option))?|(?:{words})\s+one"
            plain = f"|{plain}" if plain else ""
            found.append((place, re.compile(rf"(?<![\w#])(?:{named}{plain})(?!\w)", re.IGNORECASE)))
        return found

    @cached_property
    def forget_patterns(self) -> dict[str, re.Pattern[str]]:
        """What is forgotten -> how it is said."""
        return {name: whole_words(phrases) for name, phrases in self.forget.items()}

    @cached_property
    def money(self) -> re.Pattern[str]:
        """An amount, with a currency before or behind it or with none.

        Groups `before`, `number`, `behind`, and `unit` where it is no money at all.
        """
        signs = "|".join(_escaped(c) for c in sorted(self.currencies, key=len, reverse=True))
        numbers = "|".join(_escaped(n) for n in sorted(self.numbers, key=len, reverse=True))
        units = "|".join(_escaped(u) for u in sorted(self.units, key=len, reverse=True))
        return re.compile(
            rf"(?<![\w.,#])(?:(?P<before>{signs})\s?)?(?P<number>{NUMBER}|(?:{numbers})(?!\w))"
            rf"(?:\s?(?P<behind>{signs})(?!\w)|\s?(?P<unit>{units})(?!\w))?(?![\w#])",
            re.IGNORECASE,
        )


def whole_words(phrases: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the phrases as whole words in any case, the longest first."""
    ordered = sorted(phrases, key=len, reverse=True)
    body = "|".join(map(_escaped, ordered)) or r"(?!)"
    return re.compile(rf"(?<![\w'])(?:{body})(?![\w'])", re.IGNORECASE)


def _escaped(phrase: str) -> str:
    return r"\s+".join(map(re.escape, phrase.split()))
