"""Chat templates: rendered once, the same on every day, refused when they mangle messages."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from genrec.errors import PromptError
from genrec.tasks import IGNORED_LABEL, PromptBuilder, Untrusted
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


SHAPES = {  # how the chat templates of some families are built, in short
    "a hidden thought before the last answer": (
        "{% for m in messages %}<|bos|>{{ m.role }}\n"
        "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
        "{{ m.content }}<|eos|>\n{% endfor %}",
        "<|bos|>user\nQ<|eos|>\n<|bos|>assistant\n<think>\n\n</think>\n\nA<|eos|>",
    ),
    "a system message of its own": (
        "{% if messages[0].role != 'system' %}<|bos|>system\nBe good.<|eos|>\n{% endif %}"
        "{% for m in messages %}<|bos|>{{ m.role }}\n{{ m.content }}<|eos|>\n{% endfor %}",
        "<|bos|>system\nBe good.<|eos|>\n<|bos|>user\nQ<|eos|>\n<|bos|>assistant\nA<|eos|>",
    ),
    "brackets, and an end token behind a blank": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
        "[INST] {{ m.content | trim }} [/INST] {% else %}"
        "{{ m.content | trim }} {{ eos_token }}{% endif %}{% endfor %}",
        "<|bos|>[INST] Q [/INST] A <|eos|>",
    ),
    "another name for the assistant, and no end token": (
        "{% for m in messages %}{{ 'model' if m.role == 'assistant' else m.role }}: "
        "{{ m.content }}\n{% endfor %}",
        "user: Q\nmodel: A<|eos|>",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_follow_the_chat_template_up_to_the_end_of_the_answer(world: Any, shape: str) -> None:
    template, expected = SHAPES[shape]
    text_tokenizer = tokenizer_with(world, template)
    builder = PromptBuilder.for_tokenizer(text_tokenizer, world.vocabulary)
    ids, labels = builder.sample([Untrusted("Q")], [Untrusted("A")])
    assert builder.decode(ids) == expected
    answer = builder.decode(ids[labels != IGNORED_LABEL])
    assert answer.startswith("A")
    assert answer.endswith("<|eos|>")
