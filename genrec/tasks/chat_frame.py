"""The chat template of a text tokenizer as trusted texts around what is said.

Does not know token ids. A chat template is rendered once for each pattern of roles, with a placeholder for
every message, and split at the placeholders; no message ever passes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrec.errors import PromptError
from genrec.tasks.segments import Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Some chat templates print today's date: prompts would differ from one day to the next.
FIXED_DATE = "26 Jul 2024"
FIXED_CLOCK = "{%- macro strftime_now(format) -%}" + FIXED_DATE + "{%- endmacro -%}"


def chat_frame(text_tokenizer: PreTrainedTokenizerBase, roles: Sequence[Role]) -> tuple[str, ...]:
    """The texts before, between and after the messages of a conversation.

    Args:
        text_tokenizer: Without a chat template, a single prompt and its answer get a line each; longer
            conversations get the roles' names.
        roles: Who speaks, message by message; the last is the assistant's answer.

    Returns:
        One text more than there are messages. The last one begins with the end of the turn.

    Raises:
        PromptError: The chat template refuses such a conversation, or does not show each message once and as
            it is.
    """
    template = text_tokenizer.chat_template
    if not isinstance(template, str):
        return _plain_frame(roles)
    marks = [f"genrec0message0{number}0slot" for number in range(len(roles))]
    if "strftime_now" in template:
        template = FIXED_CLOCK + template
    messages = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
    try:
        rendered = text_tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, date_string=FIXED_DATE
        )
    except Exception as error:  # a template is a program of its own and raises what it likes
        raise PromptError(
            "the text tokenizer's chat template cannot show this conversation",
            received=f"roles {', '.join(roles)}: {type(error).__name__}: {error}",
            remedy="set text_tokenizer.chat_template to another one, or to None for plain prompts",
        ) from error
    texts, rest = [], str(rendered)
    for mark in marks:
        before, found, rest = rest.partition(mark)
        if not found or mark in rest:
            raise PromptError(
                "the text tokenizer's chat template does not show every message once, in order",
                received=str(rendered),
                remedy="set text_tokenizer.chat_template to another one, or to None for plain prompts",
            )
        texts.append(before)
    return (*texts, rest)


def _plain_frame(roles: Sequence[Role]) -> tuple[str, ...]:
    if len(roles) == 2:
        return "", "\n", ""
    names = [f"{role.capitalize()}:\n" for role in roles]
    return (names[0], *(f"\n{name}" for name in names[1:]), "")
