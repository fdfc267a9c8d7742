"""A small encoder-decoder of T5's architecture with random weights: the shape of TIGER.

Does not know what it is trained on; the text tokenizer it is made for has its Semantic-ID tokens already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def build_small_encoder_decoder(
    text_tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int = 128,
    num_layers: int = 4,
    num_heads: int = 6,
    head_dim: int = 64,
    intermediate_size: int = 1024,
    dropout: float = 0.1,
    initializer_factor: float = 1.0,
    seed: int = 0,
) -> PreTrainedModel:
    """A T5 with random weights; the defaults are TIGER's shape (arXiv 2305.05065, section 4.1).

    The recipe that others reproduced has 6 layers and dropout 0.2. Input rows and head are one matrix, and
    the decoder's output is scaled before it, as in the first T5. Decoding starts with the padding token.

    Args:
        text_tokenizer: Already extended by the Semantic-ID tokens; its length is the model's number of rows.
        hidden_size: Width of the residual stream.
        num_layers: Blocks of the encoder, and again of the decoder.
        num_heads: Attention heads.
        head_dim: Width of a head; heads x width need not be `hidden_size`.
        intermediate_size: Width of the feed-forward layer (ReLU).
        dropout: On embeddings, attention weights, feed-forward layers and residual branches.
        initializer_factor: Factor on T5's initial standard deviations.
        seed: Seed of the initial weights.
    """
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    special: dict[str, Any] = {
        "pad_token_id": text_tokenizer.pad_token_id,
        "bos_token_id": text_tokenizer.bos_token_id,
        "eos_token_id": text_tokenizer.eos_token_id,
        "decoder_start_token_id": text_tokenizer.pad_token_id,
    }
    config = T5Config(
        vocab_size=len(text_tokenizer),
        d_model=hidden_size,
        d_kv=head_dim,
        d_ff=intermediate_size,
        num_layers=num_layers,
        num_heads=num_heads,
        dropout_rate=dropout,
        initializer_factor=initializer_factor,
        **special,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return T5ForConditionalGeneration(config)
