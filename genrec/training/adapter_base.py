"""The base a saved adapter stands on: named, told apart from others, loaded and checked.

Does not know catalogs or bundles. The base's matrices are never saved with an adapter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftConfig, PeftModel
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from genrec.errors import ArtifactError
from genrec.training.adapters import save_weights
from genrec.training.compat import mend_head, old_names_unsaid
from genrec.vocabulary import SemanticIdVocabulary, grow, load_base

_SAMPLES = 64  # values of each weight that go into a base's digest
_MOVE_ON = "pass base= with the right model's name or folder, or save a merged model: genrec.training.merge"


@dataclass(frozen=True)
class AdapterBase:
    """What is written down of a base.

    Attributes:
        name: On the hub, or a folder.
        revision: Commit on the hub; None for a folder.
        dtype: Of its weights, or of what a quantised one computes in.
        quantization: "4bit", "8bit" or None.
        rows: Rows of its matrices, grown for the new tokens.
        digest: Of names, shapes and some values of its weights, new rows left out.
        kept_digest: The same without the weights that a quantisation packs, so that it holds under any; "" in
            bundles of format 1.
    """

    name: str
    revision: str | None
    dtype: str
    quantization: str | None
    rows: int
    digest: str
    kept_digest: str = ""

    @classmethod
    def of(cls, model: PeftModel, vocabulary: SemanticIdVocabulary) -> AdapterBase:
        """The base of a model that `add_lora` made.

        Raises:
            ArtifactError: The base was made in memory: it has no name it could be found by.
        """
        base = cast(PreTrainedModel, model.get_base_model())
        config = base.config
        if not config.name_or_path:
            raise ArtifactError(
                "the adapter's base model has no name or folder to be loaded from again",
                received=f"{type(base).__name__} made in memory",
                remedy="save the base and load it from its folder with extend_model, or save a merged model: "
                "genrec.training.merge(model)",
            )
        quantized = getattr(config, "quantization_config", None)
        dtype = base.dtype if quantized is None else quantized.bnb_4bit_compute_dtype
        return cls(
            name=str(config.name_or_path),
            revision=getattr(config, "_commit_hash", None),
            dtype=str(dtype).removeprefix("torch."),
            quantization=None if quantized is None else "4bit" if quantized.load_in_4bit else "8bit",
            rows=config.get_text_config().vocab_size,
            digest=_digest(base, int(vocabulary.new_ids[0])),
            kept_digest=_digest(base, int(vocabulary.new_ids[0]), kept_only=True),
        )

    def save_adapter(self, model: PeftModel, folder: Path) -> None:
        """Writes adapters and new rows, in the base's dtype: a quarter to half of what training holds."""
        save_weights(model, folder, dtype=getattr(torch, self.dtype))
        (folder / "README.md").unlink(missing_ok=True)  # peft's, which names folders of this machine

    def load_adapter(
        self,
        folder: Path,
        vocabulary: SemanticIdVocabulary,
        *,
        base: str | Path | None = None,
        quantization: str | None = None,
        device: str = "cpu",
    ) -> PeftModel:
        """The saved adapter on its base, loaded anew.

        Args:
            folder: What `save_adapter` wrote.
            vocabulary: The bundle's.
            base: Name or folder of the base where it is not where it was.
            quantization: Of the base: "4bit", "8bit", "none" = not quantised; None = as it was trained.
            device: Where a quantised base goes; another one stays on the CPU.

        Raises:
            VocabularyError: The base cannot be loaded.
            ArtifactError: Another base, or another revision of it, than the adapter was trained on, or an
                adapter that was trained with another vocabulary.
        """
        self._check_adapter(folder, vocabulary)
        wanted = self.quantization if quantization is None else quantization
        wanted = None if wanted == "none" else wanted
        if wanted != self.quantization and not self.kept_digest:
            raise ArtifactError(
                "this bundle was saved by an older version, which kept nothing to tell its base by under "
                "another quantization",
                received=f"quantization={quantization!r}, trained with {self.quantization!r}",
                remedy="load it without quantization=, and save it again with save_pretrained",
            )
        name, revision = (self.name, self.revision) if base is None else (str(base), None)
        model = load_base(name, dtype=self.dtype, quantization=wanted, revision=revision, device=device)
        found = getattr(model.config, "_commit_hash", None)
        if name == self.name and self.revision is not None and found not in (None, self.revision):
            raise ArtifactError(
                "the base model is of another revision than the one the adapter was trained on",
                received=f"{name} at {found}, the bundle wants {self.revision}",
                remedy="leave base= out, so that the right revision is loaded",
            )
        rows = model.config.get_text_config().vocab_size
        grow(model, self.rows)
        if model.config.get_text_config().vocab_size != self.rows:
            raise ArtifactError(
                "the base model has another shape than the one the adapter was trained on",
                received=f"{rows} rows in {name}, {self.rows} in the bundle",
                remedy=_MOVE_ON,
            )
        same = wanted == self.quantization
        if _digest(model, int(vocabulary.new_ids[0]), kept_only=not same) != (
            self.digest if same else self.kept_digest
        ):
            raise ArtifactError(
                "the base model is not the one the adapter was trained on: its weights differ",
                received=name,
                remedy=_MOVE_ON,
            )
        with old_names_unsaid():
            wrapped = PeftModel.from_pretrained(model, str(folder))
        mend_head(wrapped)
        return wrapped

    @staticmethod
    def _check_adapter(folder: Path, vocabulary: SemanticIdVocabulary) -> None:
        try:
            trained = getattr(PeftConfig.from_pretrained(str(folder)), "trainable_token_indices", None)
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            raise ArtifactError(
                f"{folder} holds no adapter that can be read",
                received=f"{type(error).__name__}: {str(error)[:200]}",
                remedy="save the recommender again with save_pretrained",
            ) from error
        new = vocabulary.new_ids.tolist()
        if (
            not isinstance(trained, dict)
            or not trained
            or any(sorted(ids) != new for ids in trained.values())
        ):
            raise ArtifactError(
                "the adapter was trained with another vocabulary",
                received=f"rows of {sorted(map(len, (trained or {}).values()))} tokens in the adapter, "
                f"{len(new)} new tokens in the vocabulary",
                remedy="use adapter and vocabulary of one bundle",
            )


