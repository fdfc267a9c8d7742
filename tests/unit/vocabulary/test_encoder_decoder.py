"""The encoder-decoder from scratch: TIGER's shape, one matrix, the seed decides the weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForSeq2SeqLM

from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary import SemanticIdVocabulary, build_small_encoder_decoder, train_text_tokenizer


def test_the_defaults_are_tigers_shape_and_every_token_has_a_row(tmp_path: Path) -> None:
    text_tokenizer = train_text_tokenizer(["one two three"], 300)
    SemanticIdVocabulary.extend(text_tokenizer, SemanticIdSpec((4, 4)))
    first, second, other = (build_small_encoder_decoder(text_tokenizer, seed=seed) for seed in (0, 0, 1))
    config = first.config
    assert (config.num_layers, config.num_decoder_layers, config.num_heads, config.d_kv) == (4, 4, 6, 64)
    assert (config.d_model, config.d_ff, config.dropout_rate) == (128, 1024, 0.1)
    weights = first.get_input_embeddings().weight
    assert weights.shape == (len(text_tokenizer), 128)
    assert first.get_output_embeddings().weight is weights
    assert config.scale_decoder_outputs
    assert config.decoder_start_token_id == text_tokenizer.pad_token_id
    assert torch.equal(weights, second.get_input_embeddings().weight)
    assert not torch.equal(weights, other.get_input_embeddings().weight)
    first.eval().save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[5, 6, 7]])
    answer = torch.tensor([[config.decoder_start_token_id, 9]])
    assert torch.equal(
        again(ids, decoder_input_ids=answer).logits, first(ids, decoder_input_ids=answer).logits
    )
