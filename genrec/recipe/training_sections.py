"""Sections of a recipe about the model and its training.

Does not know what a stage does with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ModelSection:
    """The language model: a pretrained one, or one from scratch.

    Attributes:
        architecture: From scratch: a decoder of Qwen3's shape, or an encoder-decoder of T5's, as TIGER's is,
            which learns from `seqrec` in the form `prefixes`. `item_level` is no language model: one position
            per history item in, the next item's codes out (`genrec.models`).
        base: Pretrained causal language model, a name on the hub or a folder; null = from scratch, with the
            sizes below.
        revision: Its commit, tag or branch.
        dtype: Type of its weights; `auto` = as they were saved.
        quantization: 4-bit (nf4) or 8-bit weights of the base through bitsandbytes, for QLoRA.
        initialization: New rows from the mean of the old ones, or from the codes' content vectors.
        text_epochs: Passes over the item texts as a language model before anything else, from scratch only:
            a small base where no pretrained one can be had.
        hidden_size: Width.
        num_layers: Blocks; of the encoder, and again of the decoder.
        num_heads: Attention heads.
        head_dim: Width of a head; null = hidden_size / num_heads.
        intermediate_size: Width of the feed-forward layer.
        dropout: Inside an encoder-decoder; a decoder has `align.residual_dropout`.
        initializer_range: Standard deviation of a decoder's initial weights.
        tie_word_embeddings: One matrix for input rows and head; an encoder-decoder always has one.
        text_vocab_size: Tokens of the text tokenizer trained on the item texts.
    """

    architecture: Literal["decoder", "encoder_decoder", "item_level"] = "decoder"
    base: str | None = None
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    quantization: Literal["none", "4bit", "8bit"] = "none"
    initialization: Literal["mean", "codebook"] = "mean"
    text_epochs: float = 0
    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 4
    head_dim: int | None = None
    intermediate_size: int = 256
    dropout: float = 0.1
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    text_vocab_size: int = 1024


@dataclass(frozen=True)
class TaskSection:
    """One alignment task of the mixture.

    Attributes:
        weight: Rows an epoch as a multiple of the task's own.
        cap: Most rows an epoch; null = no cap.
        form: `seqrec` alone: `packed` rows without words (the default), `prompted` ones, in which case the
            trained model is asked in a prompt too, or `prefixes` (the default of encoder-decoders).
        max_characters: Tasks that answer with a longer text: the longest that is an answer, as none is cut.
        num_candidates: `direct` alone: items to choose from.
        source: What to read: `dialogue` and `text` a file or a `datasets` name, `query2index` a folder in
            BEIR's layout, of which the judgments of `train` are learned.
    """

    weight: float = 1
    cap: int | None = None
    form: Literal["packed", "prompted", "prefixes"] | None = None
    max_characters: int | None = None
    num_candidates: int | None = None
    source: str | None = None


@dataclass(frozen=True)
class TextsSection:
    """Where `itemsearch`, `preferenceobtain` and `query2index` get queries and preferences from.

    Attributes:
        source: `attributes` = categories, brand, price band and distinctive words of the items; `endpoint` =
            a model behind an OpenAI-compatible address; `local` = a model of transformers. The last two need
            `genrec write-texts` before training.
        model: Name of the model at the endpoint, or name or folder of the local one.
        revision: Commit, tag or branch of the local model on the hub; null = its main branch.
        base_url: The endpoint's address.
        api_key_variable: Environment variable that holds the endpoint's key; null = no key is sent.
        max_new_tokens: Most tokens of an answer.
        num_queries: Queries of an item.
        parallel: Questions under way at once, at an endpoint.
        price_per_million: Price of a million tokens asked, and of a million answered, for the estimate.
    """

    source: Literal["attributes", "endpoint", "local"] = "attributes"
    model: str | None = None
    revision: str | None = None
    base_url: str = "http://localhost:8000/v1"
    api_key_variable: str | None = None
    max_new_tokens: int = 150
    num_queries: int = 3
    parallel: int = 4
    price_per_million: tuple[float, float] | None = None


@dataclass(frozen=True)
class ItemLevelSection:
    """What an item-level generator (`model.architecture: item_level`) reads and how its rows are varied.

    Attributes:
        channels: Content beside each other: `content` = the vectors of `embeddings`; `words` = TF-IDF and
            truncated SVD of the same fields; `successors` = what comes after what in the training log, see
            `genrec.embeddings.successor_vectors`.
        channel_dim: Principal components kept of each channel.
        node_levels: Levels, from the root, whose trie nodes have an embedding of their own; null = all, one
            less than the ID's length = no table of items, 0 = codes and content alone.
        label_smoothing: Share of each level's target that is spread over the children.
        crop: Probability that a row is cut to a random stretch; see `genrec.tasks.ItemAugmentation`, as for
            the next ones.
        reverse: That it is read backwards.
        item_dropout: That an item is left out.
        far_targets: That a label is one of the next four items.
        soft_targets: That a label is a content neighbour of the true one.
        soft_inputs: That an item read is one.
        teacher_share: That a label is drawn from what content-kNN, BM25, item-kNN and Markov-kNN together
            expect at its place, counted without the user's own history; see
            `genrec.baselines.neighbour_teacher`. Not beside `crop`, `reverse` or `item_dropout`.
    """

    channels: tuple[Literal["content", "words", "successors"], ...] = ("content",)
    channel_dim: int = 128
    node_levels: int | None = None
    label_smoothing: float = 0.0
    crop: float = 0.0
    reverse: float = 0.0
    item_dropout: float = 0.0
    far_targets: float = 0.0
    soft_targets: float = 0.0
    soft_inputs: float = 0.0
    teacher_share: float = 0.0


@dataclass(frozen=True)
class PreferenceSection:
    """Preference optimisation of a trained bundle: DPO, or S-DPO for several rejected items.

    Attributes:
        rejected: `beams` = the best wrong items of the bundle's own beams; `drawn` = any of the log's, each
            as likely.
        num_rejected: Rejected items beside each chosen one.
        beta: How closely the model stays by what it was; higher = closer.
        steps: Optimiser steps.
        batch_size: Chosen items a step.
        learning_rate: AdamW's peak rate; cosine to zero.
        lora_r: Rank of the fresh adapters, which are merged in the end; 0 = train every weight.
        lora_alpha: Their scale is this over the rank.
        evaluate_every: Optimiser steps between validations; each writes a checkpoint.
        patience: Validations without a better NDCG@10 before training stops; 0 = never.
    """

    rejected: Literal["beams", "drawn"] = "beams"
    num_rejected: int = 4
    beta: float = 0.1
    steps: int = 400
    batch_size: int = 64
    learning_rate: float = 1e-4
    lora_r: int = 16
    lora_alpha: float = 32
    evaluate_every: int = 50
    patience: int = 3


@dataclass(frozen=True)
class AlignSection:
    """Training.

    Attributes:
        normalize: Softmax of an ID token in loss and decoding: `allowed`, `level` or `full`.
        max_history: Items of a history that a target is predicted from.
        epochs: Passes over all users.
        max_steps: Optimiser steps in place of epochs; -1 = use epochs.
        batch_size: Rows a step, over all processes and accumulated passes.
        gradient_accumulation: Passes a step is made of.
        learning_rate: AdamW's peak rate.
        lr_scheduler: Which of transformers' schedules follows the warm-up.
        warmup_steps: Steps of linear warm-up.
        adam_beta2: AdamW's second beta.
        weight_decay: Of the body.
        embedding_weight_decay: Of the embedding matrix.
        residual_dropout: On embeddings and residual branches.
        lora_r: Rank of the adapters; only they and the new tokens' rows train; 0 = every weight trains.
        lora_alpha: Their scale is this over the rank.
        lora_dropout: On their input.
        rows_first_steps: Steps in which only the new tokens' rows train, before everything else does.
        bf16: Mixed precision in bfloat16.
        activation_checkpointing: Less memory for a second forward pass.
        max_length: Longest row in tokens; histories and texts are cut to fit, answers never; null = no limit.
        report_to: Tracker: trackio, tensorboard, wandb, or none.
        ema_decay: Of the weights' moving average; 0 = off.
        max_grad_norm: Gradient clipping.
        evaluate_every: Optimiser steps between validations; each writes a checkpoint.
        patience: Validations without a better NDCG@10 before training stops; 0 = never.
        validation_users: Users of the validation sample; 0 = all.
        keep_checkpoints: Checkpoints kept.
        logging_steps: Optimiser steps between two points of the loss curve.
        threads: Torch threads a process; 0 = torch's choice.
    """

    normalize: Literal["allowed", "level", "full"] = "allowed"
    max_history: int = 20
    epochs: float = 40
    max_steps: int = -1
    batch_size: int = 64
    learning_rate: float = 1e-3
    lr_scheduler: Literal[
        "constant",
        "constant_with_warmup",
        "linear",
        "cosine",
        "cosine_with_restarts",
        "polynomial",
        "inverse_sqrt",
    ] = "constant_with_warmup"
    warmup_steps: int = 100
    adam_beta2: float = 0.98
    weight_decay: float = 0.05
    embedding_weight_decay: float = 0.01
    gradient_accumulation: int = 1
    residual_dropout: float = 0.3
    lora_r: int = 0
    lora_alpha: float = 32
    lora_dropout: float = 0.05
    rows_first_steps: int = 0
    bf16: bool = False
    activation_checkpointing: bool = False
    max_length: int | None = None
    report_to: Literal["none", "trackio", "tensorboard", "wandb"] = "none"
    ema_decay: float = 0.99
    max_grad_norm: float = 1.0
    evaluate_every: int = 200
    patience: int = 5
    validation_users: int = 0
    keep_checkpoints: int = 2
    logging_steps: int = 20
    threads: int = 0
