"""How the next token is chosen from logits: greedily, or at random with temperature, top-k and top-p.

Does not know which tokens may come: what may not comes with minus infinity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genrec.errors import DecodingError, is_count


@dataclass(frozen=True)
class TextSampling:
    """Settings of a choice.

    Attributes:
        temperature: Divides the logits; 0 = always the likeliest token.
        top_k: Likeliest tokens among which is chosen; 0 = all.
        top_p: The choice is among the fewest tokens that have this much probability together; 1 = all.
        seed: Of the random numbers; each prompt has its own, so that a reply does not depend on its batch.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `DecodingError` for settings out of range."""
        warm = 0 <= self.temperature < float("inf")
        if not warm or not is_count(self.top_k, 0) or not 0 < self.top_p <= 1:
            raise DecodingError(
                "settings of sampling are out of range",
                received=f"temperature {self.temperature}, top_k {self.top_k}, top_p {self.top_p}",
                remedy="use a finite temperature >= 0, a whole top_k >= 0 (0 = all) and 0 < top_p <= 1",
            )

    def choose(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """One token a row.

        Args:
            logits: float `[n, tokens]`, minus infinity where a token may not come.
            uniform: float `[n]`, random numbers in [0, 1); of no account at temperature 0.

        Returns:
            int64 `[n]`.
        """
        if self.temperature == 0:
            return logits.argmax(-1)
        ordered, tokens = (logits.float() / self.temperature).sort(dim=-1, descending=True, stable=True)
        if self.top_k:
            ordered, tokens = ordered[:, : self.top_k], tokens[:, : self.top_k]
        probabilities = ordered.softmax(-1)  # [n, tokens]
        if self.top_p < 1:  # the token that crosses the limit is the last to stay
            before = probabilities.cumsum(-1) - probabilities
            probabilities = probabilities.masked_fill(before >= self.top_p, 0.0)
        mass = probabilities.cumsum(-1)
        wanted = uniform.to(mass).unsqueeze(-1) * mass[:, -1:]  # [n, 1]
        place = torch.searchsorted(mass, wanted, right=True)  # the first token whose mass lies above
        highest = (probabilities > 0).sum(-1, keepdim=True) - 1  # against rounding at the end
        return tokens.gather(1, place.minimum(highest)).squeeze(1)
