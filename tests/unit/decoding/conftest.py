"""What the tests of the search share: prompts, and the answer found by looking at every item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def make_prompts() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Random left-padded prompts: ids and mask."""

    def make(tiny: Any, lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        longest = max(lengths)
        ids = torch.randint(3, len(tiny.text_tokenizer), (len(lengths), longest), generator=generator)
        return ids, (torch.arange(longest) >= longest - torch.tensor(lengths)[:, None]).long()

    return make


@pytest.fixture(scope="session")
def best_rows() -> Callable[..., list[int]]:
    """The best k rows by their scores, lowest row first among equals, at most `most` of a label."""

    def best(
        scores: np.ndarray, k: int, labels: np.ndarray | None = None, most: int = 0, fill: bool = True
    ) -> list[int]:
        taken: dict[int, int] = {}
        chosen = []
        for row in np.argsort(-scores, kind="stable").tolist():
            if scores[row] == -np.inf or len(chosen) == k:
                break
            label = -1 if labels is None else int(labels[row])
            if label >= 0 and taken.get(label, 0) >= most:
                continue
            taken[label] = taken.get(label, 0) + 1
            chosen.append(row)
        return chosen + [-1] * (k - len(chosen)) if fill else chosen

    return best
