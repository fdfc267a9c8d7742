"""Templates of prompts and answers, read from one data file a task.

Does not know token ids, nor what fills a slot.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from genrec.config import read_yaml
from genrec.errors import PromptError
from genrec.tasks.segments import Segment, Trusted

FOLDER = Path(__file__).parent / "templates"
FEWEST = 4  # templates of a form, the held-out one among them

Slots: TypeAlias = Mapping[str, Segment | list[Segment]]


@dataclass(frozen=True)
class Template:
    """One wording: trusted text with named slots, such as `{history}`.

    Attributes:
        prompt: What is asked.
        answer: What the model is to say.

    Raises:
        PromptError: Unbalanced braces, a slot without a name, or blanks around the text.
    """

    prompt: str
    answer: str

    def __post_init__(self) -> None:
        """Parses both texts."""
        _ = self.prompt_pieces, self.answer_pieces

    @cached_property
    def prompt_pieces(self) -> tuple[Trusted | str, ...]:
        """The prompt as trusted texts and names of slots."""
        return _parsed(self.prompt)

    @cached_property
    def answer_pieces(self) -> tuple[Trusted | str, ...]:
        """The answer as trusted texts and names of slots."""
        return _parsed(self.answer)

    @cached_property
    def slots(self) -> frozenset[str]:
        """Names of all slots."""
        return frozenset(p for p in (*self.prompt_pieces, *self.answer_pieces) if isinstance(p, str))

    def fill(self, slots: Slots) -> tuple[list[Segment], list[Segment]]:
        """Prompt and answer with a segment, or several one after the other, in every slot.

        Raises:
            PromptError: A slot that is not filled.
        """
        return self.fill_prompt(slots), self._filled(self.answer_pieces, slots)

    def fill_prompt(self, slots: Slots) -> list[Segment]:
        """The prompt alone, as serving needs it.

        Raises:
            PromptError: A slot that is not filled.
        """
        return self._filled(self.prompt_pieces, slots)

    def _filled(self, pieces: tuple[Trusted | str, ...], slots: Slots) -> list[Segment]:
        filled: list[Segment] = []
        try:
            for piece in pieces:
                segments = slots[piece] if isinstance(piece, str) else piece
                filled += segments if isinstance(segments, list) else [segments]
            return filled
        except KeyError as error:
            raise PromptError(
                "a slot of the template is not filled",
                received=f"{{{error.args[0]}}} in {self.prompt!r}, filled: {', '.join(slots)}",
                remedy="use only slots that the task knows",
            ) from None


@dataclass(frozen=True)
class TemplateForm:
    """Wordings that take the same slots.

    Attributes:
        name: Name of the form within its task.
        training: Wordings that training rows are drawn from.
        held_out: The wording no training row uses, for evaluation.
    """

    name: str
    training: tuple[Template, ...]
    held_out: Template

    def draw(self, rng: np.random.Generator, *, held_out: bool = False) -> Template:
        """One of the training wordings, each as likely as another, or the held-out one."""
        return self.held_out if held_out else self.training[int(rng.integers(len(self.training)))]

    @property
    def slots(self) -> frozenset[str]:
        """Names of the slots, the same in every wording."""
        return self.held_out.slots


@cache
def load_templates(task: str) -> Mapping[str, TemplateForm]:
    """The forms of a task, by name, from genrec's data file `templates/<task>.yaml`.

    Raises:
        ConfigError: No such file, or no YAML.
        PromptError: Fewer than four wordings of a form, not exactly one of them held out, or wordings of a
            form with different slots.
    """
    return parse_templates(read_yaml(FOLDER / f"{task}.yaml"), source=f"{task}.yaml")


def parse_templates(forms: Mapping[str, Any], *, source: str) -> dict[str, TemplateForm]:
    """The forms of a mapping: form name -> list of `prompt`, `answer` and, for one, `held_out: true`.

    Args:
        forms: The mapping, as a data file holds it.
        source: Where it stands, for messages.

    Raises:
        PromptError: See `load_templates`.
    """
    return {name: _form(name, rows, f"{source}, form {name!r}") for name, rows in forms.items()}


def _form(name: str, rows: Any, place: str) -> TemplateForm:
    if not isinstance(rows, list) or not all(map(_is_wording, rows)):
        raise PromptError(
            f"{place}: a form is a list of wordings",
            received=rows,
            remedy="give each a `prompt` and an `answer`, and one of them `held_out: true`",
        )
    training = tuple(Template(row["prompt"], row["answer"]) for row in rows if not row.get("held_out"))
    held_out = [Template(row["prompt"], row["answer"]) for row in rows if row.get("held_out")]
    prompts = {template.prompt for template in (*training, *held_out)}
    if len(held_out) != 1 or len(prompts) < max(FEWEST, len(rows)):
        raise PromptError(
            f"{place}: there must be {FEWEST} different wordings or more, one of them held out",
            received=f"{len(prompts)} different wordings of {len(rows)}, {len(held_out)} of them held out",
            remedy="write more, and mark one with `held_out: true`",
        )
    for template in training:
        if template.slots != held_out[0].slots:
            raise PromptError(
                f"{place}: the wordings have different slots",
                received=f"{sorted(template.slots)} in {template.prompt!r}, else {sorted(held_out[0].slots)}",
                remedy="make several forms of them",
            )
    return TemplateForm(name, training, held_out[0])


def _is_wording(row: Any) -> bool:
    return isinstance(row, dict) and {"prompt", "answer"} <= row.keys() <= {"prompt", "answer", "held_out"}


def _parsed(text: str) -> tuple[Trusted | str, ...]:
    pieces: list[Trusted | str] = []
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise PromptError(
            f"a template cannot be read: {error}", received=text, remedy="write {{ and }} for braces"
        ) from None
    for literal, slot, spec, conversion in parts:
        if slot is not None and (not slot.isidentifier() or spec or conversion):
            raise PromptError(
                "a slot of a template needs a plain name", received=text, remedy="write {history}, say"
            )
        pieces += [Trusted(literal)] * bool(literal) + ([slot] if slot is not None else [])
    if text != text.strip():
        raise PromptError(
            "a template has blanks around it", received=repr(text), remedy="chat templates cut them off"
        )
    return tuple(pieces)
