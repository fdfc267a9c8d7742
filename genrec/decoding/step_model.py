"""`StepModel`: what a search asks of a language model, and which implementation serves which model.

Does not know tries, codes or scores.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from genrec.decoding.backend_check import agrees, alike
from genrec.decoding.encoder_decoder_beams import EncoderDecoderBackend
from genrec.decoding.fused_beams import FusedBackend
from genrec.decoding.fused_weights import fuses
from genrec.decoding.output_head import Head
from genrec.decoding.packed_beams import PackedBackend, takes_masks
from genrec.decoding.packed_t5_beams import SHARED_BIAS_TYPES, PackedT5Backend
from genrec.decoding.prompt_cache import PromptCache
from genrec.decoding.row_per_beam import RowPerBeamBackend
from genrec.decoding.t5_layers import fuses_t5
from genrec.errors import DecodingError

# packed beams are tested on each; any other type is tried out on a few tokens before it is used
PACKED_TYPES = frozenset(
    {"cohere", "gemma2", "gemma3_text", "gpt2", "granite", "llama", "mistral", "phi", "qwen2", "qwen3"}
)


class StepModel(Protocol):
    """A model in the middle of one search: it holds the states of the prompts and of all their rows.

    A row is a token that continues an earlier row of its prompt. Row 0 of every prompt is the prompt itself;
    the rows of a step take the numbers behind those of all steps before, in the order given.
    """

    def step(self, tokens: Tensor, parent: Tensor) -> Tensor:
        """Adds a row for every token; one step may mix rows of any depth.

        Args:
            tokens: int64 `[batch, new]`.
            parent: int64 `[batch, new]`, number of the row that each continues. Rows that only fill up a
                batch take any token and row 0.

        Returns:
            States after them, `[batch, new, width]`, the head's input.
        """
        ...

    def keep(self, prompts: Tensor) -> None:
        """Goes on with the prompts `prompts [m]` (int64) only, in this order."""
        ...

    def truncate(self, rows: int) -> None:
        """Forgets all rows from number `rows` on (at least 1); the next step's rows take their numbers."""
        ...


class SearchBackend(Protocol):
    """A model made ready for searches; many may run on it at once."""

    def head(self) -> Head:
        """What turns states into logits, as the model's head is now; taken anew for every search."""
        ...

    def start(self, input_ids: Tensor, real: Tensor, capacity: int = 0) -> tuple[StepModel, Tensor]:
        """Reads the prompts, once each.

        Args:
            input_ids: int64 `[batch, prompt]`, padded on either side.
            real: bool `[batch, prompt]`, True for real tokens.
            capacity: Rows a prompt for which room is made at once; more are taken as well.

        Returns:
            The search behind the prompts, and the states at their ends, `[batch, 1, width]`.
        """
        ...


def load_backend(model: Any, prompt_cache: PromptCache | None = None) -> SearchBackend:
    """The fastest implementation that is right for a model.

    Packed beams where the architecture is known to take them, or agrees on a few tokens with plain forward
    passes; else a row for every beam; else every row's whole text anew at each step.

    Args:
        model: A causal language model or an encoder-decoder, with adapters or without.
        prompt_cache: Keeps beginnings of prompts between searches; for packed beams of decoder-only models.

    Raises:
        DecodingError: A prompt-learning adapter, a model that no implementation serves, or a prompt cache for
            one that cannot use it.
    """
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        raise DecodingError(
            "adapters that learn a prompt cannot be searched with",
            received=str(model.active_peft_config.peft_type),
            remedy="use LoRA, or another adapter that changes layers",
        )
    kind = model.config.model_type
    if takes_masks(model) and not model.config.is_encoder_decoder:
        backend = PackedBackend(model)
        if not backend.forward.logits and fuses(model):
            fused = FusedBackend(model)
            if alike(model, backend, fused):
                fused.prompt_cache = prompt_cache
                return fused
        if kind in PACKED_TYPES or agrees(model, backend):
            backend.prompt_cache = prompt_cache
            return backend
    if prompt_cache is not None:
        raise DecodingError(
            "prompts' beginnings can be kept only for decoder-only models whose beams can be packed",
            received=type(model).__name__,
            remedy="leave the prompt cache out",
        )
    if model.config.is_encoder_decoder:
        packs = kind in SHARED_BIAS_TYPES and str(model.dtype) != "torch.float16"
        packed = PackedT5Backend(model) if packs else None
        if packed is None or packed.forward.logits:
            return EncoderDecoderBackend(model)
        quick = PackedT5Backend(model, fused=True) if fuses_t5(model) else packed
        return quick if alike(model, packed, quick) else packed
    for logits, cached in ((False, True), (True, True), (True, False)):
        fallback = RowPerBeamBackend(model, logits=logits, cached=cached)
        if agrees(model, fallback):
            return fallback
    raise DecodingError(
        "no way of decoding this model agrees with its own forward pass",
        received=type(model).__name__,
        remedy="use another base model, and report this one",
    )
