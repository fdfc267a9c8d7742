"""Sections of a recipe about data, Semantic IDs, decoding and evaluation.

Does not know what a stage does with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class DataSection:
    """Where items and interactions come from, and how they are split.

    Attributes:
        source: `synthetic` = the built-in world; `files` = the two paths below.
        items: Item table: a file (jsonl, csv, parquet, plain or gzip; RecBole's .item) or a `datasets` name
            or folder.
        interactions: Interaction log: the same formats (RecBole's .inter).
        item_columns: Our column name -> the source's, where they differ.
        interaction_columns: The same for the log.
        time: Whether timestamps are absolute, or give the order only.
        k_core: Keep users and items with at least so many interactions; 0 = keep all.
        unknown_items: What to do with interactions whose item is not in the item table.
        split: `leave_one_out`; `time` needs absolute timestamps and the two shares below; `cold_items` holds
            `cold_share` of the items out of all training.
        validation_share: Share of the interactions, by time, between training and test (`split: time`).
        test_share: Share of the interactions, by time, that are the test (`split: time`).
        cold_share: Share of the items that are held out (`split: cold_items`).
        num_items: Size of the synthetic world.
        num_users: Size of the synthetic world.
    """

    source: Literal["synthetic", "files"] = "synthetic"
    items: Path | None = None
    interactions: Path | None = None
    item_columns: dict[str, str] = field(default_factory=dict)
    interaction_columns: dict[str, str] = field(default_factory=dict)
    time: Literal["auto", "absolute", "order"] = "auto"
    k_core: int = 0
    unknown_items: Literal["error", "skip"] = "error"
    split: Literal["leave_one_out", "time", "cold_items"] = "leave_one_out"
    validation_share: float = 0.1
    test_share: float = 0.1
    cold_share: float = 0.1
    num_items: int = 1000
    num_users: int = 3000


@dataclass(frozen=True)
class EmbeddingsSection:
    """How items become content vectors.

    Attributes:
        encoder: `lsa` needs no weights; `text` is a sentence-transformers model; `files` reads your own
            vectors.
        model: Model name or folder for `text`; `minilm` is the one the extra `minilm` brings.
        revision: Commit, tag or branch of a `text` model on the hub; null = its main branch.
        fields: Item columns that are encoded.
        dim: Width of `lsa` vectors.
        batch_size: Texts encoded at once by `text`.
        max_length: Longest text in tokens for `text`; null = the model's own.
        vectors: `.npy` matrix for `files`.
        vector_ids: Its item ids, one a row, for `files`.
        collaborative: Vectors from the training interactions, fused with content for the IDs (or, for a
            definition that aligns with them, such as `rqvae-letter-4x256`, handed to it).
        images: CLIP or SigLIP model, by name or folder, whose image vectors are fused too; null = none.
        image_revision: Commit, tag or branch of that model on the hub; null = its main branch.
        image_folder: Folder that the column `image` names files in.
        fusion: Weights of fused tables: `equal`, or `learned` from the training part's last interactions.
        fusion_dim: Whitened directions of each fused table.
    """

    encoder: Literal["lsa", "text", "files"] = "lsa"
    model: str = "minilm"
    revision: str | None = None
    fields: tuple[str, ...] = ("title", "brand", "categories", "description")
    dim: int = 64
    batch_size: int = 64
    max_length: int | None = None
    vectors: Path | None = None
    vector_ids: Path | None = None
    collaborative: Literal["none", "item2vec", "als"] = "none"
    images: str | None = None
    image_revision: str | None = None
    image_folder: Path | None = None
    fusion: Literal["equal", "learned"] = "equal"
    fusion_dim: int = 64


@dataclass(frozen=True)
class ItemTokenizerSection:
    """How vectors become Semantic IDs.

    Attributes:
        definition: Name of a definition in `tokenizers/`, or a path.
        index: An `index.json` (item -> tokens) to read IDs from instead of making them.
        index_collisions: What to do when items share an ID there: refuse, or append a code that tells them
            apart.
        user_codes: Put three codes of a user's history in front of it (ULMRec); needs
            tasks.seqrec.form=prefixes, and nothing but the history when recommending.
    """

    definition: str = "rkmeans-3x256"
    index: Path | None = None
    index_collisions: Literal["error", "extra_code"] = "error"
    user_codes: bool = False


@dataclass(frozen=True)
class DecodeSection:
    """Constrained beam search.

    Attributes:
        num_beams: Prefixes kept a step.
        batch_size: Histories searched at once.
        mix_content: Mix content-kNN's shares with the probabilities of an item-level generator, by a weight
            chosen on the validation cases.
    """

    num_beams: int = 20
    batch_size: int = 256
    mix_content: bool = False


@dataclass(frozen=True)
class EvaluateSection:
    """What is measured.

    Attributes:
        ks: Cut-offs of Recall and NDCG.
        mask_history: Whether items of the history are taken out of every ranker's list.
        bootstrap: Resamples of the 95 % intervals.
        tune_baselines: Choose item-kNN's parameters on the validation cases.
    """

    ks: tuple[int, ...] = (5, 10)
    mask_history: bool = False
    bootstrap: int = 1000
    tune_baselines: bool = True
