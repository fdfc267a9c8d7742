"""The one prompt builder, used for training rows and for serving alike.

Does not know tasks' sources, nor what a model does with a prompt. A prompt is a run of id segments: trusted
marks and Semantic IDs as token ids; text, where a task has any, is encoded on its own and never as part of a
template string.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from genrec.errors import PromptError
from genrec.semantic_ids import UserTokenizer
from genrec.tasks.segment_encoder import SegmentEncoder
from genrec.tasks.segments import Codes, Segment, Trusted, Turn
from genrec.tasks.shortening import shorten
from genrec.tasks.templates import Slots, Template
from genrec.vocabulary import SemanticIdVocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100


class PromptBuilder:
    """Turns histories of codes, and segments of any kind, into token ids.

    Args:
        vocabulary: Codes to token ids.
        bos_token_id: Token every prompt starts with, where no chat template says otherwise.
        pad_token_id: Token that fills shorter prompts of a batch.
        max_history: Items kept of a history; what came before is cut at the oldest end.
        text_tokenizer: Encodes text; None where there are Semantic IDs alone.
        template: Wording that `history` asks for the next item in, with the slot `{history}`; None = the
            packed form, which is the start token and the history's IDs.
        held_out: Rows of tasks take the wording that training never sees, to evaluate with.
        max_length: Most tokens of a row, answer included; what is longer is shortened as
            `genrec.tasks.shortening` says.
        user_tokenizer: Puts codes of the history in front of it, in the form without words; an empty history
            has none.

    Raises:
        PromptError: `max_history` below 1, or user codes with a template.
    """

    def __init__(
        self,
        vocabulary: SemanticIdVocabulary,
        *,
        bos_token_id: int,
        pad_token_id: int,
        max_history: int = 20,
        text_tokenizer: PreTrainedTokenizerBase | None = None,
        template: Template | None = None,
        held_out: bool = False,
        max_length: int | None = None,
        user_tokenizer: UserTokenizer | None = None,
    ) -> None:
        if user_tokenizer is not None and template is not None:
            raise PromptError(
                "user codes stand in prompts without words alone",
                received="a user tokenizer and a template",
                remedy="train seqrec in the form `prefixes`, or leave user codes out",
            )
        if max_history < 1:
            raise PromptError(
                "a prompt needs room for an item",
                received=f"max_history={max_history}",
                remedy="set it to 1 or more",
            )
        self.vocabulary = vocabulary
        self.bos_token_id = bos_token_id
        self.pad_token_id = pad_token_id
        self.max_history = max_history
        self.text_tokenizer = text_tokenizer
        self.template = template
        self.held_out = held_out
        self.max_length = max_length
        self.user_tokenizer = user_tokenizer
        # by identity; a template is kept with its plan, so that no other one takes its place
        self._plans: dict[int, tuple[Template, list[np.ndarray | str], list[np.ndarray | str]]] = {}

    @classmethod
    def for_tokenizer(
        cls,
        text_tokenizer: PreTrainedTokenizerBase,
        vocabulary: SemanticIdVocabulary,
        *,
        max_history: int = 20,
        template: Template | None = None,
        held_out: bool = False,
        max_length: int | None = None,
        user_tokenizer: UserTokenizer | None = None,
    ) -> PromptBuilder:
        """The builder of a text tokenizer; prompts start with its start token, else with its end token.

        Raises:
            PromptError: The text tokenizer has neither, or no padding token.
        """
        bos, eos, pad = text_tokenizer.bos_token_id, text_tokenizer.eos_token_id, text_tokenizer.pad_token_id
        start = eos if bos is None else bos  # Qwen's have no start token
        if not isinstance(start, int) or not isinstance(pad, int):
            raise PromptError(
                "the text tokenizer lacks a start or a padding token",
                received=f"bos {bos}, eos {eos}, pad {pad}",
                remedy="set text_tokenizer.pad_token and text_tokenizer.bos_token",
            )
        return cls(
            vocabulary,
            bos_token_id=start,
            pad_token_id=pad,
            max_history=max_history,
            text_tokenizer=text_tokenizer,
            template=template,
            held_out=held_out,
            max_length=max_length,
            user_tokenizer=user_tokenizer,
        )

    def history(self, codes: np.ndarray) -> np.ndarray:
        """Prompt of a history, in which the newest `max_history` items count.

        Args:
            codes: int `[items, L]`, oldest first; in the packed form no item at all is a prompt of the start
                token alone.

        Returns:
            int64 `[tokens]`; in the packed form `[1 + min(items, max_history) * L]`, for IDs of equal length.
        """
        if self.template is None:
            return self._packed(codes[-self.max_history :], user=self.user_tokenizer)
        slots = {"history": Codes(codes[-self.max_history :])}
        reserved = self.vocabulary.spec.num_tokens + len(self.end_ids)
        return self.prompt([Turn("user", self.template.fill_prompt(slots))], reserve=reserved)

    def next_items(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Packed training row of a run of items, in which every item after the first is a target.

        Each target stands behind exactly the packed prompt that `history` builds of the items before it.

        Args:
            codes: int `[items, L]`, oldest first, at most `max_history + 1` items.

        Returns:
            Token ids and labels, int64 `[1 + items * L]` for IDs of equal length; labels are -100 up to the
            end of the first item.

        Raises:
            PromptError: More items than any prompt in serving holds, or user codes: those of one history
                would give away what comes after another.
        """
        if self.user_tokenizer is not None:
            raise PromptError(
                "packed rows cannot carry user codes: a user's codes are made of the items before the target",
                received="a user tokenizer",
                remedy="train seqrec in the form `prefixes`",
            )
        if len(codes) > self.max_history + 1:
            raise PromptError(
                "a training row is longer than any prompt in serving",
                received=f"{len(codes)} items for max_history={self.max_history}",
                remedy="cut the row to max_history + 1 items",
            )
        ids = self._packed(codes)
        labels = ids.copy()
        labels[: 1 + len(self.vocabulary.flat(codes[:1]))] = IGNORED_LABEL
        return ids, labels

    def next_item(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row of one target behind the prompt that `history` builds of the items before it.

        Args:
            codes: int `[items, L]`, oldest first, the target last; at most `max_history + 1` items.

        Returns:
            Token ids and labels, int64 `[tokens]`; labels are -100 up to the target.
        """
        prompt = self._packed(codes[:-1][-self.max_history :], user=self.user_tokenizer)
        target = self.vocabulary.flat(codes[-1:])
        ids = np.concatenate([prompt, target]).astype(np.int64)
        labels = np.where(np.arange(len(ids)) < len(prompt), IGNORED_LABEL, ids)
        return ids, labels

    def batch(self, histories: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Left-padded prompts of several histories: ids and mask, int64 `[batch, longest]`."""
        prompts = [self.history(codes) for codes in histories]
        longest = max(len(prompt) for prompt in prompts)
        ids = np.full((len(prompts), longest), self.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = prompt
            mask[row, longest - len(prompt) :] = 1
        return ids, mask

    def sample(self, prompt: Sequence[Segment], answer: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray]:
        """Training row of one question and its answer; see `conversation`."""
        return self.conversation([Turn("user", prompt)], answer)

    def fill(self, template: Template, slots: Slots) -> tuple[np.ndarray, np.ndarray]:
        """Training row of a template: what `sample(*template.fill(slots))` gives, in less time.

        Raises:
            PromptError: A slot that is not filled, or what `conversation` raises.
        """
        asked, said = self._plan(template)
        prompt: list[np.ndarray] = []
        answer: list[np.ndarray] = []
        for pieces, arrays in ((asked, prompt), (said, answer)):
            for piece in pieces:
                if not isinstance(piece, str):
                    arrays.append(piece)
                    continue
                segment = slots.get(piece)
                if segment is None or isinstance(segment, (Trusted, list)):
                    return self.sample(*template.fill(slots))
                arrays.append(self._encoder.encode(segment))
        length = sum([len(ids) for ids in prompt])
        ids = np.concatenate(prompt + answer, dtype=np.int64)
        too_long = self.max_length is not None and len(ids) > self.max_length
        if too_long or len(ids) == length + len(self.end_ids):
            return self.sample(*template.fill(slots))
        labels = ids.copy()
        labels[:length] = IGNORED_LABEL
        return ids, labels

    def conversation(self, turns: Sequence[Turn], answer: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray]:
        """Training row of a conversation and the assistant's answer to it.

        Args:
            turns: What was said before.
            answer: What the model is to say; the end of the turn is put behind it.

        Returns:
            Token ids and labels, int64 `[tokens]`; labels are -100 up to the answer.

        Raises:
            PromptError: An answer without a token, or a row that cannot be made as short as `max_length`.
        """
        said = self._encoder.arrays(answer)
        length = sum(map(len, said))
        if not length:
            raise PromptError(
                "an answer has no token", received=repr(answer), remedy="leave out rows without an answer"
            )
        asked = self._asked(turns, length + len(self.end_ids))
        ids = np.concatenate([*asked, *said, self.end_ids], dtype=np.int64)
        labels = ids.copy()
        labels[: len(ids) - length - len(self.end_ids)] = IGNORED_LABEL
        return ids, labels

    def prompt(self, turns: Sequence[Turn], *, reserve: int = 0) -> np.ndarray:
        """What stands before the assistant's answer, int64 `[tokens]`.

        Args:
            turns: What was said before.
            reserve: Tokens of `max_length` that are kept free for the answer.

        Raises:
            PromptError: It cannot be made as short as `max_length`.
        """
        return np.concatenate(self._asked(turns, reserve), dtype=np.int64)

    def text(self, segments: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray]:
        """Training row of plain text, learned whole: start token, text, end token; no chat template.

        Returns:
            Token ids and labels, int64 `[tokens]`; only the start token has no label.

        Raises:
            PromptError: The text cannot be made as short as `max_length`.
        """
        ids = np.concatenate(
            [[self.bos_token_id], *self._fitting(segments, reserve=2), [self._encoder.eos]], dtype=np.int64
        )
        labels = ids.copy()
        labels[0] = IGNORED_LABEL
        return ids, labels

    def _asked(self, turns: Sequence[Turn], reserve: int) -> list[np.ndarray]:
        """The parts of `prompt`."""
        frame = self._encoder.frame(tuple([turn.role for turn in turns]))
        segments: list[Segment] = []
        for before, turn in zip(frame, turns, strict=False):  # the rest of the frame follows the last turn
            segments += [Trusted(before), *turn.segments]
        segments.append(Trusted(frame[len(turns)]))
        if self._encoder.has_chat_template:
            return self._fitting(segments, reserve)
        return [np.array([self.bos_token_id]), *self._fitting(segments, reserve + 1)]

    def _plan(self, template: Template) -> tuple[list[np.ndarray | str], list[np.ndarray | str]]:
        """A template with its texts and the chat template's encoded, and its slots by name."""
        plan = self._plans.get(id(template))
        if plan is None:
            before, between, _ = self._encoder.frame(("user",))
            marks = [Trusted(before), *template.prompt_pieces, Trusted(between)]
            asked, said = self._encoder.planned(marks), self._encoder.planned(template.answer_pieces)
            if not self._encoder.has_chat_template:
                asked.insert(0, np.array([self.bos_token_id]))
            plan = self._plans[id(template)] = template, asked, [*said, self.end_ids]
        return plan[1:]

    def _fitting(self, segments: Sequence[Segment], reserve: int) -> list[np.ndarray]:
        """Token ids of segments, shortened where `max_length` leaves no room."""
        arrays = self._encoder.arrays(segments)
        if self.max_length is None or sum(map(len, arrays)) <= self.max_length - reserve:
            return arrays
        pieces = self._encoder.pieces(segments)
        shorten(pieces, self.max_length - reserve)
        return [piece.ids for piece in pieces]

    @cached_property
    def end_ids(self) -> np.ndarray:
        """What ends every answer: the chat template's end of a turn, else the end token; int64."""
        return self._encoder.end_ids

    def decode(self, ids: np.ndarray) -> str:
        """What token ids spell, special tokens shown by their names."""
        return str(self._encoder.text_tokenizer.decode(ids.tolist(), skip_special_tokens=False))

    def _packed(self, codes: np.ndarray, user: UserTokenizer | None = None) -> np.ndarray:
        parts = [np.array([self.bos_token_id]), self.vocabulary.flat(codes)]
        if user is not None and len(codes):
            parts.insert(1, self.vocabulary.encode_user(user.encode(codes)))
        return np.concatenate(parts).astype(np.int64)

    @cached_property
    def _encoder(self) -> SegmentEncoder:
        if self.text_tokenizer is None:
            raise PromptError(
                "this prompt builder has no text tokenizer, and text needs one",
                received="text_tokenizer=None",
                remedy="make it with PromptBuilder.for_tokenizer(text_tokenizer, vocabulary)",
            )
        return SegmentEncoder(self.text_tokenizer, self.vocabulary)
