"""How a model that was trained on dialogues is asked with a conversation, and as a `QueryRanker`.

Does not know filters or sessions. The prompt is that of the task `dialogue`: what the user says stays text,
in what the assistant said titles are Semantic IDs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from genrec.baselines.ranked_lists import empty_lists
from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.phrase_index import PhraseIndex
from genrec.tasks import Codes, PromptBuilder, Segment, Turn, Untrusted, load_templates

MOST_TURNS = 7  # as in training (`genrec.tasks.DialogueReply`)
SPEAKER = re.compile(r"^(user|assistant): ?", re.MULTILINE)


class DialoguePrompts:
    """Prompts of conversations, in the first training wording of the task `dialogue`.

    Args:
        builder: The prompt builder of training.
        catalog: Items and their Semantic IDs.
        items: Their titles.
        names: Finds titles in what the assistant said, where a message does not say which items it names.
    """

    def __init__(
        self, builder: PromptBuilder, catalog: Catalog, items: ItemTable, names: Callable[[], PhraseIndex]
    ) -> None:
        self.builder = builder
        self.catalog = catalog
        self.items = items
        self.names = names
        self.template = load_templates("dialogue")["reply"].training[0]

    def prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        evidence: Sequence[Segment] = (),
        reserve: int = 0,
    ) -> np.ndarray:
        """What stands before the assistant's reply, int64 `[tokens]`.

        Turns of one side that follow each other are joined; what the assistant says before the user's first
        word, and system messages, are left out; the newest seven turns count.

        Args:
            messages: `{"role": ..., "content": ...}`, the last one the user's.
            evidence: What the model is to know besides, put before the first message.
            reserve: Tokens kept free for the reply, where the rows of training had a longest length.
        """
        turns = alternating(messages)
        turns = turns[max(0, len(turns) - MOST_TURNS) :]
        if turns and turns[0]["role"] == "assistant":
            turns = turns[1:]
        said = [Turn("user" if t["role"] == "user" else "assistant", self._said(t)) for t in turns]
        asked, _ = self.template.fill({"message": list(said[0].segments), "reply": Untrusted("")})
        said[0] = Turn("user", [*evidence, *asked])
        return self.builder.prompt(said, reserve=reserve)

    def _said(self, message: Mapping[str, Any]) -> list[Segment]:
        text = str(message["content"]).strip()
        if message["role"] == "user":
            return [Untrusted(text)]
        segments: list[Segment] = []
        place = 0
        for mention in self.names().mentions(text):
            if mention.kind != "item" or mention.value not in self.catalog:
                continue
            segments += [Untrusted(text[place : mention.start], blanks=True)] * (place < mention.start)
            segments.append(Codes(self.catalog.codes[self.catalog.rows([mention.value])]))
            place = mention.end
        return segments + [Untrusted(text[place:], blanks=True)] * (place < len(text))


class DialogueRanker:
    """Ranks items for a dialogue so far: the first item of the model's reply; part of `QueryRanker`.

    Args:
        ranker: The model's search.
        prompts: How the model is asked.
        lead: What the reply begins with before the item, such as "Have you seen"; "" = the item comes first.
        name: Name in reports.
    """

    def __init__(
        self,
        ranker: GenerativeRanker,
        prompts: DialoguePrompts,
        *,
        lead: str = "",
        name: str = "dialogue",
    ) -> None:
        self.ranker = ranker
        self.prompts = prompts
        self.name = name
        tokenizer = prompts.builder.text_tokenizer
        ids = tokenizer(lead, add_special_tokens=False)["input_ids"] if lead and tokenizer else []
        self._lead = np.array(ids, dtype=np.int64)

    def rank_queries(self, queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks the catalog for dialogues written as lines `user: ...` and `assistant: ...`.

        Returns:
            Items, object `[n, k]`, and log-probabilities, float32 `[n, k]`; empty lists for dialogues in
            which the user has not said anything.
        """
        items, scores = empty_lists(len(queries), k)
        asked = [spoken(query) for query in queries]
        filled = [i for i, said in enumerate(asked) if alternating(said)]
        prompts = [np.concatenate([self.prompts.prompt(asked[i]), self._lead]) for i in filled]
        found = self.ranker.after_prompts(prompts, k)
        items[filled], scores[filled] = found.items, found.scores
        return items, scores


def alternating(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Turns of user and assistant by turns, the user first; empty ones and system messages left out."""
    turns: list[dict[str, str]] = []
    for message in messages:
        text = str(message["content"]).strip()
        if message["role"] == "system" or not text or (not turns and message["role"] == "assistant"):
            continue
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1] = {"role": message["role"], "content": f"{turns[-1]['content']}\n{text}"}
        else:
            turns.append({"role": message["role"], "content": text})
    return turns


def spoken(text: str) -> list[dict[str, str]]:
    """The turns of a dialogue written as lines `user: ...` and `assistant: ...`."""
    marks = list(SPEAKER.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    return [
        {"role": mark[1], "content": text[mark.end() : end].strip()}
        for mark, end in zip(marks, ends, strict=True)
    ]
