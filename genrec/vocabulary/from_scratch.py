"""A small language model and a byte-level text tokenizer made from nothing but texts and a few sizes.

Does not know where the texts come from, nor what the model is trained on. Pretrained models take the other
way in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PAD_TOKEN, BOS_TOKEN, EOS_TOKEN = "<|pad|>", "<|bos|>", "<|eos|>"


def train_text_tokenizer(texts: Iterable[str], vocab_size: int = 2048) -> PreTrainedTokenizerBase:
    """Trains a byte-level BPE text tokenizer: any text has an encoding, none becomes an unknown token.

    Args:
        texts: The texts to learn merges from, such as an item table's titles and descriptions.
        vocab_size: Upper bound of its tokens, the 256 bytes and three special tokens included.

    Returns:
        A transformers tokenizer with pad, bos and eos tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocab_size, 259),
        special_tokens=[PAD_TOKEN, BOS_TOKEN, EOS_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD_TOKEN, bos_token=BOS_TOKEN, eos_token=EOS_TOKEN
    )


def build_small_model(
    text_tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int = 128,
    num_layers: int = 2,
    num_heads: int = 4,
    head_dim: int | None = None,
    intermediate_size: int = 256,
    max_positions: int = 2048,
    initializer_range: float = 0.02,
    tie_word_embeddings: bool = True,
    seed: int = 0,
) -> PreTrainedModel:
    """A Qwen3-shaped decoder with random weights (RMSNorm, rotary positions, SwiGLU, query and key norms).

    Args:
        text_tokenizer: Already extended by the Semantic-ID tokens; its length is the model's number of rows.
        hidden_size: Width of the residual stream.
        num_layers: Number of blocks.
        num_heads: Attention heads.
        head_dim: Width of a head; None = `hidden_size` / `num_heads`.
        intermediate_size: Width of the SwiGLU layer.
        max_positions: Longest sequence in tokens.
        initializer_range: Standard deviation of the initial weights.
        tie_word_embeddings: One matrix for the input rows and the head.
        seed: Seed of the initial weights.
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=len(text_tokenizer),
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_heads,
        head_dim=hidden_size // num_heads if head_dim is None else head_dim,
        max_position_embeddings=max_positions,
        initializer_range=initializer_range,
        tie_word_embeddings=tie_word_embeddings,
        pad_token_id=text_tokenizer.pad_token_id,
        bos_token_id=text_tokenizer.bos_token_id,
        eos_token_id=text_tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config)
