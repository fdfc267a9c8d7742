"""Whether a backend answers as the model's own forward pass does, found out on a few tokens.

Does not know how backends work, nor which one serves which model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from genrec.decoding.step_model import SearchBackend

_PROMPTS = ((5, 3, 6, 4, 7), (4, 8))
_STEPS = (  # tokens of two rows a prompt, and the rows they continue; the last step mixes depths
    (((3, 9), (6, 5)), ((0, 0), (0, 0))),
    (((7, 4), (8, 3)), ((2, 1), (2, 2))),
    (((5, 6), (9, 4)), ((3, 1), (0, 4))),
)


@torch.no_grad()
def agrees(model: Any, backend: SearchBackend) -> bool:
    """Compares the logits of prompts of two lengths and three steps of rows with those of whole texts."""
    return _close(
        model, lambda: _expected(model), lambda: backend.head().full(_states(model, backend)).float()
    )


@torch.no_grad()
def alike(model: Any, backend: SearchBackend, other: SearchBackend) -> bool:
    """Compares the states of two backends of one model on the same prompts and steps."""
    return _close(model, lambda: _states(model, backend).float(), lambda: _states(model, other).float())


def _close(model: Any, expected: Callable[[], Tensor], found: Callable[[], Tensor]) -> bool:
    was_training = model.training
    model.eval()
    try:
        one, other = expected(), found()
    except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return False
    finally:
        model.train(was_training)
    low = torch.finfo(model.dtype).eps > 1e-4  # half precision
    return bool((one - other).abs().max() <= (0.05 if low else 1e-3) * (1 + one.abs().max()))


def _expected(model: Any) -> Tensor:
    """Logits after every row, each from a forward pass over its whole text, float32 `[rows, vocabulary]`."""
    texts = [[list(prompt)] for prompt in _PROMPTS]
    for tokens, parents in _STEPS:
        for rows, new, parent in zip(texts, tokens, parents, strict=True):
            rows += [[*rows[p], token] for token, p in zip(new, parent, strict=True)]
    return torch.stack(
        [
            model(input_ids=torch.tensor([text], device=model.device), use_cache=False).logits[0, -1].float()
            for rows in texts
            for text in rows
        ]
    )


def _states(model: Any, backend: SearchBackend) -> Tensor:
    """States after every row, `[prompts * rows, width]`."""
    longest = max(len(prompt) for prompt in _PROMPTS)
    ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in _PROMPTS], device=model.device)
    real = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in _PROMPTS], device=ids.device)
    steps, states = backend.start(ids, real)
    every = [states]
    for tokens, parents in _STEPS:
        new, parent = (torch.tensor(rows, device=ids.device) for rows in (tokens, parents))
        every.append(steps.step(new, parent))
    return torch.cat(every, dim=1).flatten(0, 1)
