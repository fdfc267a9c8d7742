"""One message while it is being read: which parts are understood already, where its clauses begin and end.

Does not know what the parts mean.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from genrec.recommender.phrase_index import TOKEN

LONGEST_MESSAGE = 4000  # characters that are read; what follows is cut
CLAUSE_END = re.compile(r"[.;:!?]+(?=\s|$)|[,\n]|(?<!anything )(?<!nothing )\bbut\b", re.IGNORECASE)


class MessageReading:
    """A message and what of it is used up.

    Args:
        message: What someone wrote.
    """

    def __init__(self, message: str) -> None:
        text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in message[:LONGEST_MESSAGE])
        self.text = re.sub("[\u2018\u2019]", "'", text)
        self.used: list[tuple[int, int]] = []
        self._ends = [match.span() for match in CLAUSE_END.finditer(self.text)]

    def use(self, start: int, end: int) -> None:
        """Marks a part as understood."""
        self.used.append((start, end))

    def is_free(self, start: int, end: int) -> bool:
        """Whether no character of a part is used."""
        return all(end <= begin or stop <= start for begin, stop in self.used)

    def find(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches in free parts, in order."""
        for match in pattern.finditer(self.text):
            if self.is_free(*match.span()):
                yield match

    def take(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """The same, each marked as understood."""
        found = []
        for match in self.find(pattern):
            self.use(*match.span())
            found.append(match)
        return found

    def clause(self, place: int) -> tuple[int, int]:
        """Where the clause around a place begins and ends."""
        begin = max((end for _, end in self._ends if end <= place), default=0)
        end = min((start for start, _ in self._ends if start >= place), default=len(self.text))
        return begin, end

    def is_list(self, end: int, start: int) -> bool:
        """Whether what ends and what starts there stand in one list: a comma or a joining word between."""
        between = self.text[end:start].replace(",", " ").lower().split()
        return end <= start and between in ([], ["or"], ["and"], ["nor"], ["&"], ["/"])

    def free_tokens(self, start: int = 0, end: int | None = None) -> list[re.Match[str]]:
        """Words of a part that are not understood yet."""
        stop = len(self.text) if end is None else end
        return [token for token in TOKEN.finditer(self.text, start, stop) if self.is_free(*token.span())]
