"""`GeneratedTexts`: queries and preferences written by a language model that the user names, kept on disk.

Does not know prompts of tasks, Semantic IDs, or how the model is reached. LC-Rec (arXiv 2311.09049, section
3.2) had such a model write both; `genrec.tasks.attribute_texts` needs none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from genrec.config import read_yaml
from genrec.data import InteractionLog, ItemTable
from genrec.errors import ConfigError, GenerationError
from genrec.tasks.text_cache import TextCache
from genrec.tasks.text_sources import PreferenceSource

KEPT_PARTS = 1 << 17  # preferences that need not be looked up again
FIELDS = ("title", "brand", "categories", "price", "description")
LONGEST_FIELD = 600  # characters of a field that the model is shown
LONGEST_QUERY, LONGEST_PREFERENCE = 300, 500  # characters that are kept


class TextModel(Protocol):
    """A language model that writes: `ChatEndpoint` or `LocalGenerator`.

    Attributes:
        settings: What its answers depend on; another model or setting has texts of its own.
        max_new_tokens: Most tokens of an answer.
    """

    settings: dict[str, Any]
    max_new_tokens: int

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has, or about how many."""
        ...

    def answers(self, questions: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Number of a question and its answer, as they come."""
        ...


@dataclass(frozen=True)
class Estimate:
    """What it takes to write the texts that are not there yet.

    Attributes:
        calls: Questions to ask.
        kept: Texts that are there already.
        prompt_tokens: Tokens of the questions; for an endpoint about one for four characters.
        answer_tokens: Tokens expected in answer: the mean of the answers that are there, else the most
            there can be.
        cost: In the currency of the prices; None where no prices were given.
    """

    calls: int
    kept: int
    prompt_tokens: int
    answer_tokens: int
    cost: float | None


class GeneratedTexts:
    """A `QuerySource` and a `PreferenceSource` whose words come from a language model.

    Texts are made by `generate`, before training, and looked up afterwards; every one is kept on disk when it
    comes, so that a run that is stopped, in whatever way, goes on where it was. What the model is shown and
    what it says is untrusted text all the way.

    A preference is made of up to `max_items` items, at a user's second interaction and at every `stride`-th;
    a history gets the newest one that was made of nothing but items in it. Histories should therefore hold
    `max_items + stride` items where the user has as many.

    Args:
        items: What the model is shown: title, brand, categories, price, description, where they are there.
        model: Who writes.
        cache: File that keeps the answers.
        num_queries: Queries of an item.
        max_items: Items a preference is made of.
        stride: A preference is made at every so many interactions.
        fallback: Asked for a preference where none was made; None = there is none then.

    Raises:
        ConfigError: A number below 1.
        DataError: The file holds something else.
    """

    def __init__(
        self,
        items: ItemTable,
        model: TextModel,
        cache: str | Path,
        *,
        num_queries: int = 3,
        max_items: int = 10,
        stride: int = 5,
        fallback: PreferenceSource | None = None,
    ) -> None:
        if min(num_queries, max_items, stride) < 1:
            raise ConfigError(
                "texts cannot be generated with these settings",
                received=f"num_queries={num_queries}, max_items={max_items}, stride={stride}",
                remedy="use 1 or more of each",
            )
        self.items = items
        self.model = model
        self.cache = TextCache(cache)
        self.num_queries = num_queries
        self.max_items = max_items
        self.stride = stride
        self.fallback = fallback
        self._items: dict[str, str] = {}
        self._found: dict[tuple[str, ...], str] = {}
        self._wordings = read_yaml(Path(__file__).with_name("generation_prompts.yaml"))

    def estimate(
        self,
        item_ids: Sequence[str] = (),
        log: InteractionLog | None = None,
        *,
        price_per_million: tuple[float, float] | None = None,
    ) -> Estimate:
        """What `generate` with the same items and log would take.

        Args:
            item_ids: Items that are to have queries.
            log: Training part of a split, whose users are to have preferences.
            price_per_million: Price of a million tokens of questions, and of answers.

        Raises:
            DataError: An item the table does not have.
        """
        questions = self._questions(item_ids, log)
        open_ones = [question for key, question in questions.items() if key not in self.cache]
        prompt_tokens = sum(map(self.model.count_tokens, open_ones))
        kept = [self.cache[key] for key in questions if key in self.cache]
        each: float = self.model.max_new_tokens
        if kept:
            each = sum(map(self.model.count_tokens, kept)) / len(kept)
        answer_tokens = round(each * len(open_ones))
        cost = None
        if price_per_million is not None:
            asked, said = price_per_million
            cost = (prompt_tokens * asked + answer_tokens * said) / 1e6
        return Estimate(len(open_ones), len(kept), prompt_tokens, answer_tokens, cost)

    def generate(
        self, item_ids: Sequence[str] = (), log: InteractionLog | None = None, *, progress: bool = True
    ) -> None:
        """Has the model write what is not there yet.

        Args:
            item_ids: Items that are to have queries.
            log: Training part of a split, whose users are to have preferences.
            progress: Whether a progress bar is shown.

        Raises:
            DataError: An item the table does not have.
            GenerationError: The model cannot be reached, or refuses; what came so far is kept.
        """
        from tqdm import tqdm

        self._found.clear()
        questions = self._questions(item_ids, log)
        keys = [key for key in questions if key not in self.cache]
        with tqdm(total=len(keys), desc="texts", unit="text", disable=not progress) as bar:
            for number, answer in self.model.answers([questions[key] for key in keys]):
                self.cache.add(keys[number], answer, {"model": self.model.settings["model"]})
                bar.update()

    def queries(self, item_id: str) -> tuple[str, ...]:
        """Search requests for an item, in the model's words; () where it found none to say.

        Raises:
            DataError: An item the table does not have.
            GenerationError: No text was made for it.
        """
        key = self._key(self._query_question(item_id))
        if key not in self.cache:
            raise GenerationError(
                "no queries were generated for an item",
                received=repr(item_id),
                remedy="call generate(item_ids) with all items of the catalog before training",
            )
        lines = [re.sub(r"^\s*(?:[-*•]+|\(?\d+[.):])\s*", "", line) for line in _plain(self.cache[key])]
        found = [line.strip("\"“”'` ") for line in lines]
        own = re.compile(rf"(?<!\w){re.escape(item_id)}(?!\w)", re.IGNORECASE)
        fit = [query for query in found if 0 < len(query) <= LONGEST_QUERY and not own.search(query)]
        return tuple(dict.fromkeys(fit))[: self.num_queries]

    def preference(self, history: Sequence[str]) -> str:
        """What was written of a history, or of the newest part before its last items.

        Returns:
            "" where nothing was written and the fallback, if there is one, has nothing to say.
        """
        for end in range(len(history), max(1, len(history) - self.stride), -1):
            text = self._written(tuple(history[max(0, end - self.max_items) : end]))
            if text:
                return text
        return "" if self.fallback is None else self.fallback.preference(history)

    def _written(self, part: tuple[str, ...]) -> str:
        """The preference that was made of just these items, "" where none was."""
        text = self._found.get(part)
        if text is None:
            text = ""
            if all(item in self.items for item in part):
                key = self._key(self._preference_question(part))
                if key in self.cache:
                    text = _whole_sentences(" ".join(_plain(self.cache[key])), LONGEST_PREFERENCE)
            if len(self._found) >= KEPT_PARTS:
                self._found.clear()
            self._found[part] = text
        return text

    def _questions(self, item_ids: Sequence[str], log: InteractionLog | None) -> dict[str, str]:
        """All questions by key, each once."""
        asked = [self._query_question(item) for item in item_ids]
        for history in [] if log is None else map(log.history, log.user_ids):
            for end in range(2, len(history) + 1):
                if end == 2 or end % self.stride == 0:
                    part = tuple(history[max(0, end - self.max_items) : end])
                    asked.append(self._preference_question(part))
        return {self._key(question): question for question in asked}

    def _query_question(self, item_id: str) -> str:
        values = {"number": str(self.num_queries), "item": self._shown(item_id)}
        return _filled(self._wordings["queries"], values)

    def _preference_question(self, item_ids: tuple[str, ...]) -> str:
        items = "\n\n".join(map(self._shown, item_ids))
        return _filled(self._wordings["preference"], {"items": items})

    def _shown(self, item_id: str) -> str:
        """The columns of an item as the model is shown them."""
        if item_id not in self._items:
            row = self.items.row(item_id)
            lines = []
            for field in FIELDS:
                value = row.get(field)
                text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
                if text.strip():
                    lines.append(f"{field}: {' '.join(text.split())[:LONGEST_FIELD]}")
            self._items[item_id] = "\n".join(lines) or "(nothing is known of it)"
        return self._items[item_id]

    def _key(self, question: str) -> str:
        facts = json.dumps([self.model.settings, question], sort_keys=True)
        return hashlib.sha256(facts.encode("utf-8")).hexdigest()


def _filled(wording: str, values: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda slot: values[slot[1]], wording)


def _plain(answer: str) -> list[str]:
    """Gives the lines of an answer with single blanks, without what the model thought before it."""
    lines = re.sub(r"^.*?</think>", "", answer, flags=re.DOTALL).splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def _whole_sentences(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s)", text[: longest + 1])]
    return text[: ends[-1]] if ends else text[:longest].rsplit(" ", 1)[0]
