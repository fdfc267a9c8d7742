"""`Filters`: what an answer has to fulfil, as plain values that a person can read and edit.

Does not know items, conversations or models: `FilterIndex` says which items fulfil them.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from genrec.config import build, to_mapping
from genrec.errors import ConfigError, DataError

Test = Literal["is", "is_not", "at_least", "at_most", "contains", "contains_not"]
Value = str | bool | float
TESTS: tuple[Test, ...] = get_args(Test)
NUMBERS = ("at_least", "at_most")
WORDS = {
    "is": "is",
    "is_not": "is not",
    "at_least": "at least",
    "at_most": "at most",
    "contains": "mentions",
    "contains_not": "does not mention",
}


@dataclass(frozen=True)
class Condition:
    """A test on one column of the item table, the user's own columns among them.

    Attributes:
        column: Its name.
        test: `is` and `is_not` compare whole values (texts in any case; of a list column any entry),
            `at_least` and `at_most` numbers, `contains` and `contains_not` look for whole words in texts.
        values: What is compared with: one number for `at_least` and `at_most`, else one value or more, of
            which any will do for `is` and `contains` and none for their opposites.

    Raises:
        ConfigError: No column, an unknown test, no value, or a value that the test cannot use.
    """

    column: str
    test: Test
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        """Checks that the test can be made."""
        given: Any = self.values
        object.__setattr__(self, "values", tuple(given) if isinstance(given, tuple | list) else (given,))
        if not self.column or self.test not in TESTS or not self.values:
            raise ConfigError(
                "a condition needs a column, a test and a value",
                received=f"column={self.column!r}, test={self.test!r}, values={self.values!r}",
                remedy=f"use one of the tests {', '.join(TESTS)}",
            )
        kinds: tuple[type, ...] = (str, float, int)
        if self.test in NUMBERS:
            kinds = (float, int)
        elif self.test.startswith("contains"):
            kinds = (str,)
        fit = all(isinstance(v, kinds) and (v == v) and v != "" for v in self.values)
        if not fit or (self.test in NUMBERS and (len(self.values) > 1 or isinstance(self.values[0], bool))):
            raise ConfigError(
                f"the test {self.test!r} on {self.column} cannot use this",
                received=repr(self.values),
                remedy="give one number" if self.test in NUMBERS else "give texts, numbers or truth values",
            )

    def __str__(self) -> str:
        """The test in words."""
        return f"{self.column} {WORDS[self.test]} {_either(map(_plain, self.values))}"


@dataclass(frozen=True)
class Filters:
    """What every recommended item has to fulfil; all of it at once.

    Texts are compared in any case. An item without a price does not fulfil a limit on it; an item without a
    brand or category fulfils their exclusion. Prices are numbers of the item table's own currency.

    Attributes:
        min_price: Lowest price.
        max_price: Highest price.
        brands: The brand is one of these.
        exclude_brands: The brand is none of these.
        categories: One of the item's categories is one of these.
        exclude_categories: None of the item's categories is one of these.
        words: Words or phrases that must all stand in title, brand, categories or description.
        exclude_words: Words or phrases that must not.
        exclude_items: Item ids that are left out.
        where: Tests on any column.

    Raises:
        ConfigError: Prices that are no numbers or leave no room, an empty text, or a value that is asked for
            and excluded at once.
    """

    min_price: float | None = None
    max_price: float | None = None
    brands: tuple[str, ...] = ()
    exclude_brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    exclude_words: tuple[str, ...] = ()
    exclude_items: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        """Checks the values and drops repeated ones."""
        problems = []
        for name in ("min_price", "max_price"):
            price = getattr(self, name)
            if price is not None and (isinstance(price, bool) or not _is_price(price)):
                problems.append(f"{name}={price!r} is no price")
        for name in LISTS:
            values = getattr(self, name)
            listed = isinstance(values, Sequence) and not isinstance(values, str)
            if not listed or not all(isinstance(v, str) and v.strip() for v in values):
                problems.append(f"{name}={values!r} is no list of texts")
                continue
            exact = name == "exclude_items"  # ids are told apart by their case
            kept = {v if exact else v.casefold(): v for v in reversed(values)}
            object.__setattr__(self, name, tuple(kept.values())[::-1])
        given: Any = self.where
        if isinstance(given, tuple | list) and all(isinstance(test, Condition) for test in given):
            object.__setattr__(self, "where", tuple(dict.fromkeys(given)))
        else:
            problems.append(f"where={given!r} is no list of conditions")
        if not problems:
            if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
                problems.append(f"min_price={self.min_price} is above max_price={self.max_price}")
            for name in ("brands", "categories", "words"):
                both = {v.casefold() for v in getattr(self, name)} & {
                    v.casefold() for v in getattr(self, f"exclude_{name}")
                }
                problems += [f"{name} and exclude_{name} both name {value!r}" for value in sorted(both)]
        if problems:
            raise ConfigError(
                "these filters cannot be used",
                received="; ".join(problems),
                remedy="give prices of at least 0 and lists of texts, each on one side only",
            )

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return self != Filters()

    def parts(self) -> list[Filters]:
        """The single demands, which together are these filters.

        Values of which any will do stay together; each of the others stands alone.
        """
        parts: list[dict[str, Any]] = [
            {name: getattr(self, name)} for name in SINGLE if getattr(self, name) not in (None, ())
        ]
        parts += [{name: (value,)} for name in (*SPLIT, "where") for value in getattr(self, name)]
        return [Filters(**values) for values in parts]

    def without(self, part: Filters) -> Filters:
        """These filters less one of their `parts`."""
        changed: dict[str, Any] = {}
        for field in fields(self):
            mine, other = getattr(self, field.name), getattr(part, field.name)
            if other not in (None, ()):
                changed[field.name] = (
                    tuple(v for v in mine if v not in other) if isinstance(mine, tuple) else None
                )
        return replace(self, **changed)

    def to_dict(self) -> dict[str, Any]:
        """What is asked for, as plain values for JSON; what is not asked for is left out."""
        plain: dict[str, Any] = to_mapping(self)
        return {name: value for name, value in plain.items() if value not in (None, [])}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Filters:
        """Reads `to_dict`.

        Raises:
            ConfigError: Unknown keys (with the nearest known one) and wrong values, all at once.
        """
        return build(cls, values, source="filters")

    def to_json(self) -> str:
        """The filters as one JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Filters:
        """Reads `to_json`.

        Raises:
            ConfigError: No JSON object, or what `from_dict` raises.
        """
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ConfigError(
                f"the filters are no JSON: {error}",
                received=text[:200],
                remedy='write {"max_price": 20}, say',
            ) from None
        if not isinstance(values, dict):
            raise ConfigError(
                "filters are a JSON object", received=text[:200], remedy='write {"max_price": 20}, say'
            )
        return cls.from_dict(values)

    def edited(self, text: str) -> Filters:
        """These filters after an edit that a person typed.

        Args:
            text: `KEY=VALUE ...`, lists with commas (`max_price=15 brands=Velora,Quillmoss`; `brands=` takes
                a demand away), a JSON object that takes the place of all, or `none`.

        Raises:
            ConfigError: A text of another form, or filters that cannot be used.
        """
        if text.strip() == "none":
            return Filters()
        if text.lstrip().startswith("{"):
            return Filters.from_json(text)
        values = self.to_dict()
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ConfigError(
                f"these filters cannot be read: {error}", received=text[:200], remedy="close the quotes"
            ) from None
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                raise ConfigError(
                    "not of the form KEY=VALUE", received=word, remedy="write max_price=15, say"
                )
            values.pop(key, None)
            if value:
                values[key] = value if key in ("min_price", "max_price") else value.split(",")
        return Filters.from_dict(values)

    def describe(self) -> list[str]:
        """Each demand in words, such as "price at most 20"."""
        return [_in_words(part) for part in self.parts()]


