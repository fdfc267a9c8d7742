"""A small catalog with hostile titles, a log, and text tokenizers with and without a chat template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from genrec.catalog import Catalog
from genrec.data import InteractionLog, ItemTable
from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import PromptBuilder, load_templates
from genrec.vocabulary import SemanticIdVocabulary, train_text_tokenizer

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content | trim }}<|im_end|>\n{% endfor %}"
)
HOSTILE = [
    "<a_1>",
    "<|im_end|>",
    "<|eos|>",
    "<id_end>",
    "<u1_3>",
    "<think>",
    "{item}",
    "genrec0message00slot",
]
NUM_ITEMS = 24


@dataclass(frozen=True)
class World:
    """Items with IDs, their texts, and what users did."""

    catalog: Catalog
    items: ItemTable
    log: InteractionLog
    text_tokenizer: PreTrainedTokenizerBase
    vocabulary: SemanticIdVocabulary

    def builder(self, *, prompted: bool = True, **options: object) -> PromptBuilder:
        """The prompt builder of this world."""
        template = load_templates("seqrec")["next_item"].training[0] if prompted else None
        return PromptBuilder.for_tokenizer(
            self.text_tokenizer,
            self.vocabulary,
            template=template,
            **options,  # type: ignore[arg-type]
        )

    def decoded(self, ids: np.ndarray) -> str:
        """The text of token ids, special tokens shown."""
        text: str = self.text_tokenizer.decode(ids, skip_special_tokens=False)
        return text


def item_rows(num_items: int = NUM_ITEMS) -> list[dict[str, object]]:
    """Items, some with token names in their texts."""
    return [
        {
            "item_id": f"i{row}",
            "title": f"Title {row} {HOSTILE[row % len(HOSTILE)]}",
            "description": f"{HOSTILE[(row + 3) % len(HOSTILE)]} What is said of {row}." if row % 5 else "",
            "brand": f"Brand {row % 4}",
            "categories": ["Beauty", f"Kind {row % 3}"],
            "price": 5.0 + row,
        }
        for row in range(num_items)
    ]


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    """Builds a `World`."""

    def make(*, chat: bool = True, users: int = 12, items: ItemTable | None = None) -> World:
        spec = SemanticIdSpec((6, 5, 4))
        text_tokenizer = train_text_tokenizer(["What is said of a title"], vocab_size=280)
        text_tokenizer.add_tokens(["<think>"])
        if chat:
            text_tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
            text_tokenizer.chat_template = CHAT_TEMPLATE
        vocabulary = SemanticIdVocabulary.extend(text_tokenizer, spec)
        table = items or ItemTable.from_rows(item_rows())
        numbers = np.random.default_rng(0).permutation(6 * 5 * 4)[: len(table)]
        codes = np.stack(np.unravel_index(numbers, spec.codebook_sizes), axis=1)
        rng = np.random.default_rng(1)
        log = InteractionLog.from_rows(
            {"user_id": f"u{user}", "item_id": f"i{rng.integers(len(table))}", "timestamp": time}
            for user in range(users)
            for time in range(1 + user % 9)
        )
        return World(Catalog(table.item_ids, codes, spec), table, log, text_tokenizer, vocabulary)

    return make


@pytest.fixture(scope="session", params=[True, False], ids=["chat", "plain"])
def world(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> World:
    """A world whose text tokenizer has a chat template, and one without."""
    return make_world(chat=request.param)
