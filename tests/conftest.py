"""What all tests share: the real data where it stands, and settings that keep runs repeatable."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from genrec.catalog import Catalog, CatalogTrie
    from genrec.data import InteractionLog, ItemTable
    from genrec.tasks import PromptBuilder
    from genrec.vocabulary import SemanticIdVocabulary

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile(
    "genrec", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("genrec")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; tests that need one skip where it does not stand beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"the real data sets are not beside this checkout (looked for {ROOT.name}/../shared/data)"
        )
    return folder


@pytest.fixture(scope="session")
def letters_log() -> Callable[..., InteractionLog]:
    """Makes a log of histories that are written as texts, an item a letter; users are u0, u1 and so on."""

    def make(*histories: str) -> InteractionLog:
        from genrec.data import InteractionLog

        return InteractionLog.from_rows(
            {"user_id": f"u{user}", "item_id": item, "timestamp": time}
            for user, history in enumerate(histories)
            for time, item in enumerate(history)
        )

    return make


@dataclass(frozen=True)
class Tiny:
    """A tiny model that speaks the Semantic IDs of a few made-up items."""

    model: PreTrainedModel
    text_tokenizer: PreTrainedTokenizerBase
    vocabulary: SemanticIdVocabulary
    codes: np.ndarray
    trie: CatalogTrie


def distinct_codes(num_items: int, sizes: Sequence[int], seed: int = 0) -> np.ndarray:
    """Distinct random IDs, int64 `[num_items, L]`, in random order."""
    numbers = np.random.default_rng(seed).choice(math.prod(sizes), size=num_items, replace=False)
    return np.stack(np.unravel_index(numbers, tuple(sizes)), axis=1)


@pytest.fixture(scope="session")
def make_tiny() -> Callable[..., Tiny]:
    """Builds a `Tiny`; models with large random weights, so that scores differ clearly."""

    def make(
        num_items: int = 30,
        sizes: Sequence[int] = (5, 4, 6),
        seed: int = 0,
        tied: bool = True,
        encoder_decoder: bool = False,
        codes: np.ndarray | None = None,
        terminated: bool = False,
    ) -> Tiny:
        from genrec.catalog import CatalogTrie
        from genrec.semantic_ids import SemanticIdSpec
        from genrec.vocabulary import (
            SemanticIdVocabulary,
            build_small_encoder_decoder,
            build_small_model,
            train_text_tokenizer,
        )

        text_tokenizer = train_text_tokenizer(["a little text to learn from"], vocab_size=260)
        vocabulary = SemanticIdVocabulary.extend(
            text_tokenizer, SemanticIdSpec(tuple(sizes), terminated=terminated)
        )
        if encoder_decoder:
            model = build_small_encoder_decoder(
                text_tokenizer,
                hidden_size=16,
                num_layers=2,
                num_heads=3,
                head_dim=8,
                intermediate_size=24,
                initializer_factor=1.5,
                seed=seed,
            )
        else:
            model = build_small_model(
                text_tokenizer,
                hidden_size=16,
                num_layers=2,
                num_heads=2,
                intermediate_size=24,
                max_positions=256,
                initializer_range=0.6,
                tie_word_embeddings=tied,
                seed=seed,
            )
        codes = distinct_codes(num_items, sizes, seed) if codes is None else codes
        trie = CatalogTrie.from_codes(codes, sizes, terminated=terminated)
        return Tiny(model.eval(), text_tokenizer, vocabulary, codes, trie)

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny: Callable[..., Tiny]) -> Tiny:
    """The default `Tiny`: 30 items of three codes."""
    return make_tiny()


FAMILIES = ("qwen2", "qwen3", "llama", "mistral", "gemma2", "gemma3_text", "phi", "gpt2")


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Every family of base models that is tested."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def make_base() -> Callable[..., tuple[PreTrainedModel, PreTrainedTokenizerBase]]:
    """Builds a tiny random model of a family and a byte-level text tokenizer, as a pretrained pair would be.

    The matrix has `spare` rows more than the text tokenizer has tokens.
    """

    def make(
        family: str = "qwen3", tied: bool = True, spare: int = 0, width: int = 16, seed: int = 0
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        from genrec.vocabulary import train_text_tokenizer

        text_tokenizer = train_text_tokenizer(["a little text to learn from"], vocab_size=270)
        sizes = {
            "vocab_size": len(text_tokenizer) + spare,
            "hidden_size": width,
            "intermediate_size": width * 2,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": width // 2,
            "max_position_embeddings": 256,
            "tie_word_embeddings": tied,
            "initializer_range": 0.3,
            "pad_token_id": text_tokenizer.pad_token_id,
            "bos_token_id": text_tokenizer.bos_token_id,
            "eos_token_id": text_tokenizer.eos_token_id,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = AutoConfig.for_model(family, **sizes)
            model = AutoModelForCausalLM.from_config(config)
            if model.get_output_embeddings().bias is not None:
                torch.nn.init.normal_(model.get_output_embeddings().bias)
        return model.eval(), text_tokenizer

    return make


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
        from genrec.tasks import PromptBuilder, load_templates

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
    from genrec.catalog import Catalog
    from genrec.data import InteractionLog, ItemTable
    from genrec.semantic_ids import SemanticIdSpec
    from genrec.vocabulary import SemanticIdVocabulary, train_text_tokenizer

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


@pytest.fixture(scope="session")
def tiny_catalog(make_world: Callable[..., World]) -> Catalog:
    """Any catalog."""
    return make_world(chat=False).catalog
