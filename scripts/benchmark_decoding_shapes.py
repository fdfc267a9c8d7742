"""Models of named shapes with random weights, catalogs of random Semantic IDs, and prompts for them.

Does not know what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from benchmark_training_shapes import tokens_of, vocabulary_at_end
from torch import Tensor
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM, T5Config, T5ForConditionalGeneration

from genrec.catalog import CatalogTrie
from genrec.semantic_ids import SemanticIdSpec

SIZES = (256, 256, 256, 256)
SPEC = SemanticIdSpec(SIZES)


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of a Qwen2; the defaults are the small model with a large vocabulary of the design.

    Attributes:
        name: In the table.
        layers: Blocks.
        width: Hidden size.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        intermediate: Width of the feed-forward layer.
        rows: Tokens before the Semantic IDs' are added.
        tied: Whether head and input rows are one matrix.
        spread: Standard deviation of the weights.
    """

    name: str = "8 x 512"
    layers: int = 8
    width: int = 512
    heads: int = 8
    kv_heads: int = 8
    intermediate: int = 1536
    rows: int = 151_936
    tied: bool = True
    spread: float = 0.05

    def model(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> PreTrainedModel:
        """Random weights, the same every time on one kind of device, made on that device."""
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=self.rows + tokens_of(SPEC),
            hidden_size=self.width,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            tie_word_embeddings=self.tied,
            initializer_range=self.spread,
            dtype=dtype,
        )
        with torch.device(device):
            return Qwen2ForCausalLM._from_config(config, dtype=dtype).eval()


SMALL = DecoderShape()
QWEN_05B = DecoderShape("Qwen2.5-0.5B shape", 24, 896, 14, 2, 4864, spread=0.02)
QWEN_7B = DecoderShape("Qwen2.5-7B shape", 28, 3584, 28, 4, 18944, 152_064, tied=False, spread=0.02)


def tiger(rows: int = 4096) -> PreTrainedModel:
    """A T5 of TIGER's size (arXiv 2305.05065, section 4.1): 4 layers, width 128, 6 heads of 64."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=rows + tokens_of(SPEC),
        d_model=128,
        d_kv=64,
        d_ff=1024,
        num_layers=4,
        num_heads=6,
        decoder_start_token_id=0,
        pad_token_id=0,
        initializer_factor=1.0,
    )
    return T5ForConditionalGeneration(config).eval()


def random_trie(items: int, seed: int = 0) -> CatalogTrie:
    """Distinct random IDs of four codes."""
    generator = np.random.default_rng(seed)
    numbers = np.sort(generator.integers(0, 1 << 32, size=int(items * 1.05) + 10))
    numbers = numbers[np.flatnonzero(np.diff(numbers))]  # distinct
    numbers = generator.permutation(numbers)[:items]
    codes = np.stack([(numbers >> shift) & 255 for shift in (24, 16, 8, 0)], axis=1)
    return CatalogTrie.from_codes(codes.astype(np.int32), SIZES)


def vocabulary_of(model: PreTrainedModel) -> object:
    """The Semantic-ID tokens at the end of a model's rows."""
    return vocabulary_at_end(SPEC, model.config.vocab_size - tokens_of(SPEC))


def prompts(
    batch: int, length: int, rows: int, device: torch.device | str = "cpu", seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Random tokens; in a batch the prompts are of unequal length, padded on the left."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, rows, (batch, length), generator=generator)
    lengths = length - torch.arange(batch) * (length // 4) // max(batch, 1)
    mask = (torch.arange(length) >= length - lengths.unsqueeze(1)).long()
    return ids.to(device), mask.to(device)
