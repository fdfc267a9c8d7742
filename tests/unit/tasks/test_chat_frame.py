"""Chat templates: rendered once, the same on every day, refused when they mangle messages."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from genrec.errors import PromptError
from genrec.tasks.chat_frame import chat_frame

BODY = "{% for m in messages %}[{{ m.role }}]{{ m.content }}<|eos|>{% endfor %}"


def tokenizer_with(world: Any, template: str) -> Any:
    text_tokenizer = copy.deepcopy(world.text_tokenizer)
    text_tokenizer.chat_template = template
    return text_tokenizer


def test_the_frame_is_what_stands_around_the_messages(world: Any) -> None:
    frame = chat_frame(tokenizer_with(world, BODY), ("system", "user", "assistant"))
    assert frame == ("[system]", "<|eos|>[user]", "<|eos|>[assistant]", "<|eos|>")


@pytest.mark.parametrize(
    "date",
    ["{{ strftime_now('%d %b %Y') }}", "{{ date_string }}", "{% set d = strftime_now('%Y') %}{{ d }}"],
)
def test_today_is_not_in_a_prompt(world: Any, date: str) -> None:
    frame = chat_frame(tokenizer_with(world, f"Today is {date}." + BODY), ("user", "assistant"))
    assert frame[0] == "Today is 26 Jul 2024.[user]"


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0].content }}",  # the answer is missing
        BODY + BODY,  # everything twice
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
        "{{ messages[1].content }}{{ messages[0].content }}",
        "{{ raise_exception('no user, please') }}",
        "{{ nothing.of.this }}",
    ],
)
def test_a_template_that_mangles_messages_is_refused(world: Any, template: str) -> None:
    with pytest.raises(PromptError, match="chat template"):
        chat_frame(tokenizer_with(world, template), ("user", "assistant"))