def _digest(model: Any, first_new: int, *, kept_only: bool = False) -> str:
    """Digest over the weights that no adapter changes and no quantisation packs.

    Args:
        model: The base, quantised or not.
        first_new: The first new token's row.
        kept_only: Leave out what a quantisation would pack, in a model that is not quantised, too.
    """
    rows = model.config.get_text_config().vocab_size
    found = hashlib.sha256()
    packed = {  # all linear weights but the head's, as bitsandbytes has it
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Linear | Conv1D) and module.weight.shape[0] != rows
    }
    for name, parameter in sorted(model.named_parameters()):
        if "lora_" in name or "trainable_tokens" in name or not parameter.is_floating_point():
            continue
        if kept_only and id(parameter) in packed:
            continue
        plain = name.replace(".base_layer", "").replace(".token_adapter", "")
        grown = parameter.shape[0] == rows
        values = parameter.detach()[:first_new] if grown else parameter.detach()
        flat = values.reshape(-1)
        places = torch.linspace(0, len(flat) - 1, min(_SAMPLES, len(flat)), dtype=torch.float64).long()
        shape = tuple(values.shape[1:] if grown else values.shape)
        found.update(f"{plain} {shape} ".encode())
        found.update(flat[places.to(flat.device)].float().cpu().numpy().tobytes())
    return found.hexdigest()


def trainable_again(model: PeftModel) -> None:
    """Lets a loaded adapter and its rows train on."""
    for name, parameter in model.named_parameters():
        if "lora_" in name or "trainable_tokens_delta" in name:
            parameter.requires_grad = True
    for config in model.peft_config.values():
        config.inference_mode = False
