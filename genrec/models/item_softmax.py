"""`ItemSoftmaxModel`: a history of items in, one softmax over all items out; no codes.

Does not know users or optimisers. With its own settings it is SASRec (arXiv 1808.09781, section 3; full
softmax cross-entropy in place of sampled negatives); with those of the item-level generator it is that
model's control without codes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from genrec.models.causal_body import CausalBody
from genrec.models.item_content import checked_content, mean_loss


class ItemSoftmaxConfig(PreTrainedConfig):
    """Sizes of an `ItemSoftmaxModel`.

    Attributes:
        num_items: Items.
        content_dim: Width of the content vectors, 0 = no content.
        content_output: Whether items are scored by content too, not only read.
        hidden_size: Width.
        num_layers: Blocks.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward layers.
        max_positions: Longest history.
        dropout: Dropout rate everywhere.
        label_smoothing: Share of the target that is spread over all items in training.
        activation: Of the feed-forward layers: `gelu` or `relu`.
        input_norm: A LayerNorm on the input; without one the items' vectors are multiplied by the root of
            the width, as SASRec's authors do.
        initializer_range: Standard deviation of the initial weights.
    """

    model_type = "genrec_item_softmax"

    num_items: int = 0
    content_dim: int = 0
    content_output: bool = True
    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 2
    intermediate_size: int = 256
    max_positions: int = 50
    dropout: float = 0.3
    label_smoothing: float = 0.0
    activation: str = "gelu"
    input_norm: bool = True
    initializer_range: float = 0.02


class ItemSoftmaxModel(PreTrainedModel):
    """The score of item i after state z is `z·E[i] + (Q z)·F[i]`, E tied to the input, F the content."""

    config_class = ItemSoftmaxConfig
    base_model_prefix = "item_softmax"
    main_input_name = "items"

    def __init__(self, config: ItemSoftmaxConfig) -> None:
        super().__init__(config)
        width, content = config.hidden_size, config.content_dim
        self.item_embeddings = nn.Embedding(config.num_items, width)
        self.scores_content = bool(content) and config.content_output
        if content:
            self.content_input = nn.Linear(content, width, bias=False)
            self.register_buffer("content", torch.zeros(config.num_items, content))
        if self.scores_content:
            self.content_query = nn.Linear(width, content, bias=False)
        self.body = CausalBody(
            width=width,
            layers=config.num_layers,
            heads=config.num_heads,
            inner=config.intermediate_size,
            max_positions=config.max_positions,
            dropout=config.dropout,
            activation=config.activation,
            input_norm=config.input_norm,
        )
        self.post_init()

    @classmethod
    def for_items(
        cls, num_items: int, content: np.ndarray | None = None, *, seed: int = 0, **sizes: Any
    ) -> ItemSoftmaxModel:
        """A model with random weights.

        Args:
            num_items: Items.
            content: float `[items, d]`, d wide; None = no content. They are centred.
            seed: Seed of the weights.
            sizes: Other fields of `ItemSoftmaxConfig`.

        Raises:
            DataError: Content of another number of items.
        """
        vectors = checked_content(content, num_items)
        config = ItemSoftmaxConfig(
            num_items=num_items, content_dim=0 if vectors is None else vectors.shape[1], **sizes
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = cls(config)
        if vectors is not None:
            model.get_buffer("content").copy_(torch.from_numpy(vectors - vectors.mean(axis=0)))
        return model

    def get_input_embeddings(self) -> nn.Module:
        """Embeddings of the items."""
        return self.item_embeddings

    def encode(self, items: Tensor) -> Tensor:
        """States float `[batch, length, width]` after each item of `items [batch, length]`, padded right."""
        embedded = self.item_embeddings(items)
        if self.config.content_dim:
            embedded = embedded + self.content_input(self.get_buffer("content")[items])
        if not self.config.input_norm:
            embedded = embedded * self.config.hidden_size**0.5
        states: Tensor = self.body(embedded)
        return states

    def logits(self, states: Tensor) -> Tensor:
        """Scores of all items, float `[n, items]`, after `states [n, width]`."""
        scores = states @ self.item_embeddings.weight.T
        if self.scores_content:
            scores = scores + self.content_query(states) @ self.get_buffer("content").T
        return scores

    def forward(
        self,
        items: Tensor,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> ModelOutput:
        """States after each item and, with labels, the loss; arguments and results as in `ItemLevelModel`."""
        states = self.encode(items)
        if labels is None:
            return ModelOutput(states=states)
        known = labels >= 0
        logits = self.logits(states[known]).float()  # [n, items]
        smoothing = self.config.label_smoothing if self.training else 0.0
        losses = functional.cross_entropy(logits, labels[known], reduction="none", label_smoothing=smoothing)
        return ModelOutput(loss=mean_loss(losses, num_items_in_batch), states=states)
