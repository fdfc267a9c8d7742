"""A model's output head, as the training loss and the search use it: states in, logits of chosen tokens out.

Does not know what states or tokens mean. Where new rows are trained beside a frozen matrix (peft's trainable
tokens) they are put in place of the old ones without copying the matrix.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedConfig

from genrec.decoding.chunked_cross_entropy import CHUNK_ELEMENTS, LinearHead, chunked_cross_entropy
from genrec.decoding.chunked_normalizer import log_normalizer
from genrec.errors import DecodingError


class Head(Protocol):
    """What the loss and the search ask of a head."""

    def rows(self, states: Tensor, token_ids: Tensor) -> Tensor:
        """Logits `[n, m]` of the tokens `token_ids [m]`."""
        ...

    def full(self, states: Tensor) -> Tensor:
        """Logits `[n, vocabulary]`."""
        ...

    def log_normalizer(self, states: Tensor) -> Tensor:
        """Logarithm of the sum of the exponentials of all logits, float32 `[n]`; not differentiable."""
        ...

    def cross_entropy(self, states: Tensor, targets: Tensor) -> Tensor:
        """Summed cross-entropy of `targets [n]` over the whole vocabulary, float32."""
        ...


class OutputHead:
    """The head of a language model: weight, bias, scale, cap and the new rows trained beside the weight.

    Args:
        head: The numbers.
        slices: A copy of the weight as `weight_slices` makes it, for a faster `log_normalizer`.
    """

    def __init__(self, head: LinearHead, slices: Tensor | None = None) -> None:
        self.head = head
        self.slices = slices

    @classmethod
    def of(cls, model: Any) -> OutputHead:
        """The head of a model of transformers, or of one wrapped by peft (not by DDP and its like).

        Raises:
            DecodingError: The model has no head, or one whose weight cannot be read (an adapter on it,
                quantised).
        """
        module = model.get_output_embeddings()
        config: PreTrainedConfig = model.config.get_text_config()
        rows, row_ids = None, None
        if module is not None and not isinstance(module, nn.Linear):
            module, rows, row_ids = _unwrapped(module)
        if not isinstance(module, nn.Linear) or not module.weight.is_floating_point():
            raise DecodingError(
                "the model's output head cannot be read",
                received=f"{type(model).__name__} with a head of type {type(module).__name__}",
                remedy="use a causal language model whose head is a linear layer, neither quantised nor with "
                "a LoRA on it",
            )
        return cls(
            LinearHead(
                module.weight,
                module.bias,
                rows,
                row_ids,
                state_scale=config.d_model**-0.5 if getattr(config, "scale_decoder_outputs", False) else 1.0,
                logit_scale=_logit_scale(config),
                softcap=getattr(config, "final_logit_softcapping", None),
            )
        )

    def rows(self, states: Tensor, token_ids: Tensor) -> Tensor:
        """Logits of a few tokens; only their rows are read.

        Args:
            states: float `[n, width]`, the head's input.
            token_ids: int64 `[m]`.

        Returns:
            `[n, m]`, in the weight's dtype.
        """
        head = self.head
        weight = head.weight[token_ids]  # [m, width]
        if head.rows is not None and head.row_ids is not None:
            place = torch.searchsorted(head.row_ids, token_ids).clamp(max=len(head.row_ids) - 1)
            own = head.rows[place].to(weight.dtype)
            weight = torch.where((head.row_ids[place] == token_ids).unsqueeze(1), own, weight)
        bias = None if head.bias is None else head.bias[token_ids]
        return head.finish(functional.linear(self._fitting(states) * head.state_scale, weight, bias))

    def full(self, states: Tensor) -> Tensor:
        """Logits of all tokens, `[n, vocabulary]`, of states `[n, width]`."""
        return self.head.finish(self.head.linear(self._fitting(states)))

    def log_normalizer(self, states: Tensor) -> Tensor:
        """Normaliser of the softmax over the whole vocabulary, padded rows included.

        Logits are made for a slice of the vocabulary at a time, never for all of it.

        Args:
            states: float `[n, width]`.

        Returns:
            float32 `[n]`.
        """
        return log_normalizer(self.head, self._fitting(states), self.slices)

    def cross_entropy(self, states: Tensor, targets: Tensor) -> Tensor:
        """Summed cross-entropy over the whole vocabulary, a chunk of tokens at a time.

        Args:
            states: float `[n, width]`.
            targets: int64 `[n]`.
        """
        return chunked_cross_entropy(self.head, self._fitting(states), targets)

    def _fitting(self, states: Tensor) -> Tensor:
        """States in the weight's type: mixed precision hands them over as float32."""
        return states.to(self.head.weight.dtype)