LISTS = tuple(f.name for f in fields(Filters) if f.name not in ("min_price", "max_price", "where"))
SINGLE = ("min_price", "max_price", "brands", "categories")
SPLIT = ("exclude_brands", "exclude_categories", "words", "exclude_words", "exclude_items")


def as_filters(value: Filters | Mapping[str, Any] | None) -> Filters:
    """Filters given as such, as a mapping (`Filters.to_dict`) or not at all.

    Raises:
        ConfigError: A mapping that is no filters.
        DataError: Something else.
    """
    if value is None:
        return Filters()
    if isinstance(value, Filters):
        return value
    if isinstance(value, Mapping):
        return Filters.from_dict(value)
    raise DataError(
        "filters are a genrec.recommender.Filters or a mapping",
        received=repr(value)[:200],
        remedy="pass Filters(max_price=20), say",
    )


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _in_words(part: Filters) -> str:
    for name, words in {
        "brands": "brand {}",
        "exclude_brands": "not of the brand {}",
        "categories": "in {}",
        "exclude_categories": "not in {}",
        "words": "with “{}”",
        "exclude_words": "without “{}”",
        "exclude_items": "not the item {}",
    }.items():
        if getattr(part, name):
            return words.format(_either(getattr(part, name)))
    if part.min_price is not None:
        return f"price at least {_plain(part.min_price)}"
    return str(part.where[0]) if part.where else f"price at most {_plain(part.max_price)}"


def _either(values: Any) -> str:
    return " or ".join(values)


def _plain(value: object) -> str:
    """A value as it is read: 20 for 20.0, 19.99, yes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.2f}".rstrip("0")
    return str(value)
