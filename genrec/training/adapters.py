"""LoRA on a frozen model, with the new tokens' rows trained beside it: in, out, merged.

Does not know tasks, losses or optimisers.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    load_peft_weights,
    set_peft_model_state_dict,
)
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from genrec.errors import TrainingError
from genrec.training.compat import mend_head, old_names_unsaid
from genrec.vocabulary import SemanticIdVocabulary, grow


def add_lora(
    model: PreTrainedModel | PeftModel,
    vocabulary: SemanticIdVocabulary,
    r: int = 16,
    alpha: float = 32.0,
    dropout: float = 0.0,
    *,
    seed: int = 0,
) -> PeftModel:
    """Freezes a model and puts LoRA (arXiv 2106.09685) on all its linear layers but the head.

    Beside the adapters exactly the vocabulary's new rows are trained: those of the input matrix, and those of
    the head where it is a matrix of its own. Adapters and rows are float32 whatever the model is in.

    Args:
        model: An extended causal language model; changed in place.
        vocabulary: Names the new rows.
        r: Rank of the adapters.
        alpha: Their scale, times 1 / r.
        dropout: On the adapters' input.
        seed: Of the adapters' first values.

    Raises:
        TrainingError: The model has fewer rows than the vocabulary needs, is wrapped already, or is an
            encoder-decoder.
    """
    if isinstance(model, PeftModel):
        raise TrainingError(
            "the model has an adapter already",
            received=type(model).__name__,
            remedy="train it as it is with lora_r=0, or merge it first: genrec.training.merge(model)",
        )
    if model.config.is_encoder_decoder:
        raise TrainingError(
            "adapters are made for decoder-only models",
            received=type(model).__name__,
            remedy="train an encoder-decoder whole, with lora_r=0",
        )
    inputs, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows, needed = len(cast(Tensor, inputs.weight)), int(vocabulary.new_ids[-1]) + 1
    if rows < needed:
        raise TrainingError(
            "the model has no rows for the new tokens",
            received=f"{rows} rows, token ids up to {needed - 1}",
            remedy="extend it first: extend_model(model, spec, text_tokenizer=text_tokenizer)",
        )
    ids = vocabulary.new_ids.tolist()
    trained = {_name(model, inputs): ids}
    if head.weight is not inputs.weight:
        trained[_name(model, head)] = ids
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=r,
        lora_alpha=cast(int, alpha),
        lora_dropout=dropout,
        target_modules="all-linear",
        trainable_token_indices=trained,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        revision=getattr(model.config, "_commit_hash", None),
    )
    with torch.random.fork_rng(devices=[]), old_names_unsaid():
        torch.manual_seed(seed)
        wrapped = cast(PeftModel, get_peft_model(model, config))
    mend_head(wrapped)
    return wrapped


def _name(model: nn.Module, wanted: nn.Module) -> str:
    names = [name for name, module in model.named_modules() if module is wanted]
    return str(names[0])


def row_parameters(model: Any) -> list[nn.Parameter]:
    """The trained parameters that hold tokens' rows: whole matrices, or an adapter's new rows."""
    if isinstance(model, PeftModel):
        return [p for name, p in model.named_parameters() if "trainable_tokens_delta" in name]
    head = model.get_output_embeddings()
    found = [model.get_input_embeddings().weight, head.weight, head.bias]
    return [p for i, p in enumerate(found) if p is not None and all(p is not q for q in found[:i])]


def save_weights(
    model: Any,
    folder: str | Path,
    *,
    state_dict: dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Writes a model's weights: all of a plain one; of one with adapters only these and the new rows.

    peft would add the whole matrices of a model whose vocabulary grew; every new row is in the adapter.

    Args:
        model: A plain model, or one that `add_lora` made.
        folder: Where to.
        state_dict: Of a model with adapters, where its weights have been gathered from several processes.
        dtype: Of saved adapters and rows; None = as they are, which is float32.
    """
    if isinstance(model, PeftModel):
        if dtype is not None:
            state_dict = {n: t.to(dtype) for n, t in (state_dict or model.state_dict()).items() if _own(n)}
        model.save_pretrained(str(folder), state_dict=state_dict, save_embedding_layers=False)
    else:
        model.save_pretrained(folder)


def _own(name: str) -> bool:
    return "lora_" in name or "trainable_tokens_delta" in name


def load_weights(model: Any, folder: str | Path) -> Any:
    """The model with the weights that `save_weights` wrote; an adapter's are put into the model at hand."""
    if not isinstance(model, PeftModel):
        return type(model).from_pretrained(folder)
    put_adapter(model, load_peft_weights(str(folder), device="cpu"))
    return model


def put_adapter(model: PeftModel, weights: dict[str, Tensor]) -> None:
    """Puts saved adapters and rows into a model that has the same ones.

    Raises:
        TrainingError: A weight is missing or left over.
    """
    wanted = get_peft_model_state_dict(model, save_embedding_layers=False)
    if wanted.keys() != weights.keys():
        wrong = sorted(wanted.keys() ^ weights.keys())
        raise TrainingError(
            "these weights belong to another adapter",
            received=f"{len(wrong)} names differ, the first is {wrong[0]}",
            remedy="load them into a model that was wrapped by add_lora with the same settings",
        )
    set_peft_model_state_dict(model, weights)


def merge(model: PeftModel, *, base: PreTrainedModel | None = None) -> PreTrainedModel:
    """A plain model of transformers with adapters and new rows worked into its weights.

    The base of the adapter is changed in place and returned: the adapter model is used up. A quantised base
    cannot take up adapters without a loss; it is loaded anew in bfloat16 and left as it is.

    Args:
        model: As `add_lora` made it.
        base: For a quantised model, the base to merge into where it cannot be loaded by its name; changed in
            place.

    Raises:
        TrainingError: A quantised base without a name it can be loaded by.
    """
    if getattr(model.get_base_model().config, "quantization_config", None) is not None:
        model = _on_plain_base(model, base)
    merged = cast(PreTrainedModel, model.merge_and_unload())
    for parameter in merged.parameters():
        parameter.requires_grad = True
    return merged


def _on_plain_base(model: PeftModel, base: PreTrainedModel | None) -> PeftModel:
    """The same adapter on the base as it was before it was quantised."""
    quantised = cast(Any, model.get_base_model())
    config = model.peft_config[model.active_adapter]
    if base is None:
        name = quantised.config.name_or_path
        if not name:
            raise TrainingError(
                "a quantised base is merged by loading it anew, and this one has no name",
                received=f"{type(quantised).__name__} made in memory",
                remedy="load it by name or from a folder with extend_model, or pass base=",
            )
        base = cast(
            PreTrainedModel,
            AutoModelForCausalLM.from_pretrained(
                name, revision=config.revision, dtype=torch.bfloat16, trust_remote_code=False
            ),
        )
    grow(base, len(quantised.get_input_embeddings().weight))
    for target, source in (
        (base.config, quantised.config),
        (base.generation_config, quantised.generation_config),
    ):
        if target is not None and source is not None:
            target.pad_token_id = source.pad_token_id
    with old_names_unsaid():
        wrapped = cast(PeftModel, get_peft_model(base, copy.deepcopy(config)))
    mend_head(wrapped)
    put_adapter(wrapped, get_peft_model_state_dict(model, save_embedding_layers=False))
    return wrapped