@torch.no_grad()
def check_head(model: Any) -> None:
    """Compares a model's own logits with those of its `OutputHead`, on two tokens.

    Raises:
        DecodingError: They differ: the architecture does something after its head that is not known here.
    """
    ids = torch.tensor([[1, 2]], device=model.device)
    out = model(input_ids=ids, output_hidden_states=True, use_cache=False)
    found = OutputHead.of(model).full(out.hidden_states[-1][0]).float()  # [2, vocabulary]
    difference = (found - out.logits[0].float()).abs().max().item()
    if not difference <= 0.02 * out.logits.abs().max().item() + 1e-3:
        raise DecodingError(
            "the logits of this architecture are not those of its output head",
            received=f"{type(model).__name__}, which differs by {difference:.3g}",
            remedy="use another base model, and report this one",
        )


class LogitsHead:
    """The same answers where logits are there already: `states` are logits `[n, vocabulary]`.

    For models whose head cannot be read outside their forward (ZeRO-3, FSDP2).
    """

    def rows(self, states: Tensor, token_ids: Tensor) -> Tensor:
        """The columns of a few tokens, `[n, m]`."""
        return states.index_select(1, token_ids)

    def full(self, states: Tensor) -> Tensor:
        """The logits as they are."""
        return states

    def log_normalizer(self, states: Tensor) -> Tensor:
        """Float32 `[n]`."""
        return states.float().logsumexp(-1)

    def cross_entropy(self, states: Tensor, targets: Tensor) -> Tensor:
        """Summed cross-entropy; the float32 copy is made a chunk at a time, in backward anew."""
        size = max(1, CHUNK_ELEMENTS // states.shape[1])
        total = states.new_zeros((), dtype=torch.float32)
        for logits, wanted in zip(states.split(size), targets.split(size), strict=True):
            total = total + checkpoint(_summed, logits, wanted, use_reentrant=False)
        return total


def _summed(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), targets, reduction="sum")


def _logit_scale(config: PreTrainedConfig) -> float:
    """Factor on the logits: Cohere's, Falcon-H1's, or Granite's divisor (HyperCLOVA X multiplies by it)."""
    divisor = getattr(config, "logits_scaling", None)
    if divisor is not None:
        return float(divisor) if config.model_type == "hyperclovax" else 1.0 / float(divisor)
    for name in ("logit_scale", "lm_head_multiplier", "output_multiplier"):
        factor = getattr(config, name, None)
        if factor is not None:
            return float(factor)
    return 1.0


def _unwrapped(module: nn.Module) -> tuple[nn.Module, Tensor | None, Tensor | None]:
    """A wrapped head's linear layer, the rows trained beside it and their sorted ids."""
    from peft.utils import ModulesToSaveWrapper, TrainableTokensWrapper

    if isinstance(module, ModulesToSaveWrapper):
        active = module.active_adapters
        return (module.modules_to_save[active[0]] if active else module.original_module), None, None
    if not isinstance(module, TrainableTokensWrapper):
        return module, None, None
    layer = module.token_adapter
    base = layer.get_base_layer()
    names = [] if layer.merged or layer.disable_adapters else layer.active_adapters
    names = [name for name in names if name in layer.trainable_tokens_delta]
    if len(names) > 1:
        raise DecodingError(
            "two adapters with rows of their own are active at once",
            received=", ".join(names),
            remedy="activate one of them with model.set_adapter(name)",
        )
    if not names:
        return base, None, None
    rows = layer.trainable_tokens_delta[names[0]]
    order, ids = _in_order(tuple(layer.token_indices[names[0]]), rows.device)
    return base, (rows if order is None else rows[order]), ids


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # the first to ask may be a search, and autograd saves no tensors made there
def _in_order(token_ids: tuple[int, ...], device: torch.device) -> tuple[Tensor | None, Tensor]:
    """What sorts token ids (None where they are sorted) and the sorted ids, int64 `[m]`, kept on the device.

    A training step asks for the head every time: a copy to the device would wait for all it has to do.
    """
    ids = torch.tensor(token_ids)
    order = ids.argsort()
    ids_sorted = bool((ids[:-1] <= ids[1:]).all())
    return (None if ids_sorted else order.to(device)), ids[order].to(device)
