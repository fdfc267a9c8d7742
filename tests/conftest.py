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

    from genrec.catalog import CatalogTrie
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
        vocabulary = SemanticIdVocabulary.extend(text_tokenizer, SemanticIdSpec(tuple(sizes)))
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
        codes = distinct_codes(num_items, sizes, seed)
        return Tiny(model.eval(), text_tokenizer, vocabulary, codes, CatalogTrie.from_codes(codes, sizes))

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny: Callable[..., Tiny]) -> Tiny:
    """The default `Tiny`: 30 items of three codes."""
    return make_tiny()
