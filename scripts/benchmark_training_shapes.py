"""Models of a named shape with random weights; vocabularies whose tokens stand at the end of their matrix.

Does not know what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from genrec.catalog import Catalog
from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary import SemanticIdVocabulary
from genrec.vocabulary.semantic_id_vocabulary import USER_CODEBOOK_SIZES

PADDED_MATRIX = 151_936  # rows of a pretrained Qwen3's matrix


@dataclass(frozen=True)
class Shape:
    """Sizes of a tied Qwen3; the defaults are those of Qwen3-0.6B.

    Attributes:
        layers: Blocks.
        width: Hidden size.
        rows: Rows of the matrix before new tokens.
        dtype: Of the weights.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_dim: Width of a head; None = an eighth of the hidden size, as in Qwen3-0.6B.
        intermediate: Width of the feed-forward layer; None = three times the hidden size.
        tied: Whether head and input rows are one matrix.
    """

    layers: int = 28
    width: int = 1024
    rows: int = PADDED_MATRIX
    dtype: torch.dtype = torch.bfloat16
    heads: int = 16
    kv_heads: int = 8
    head_dim: int | None = None
    intermediate: int | None = None
    tied: bool = True

    def __str__(self) -> str:
        """For the table."""
        dtype = str(self.dtype).removeprefix("torch.")
        return f"Qwen3 of {self.layers} layers, width {self.width}, {self.rows:,} rows, {dtype}"

    def model(self, new_tokens: int, device: torch.device | str = "cpu") -> PreTrainedModel:
        """Random weights, the same every time, with rows for the new tokens."""
        torch.manual_seed(0)
        config = Qwen3Config(
            vocab_size=self.rows + new_tokens,
            hidden_size=self.width,
            intermediate_size=self.intermediate or 3 * self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.head_dim or self.width // 8,
            tie_word_embeddings=self.tied,
            dtype=self.dtype,
        )
        with torch.device(device):
            return Qwen3ForCausalLM._from_config(config, dtype=self.dtype)


def tokens_of(spec: SemanticIdSpec) -> int:
    """How many tokens a spec reserves."""
    return len(SemanticIdVocabulary.tokens(spec))


def vocabulary_at_end(spec: SemanticIdSpec, first: int) -> SemanticIdVocabulary:
    """All reserved tokens in their usual order, from token id `first` on."""
    sizes = [*spec.codebook_sizes, 1, *USER_CODEBOOK_SIZES]
    ids = np.split(np.arange(first, first + sum(sizes)), np.cumsum(sizes)[:-1])
    return SemanticIdVocabulary(spec, ids[: spec.length], int(ids[spec.length][0]), ids[spec.length + 1 :])


def catalog_of(item_ids: list[str], spec: SemanticIdSpec) -> Catalog:
    """Made-up unique IDs: each item's number, written in the codebooks' sizes as digits."""
    codes, rest = [], np.arange(len(item_ids))
    for size in reversed(spec.codebook_sizes):
        codes.append(rest % size)
        rest = rest // size
    return Catalog(item_ids, np.stack(codes[::-1], axis=1), spec)
