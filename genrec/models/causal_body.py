"""The body that all our item models share: one vector a history item in, one state a position out.

Does not know what an item's vector is made of, nor what is predicted from a state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrec.errors import ConfigError


class CausalBody(nn.Module):
    """Learned positions, dropout, pre-norm causal transformer blocks, a last LayerNorm.

    Args:
        width: Of vectors and states.
        layers: Blocks.
        heads: Attention heads; the width must divide by it.
        inner: Width of the feed-forward layer.
        max_positions: Longest sequence.
        dropout: On the input, inside attention and on the residual branches.
        activation: Of the feed-forward layer: `gelu` or `relu`.
        input_norm: A LayerNorm before the dropout of the input.

    Raises:
        ConfigError: A width that does not divide by the heads.
    """

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        max_positions: int,
        dropout: float,
        activation: str,
        input_norm: bool,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(
                "the width does not divide by the number of heads",
                received=f"width {width}, {heads} heads",
                remedy="choose a number of heads that divides the width",
            )
        self.positions = nn.Embedding(max_positions, width)
        self.input_norm = nn.LayerNorm(width) if input_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, inner, dropout, activation, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.output_norm = nn.LayerNorm(width)

    def forward(self, embedded: Tensor) -> Tensor:
        """States float `[batch, items, width]` of vectors of the same shape; padding stands on the right."""
        length = embedded.shape[1]
        hidden = self.dropout(self.input_norm(embedded + self.positions.weight[:length]))
        mask = torch.full((length, length), float("-inf"), device=hidden.device, dtype=hidden.dtype).triu(1)
        for block in self.blocks:
            hidden = block(hidden, src_mask=mask, is_causal=True)
        states: Tensor = self.output_norm(hidden)
        return states
