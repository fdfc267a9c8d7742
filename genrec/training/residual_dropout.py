"""Dropout on the residual branches of a model whose architecture has none.

Does not know which model: it hooks the embedding and every module named `self_attn` or `mlp`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from genrec.errors import TrainingError


def add_residual_dropout(model: PreTrainedModel, share: float) -> list[RemovableHandle]:
    """Drops `share` of the embeddings and of the residual branches' outputs while the model trains.

    Returns:
        Handles; `remove()` on each takes the dropout off again. Nothing is saved with the model.

    Raises:
        TrainingError: No residual branch was found.
    """

    def drop(module: nn.Module, inputs: Any, output: Any) -> Any:
        if not module.training:
            return output
        if isinstance(output, Tensor):
            return functional.dropout(output, share)
        return (functional.dropout(output[0], share), *output[1:])

    branches = [m for name, m in model.named_modules() if name.rsplit(".", 1)[-1] in {"self_attn", "mlp"}]
    if not branches:
        raise TrainingError(
            "residual_dropout found no block to drop from",
            received=type(model).__name__,
            remedy="set residual_dropout to 0 for this architecture",
        )
    return [m.register_forward_hook(drop) for m in [model.get_input_embeddings(), *branches]]
