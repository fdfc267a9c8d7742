"""What prompts and answers are made of: trusted text, untrusted text, Semantic IDs.

Does not know token ids: the prompt builder turns segments into them, each kind in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from genrec.tasks.text_columns import TextColumn

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Trusted:
    """Text of ours: templates, chat marks. Token names in it become tokens; never put data here.

    Attributes:
        text: The text. Its ids are cached for good, so it must come from a template, not from a row.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Text that anyone may have written, encoded on its own; no reserved token comes out of it.

    In a prompt that is too long it is cut at its end.

    Attributes:
        text: The text.
        blanks: Whether blanks around it stay; else they are cut off.
    """

    text: str
    blanks: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ColumnTexts:
    """Untrusted texts of items, tokenised once an item.

    Several rows are a history: in a prompt that is too long its oldest texts go, while a single text is cut
    at its end.

    Attributes:
        column: The texts.
        rows: Catalog rows, oldest first.
        separator: Trusted text between two of them.
    """

    column: TextColumn
    rows: Sequence[int] | np.ndarray
    separator: str = "\n"


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Semantic IDs, one after the other.

    Several are a history: in a prompt that is too long the oldest go.

    Attributes:
        codes: int `[items, L]`, oldest first; with `rows`, those of a whole catalog.
        rows: Which rows of `codes` are meant, oldest first; None = all. A matrix given with rows is turned
            into token ids once and must not change.
        whole: Whether all of them stay, as the candidates of a choice must.
    """

    codes: np.ndarray
    rows: Sequence[int] | np.ndarray | None = None
    whole: bool = False


Segment: TypeAlias = Trusted | Untrusted | ColumnTexts | Codes


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation.

    Attributes:
        role: Who speaks.
        segments: What is said.
    """

    role: Role
    segments: Sequence[Segment]
