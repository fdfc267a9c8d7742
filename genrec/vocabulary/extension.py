"""A pretrained causal language model extended by a catalog's tokens.

Does not know which item has which code, nor how the new rows are trained.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from genrec.errors import VocabularyError
from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary.row_initialisation import check_codebooks, grow, initialise_rows
from genrec.vocabulary.semantic_id_vocabulary import (
    ADDED_PAD_TOKEN,
    TERMINATOR_TOKEN,
    SemanticIdVocabulary,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUANTIZATIONS = ("4bit", "8bit")
INITIALIZATIONS = ("mean", "codebook")
_CODE_TOKEN = re.compile(r"<[a-z]+_[0-9]+>")

logger = logging.getLogger(__name__)


def extend_model(
    name_or_model: str | Path | PreTrainedModel,
    spec: SemanticIdSpec,
    *,
    text_tokenizer: PreTrainedTokenizerBase | None = None,
    dtype: str | torch.dtype | None = None,
    quantization: Literal["4bit", "8bit"] | None = None,
    revision: str | None = None,
    initialization: Literal["mean", "codebook"] = "mean",
    codebooks: Sequence[np.ndarray | None] | None = None,
    seed: int = 0,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, SemanticIdVocabulary]:
    """Teaches a causal language model's text tokenizer a catalog's tokens and gives the model rows for them.

    The tokens are flagged special, so that no text can turn into one. The matrices grow only where they are
    too small for the tokens, and never shrink: many models come with spare rows. Rows of tokens that the text
    tokenizer knew already are left as they are, so a model that was extended and trained before may be passed
    again.

    A text tokenizer without a padding token, or whose padding token is its end token (which collators that
    mask by token id would mask as an answer's end, too), gets its unknown token where that is a token of its
    own, else a new one, `<|added_pad|>`, whose row counts among the new ones.

    Args:
        name_or_model: Name on the hub, a folder, or a model that is loaded already (changed in place).
        spec: The Semantic IDs' shape.
        text_tokenizer: The model's text tokenizer (extended in place); None to load it by name.
        dtype: Of the weights, such as "bfloat16"; None = as they were saved. With a quantization it is what
            is computed in, bfloat16 by default.
        quantization: Load in 4 bit (nf4, double quantisation, QLoRA, arXiv 2305.14314 section 3) or 8 bit
            through bitsandbytes, frozen and ready for adapters; None = not.
        revision: Branch, tag or commit on the hub.
        initialization: First values of the new rows: "mean" = mean of the old rows plus noise, "codebook" =
            the vectors of `codebooks`, mean for tokens without one.
        codebooks: One float `[codebook size, dim]` a position, None for a position without vectors.
        seed: Of noise and projection.

    Returns:
        The model, its text tokenizer, and the vocabulary.

    Raises:
        VocabularyError: An unknown or contradictory option; a quantization without bitsandbytes; a name that
            cannot be loaded; no causal language model; a slow text tokenizer; one extended for another spec.
    """
    _check_options(name_or_model, text_tokenizer, dtype, quantization, revision)
    _check_initialization(initialization, codebooks, spec)
    if isinstance(name_or_model, str | Path):
        revision = resolved_revision(str(name_or_model), revision)
        text_tokenizer = text_tokenizer or _load_text_tokenizer(str(name_or_model), revision)
        _check_text_tokenizer(text_tokenizer, spec)  # before the large download
        model = load_base(str(name_or_model), dtype=dtype, quantization=quantization, revision=revision)
    else:
        model = name_or_model
        assert text_tokenizer is not None  # _check_options saw to it
        _check_text_tokenizer(text_tokenizer, spec)
    _check_model(model)

    known = dict(text_tokenizer.get_vocab())
    _ensure_padding(text_tokenizer)
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, spec)
    rows = len(cast("Tensor", model.get_input_embeddings().weight))
    needed = max(text_tokenizer.get_vocab().values()) + 1
    grow(model, needed)
    added = set(known.values())
    new = vocabulary.new_ids[[i not in added or i >= rows for i in vocabulary.new_ids.tolist()]]
    special = {*text_tokenizer.all_special_ids, *vocabulary.new_ids.tolist()}
    text_ids = np.array(sorted(i for i in added - special if i < rows), dtype=np.int64)
    if len(new):
        initialise_rows(model, vocabulary, new, text_ids, codebooks=codebooks, seed=seed)
    for config in (model.config.get_text_config(), model.generation_config):
        if config is not None:
            config.pad_token_id = text_tokenizer.pad_token_id
    logger.info("%d new tokens, %d rows before, %d after", len(new), rows, max(rows, needed))
    return model, text_tokenizer, vocabulary


def extend_text_tokenizer(
    name: str | Path, spec: SemanticIdSpec, *, revision: str | None = None
) -> tuple[PreTrainedTokenizerBase, SemanticIdVocabulary]:
    """The text tokenizer and vocabulary that `extend_model` would give, without the model.

    Raises:
        VocabularyError: As for `extend_model`.
    """
    text_tokenizer = _load_text_tokenizer(str(name), revision)
    _check_text_tokenizer(text_tokenizer, spec)
    _ensure_padding(text_tokenizer)
    return text_tokenizer, SemanticIdVocabulary.extend(text_tokenizer, spec)


def _check_options(
    name_or_model: Any,
    text_tokenizer: Any,
    dtype: Any,
    quantization: str | None,
    revision: str | None,
) -> None:
    _check_known("quantization", quantization, (None, *QUANTIZATIONS))
    if not isinstance(name_or_model, str | Path):
        given = {"dtype": dtype, "quantization": quantization, "revision": revision}
        wrong = [name for name, value in given.items() if value is not None]
        if wrong or text_tokenizer is None:
            raise VocabularyError(
                "a loaded model comes with its text tokenizer and without options of loading",
                received=f"{', '.join(wrong) or 'no'} option(s), text_tokenizer={text_tokenizer is not None}",
                remedy="pass text_tokenizer= and no dtype, quantization or revision, or a name in place of "
                "the model",
            )
    missing = [name for name in ("bitsandbytes", "peft") if importlib.util.find_spec(name) is None]
    if quantization is not None and missing:
        raise VocabularyError(
            f"quantization needs {' and '.join(missing)}",
            received=f"quantization={quantization!r}",
            remedy="pip install 'genrec-toolkit[train,quant]', or leave quantization out",
        )


def _check_initialization(
    initialization: str, codebooks: Sequence[np.ndarray | None] | None, spec: SemanticIdSpec
) -> None:
    _check_known("initialization", initialization, INITIALIZATIONS)
    if (codebooks is not None) != (initialization == "codebook"):
        raise VocabularyError(
            "codebooks and initialization='codebook' belong together",
            received=f"initialization={initialization!r}, codebooks={'None' if codebooks is None else '…'}",
            remedy="pass both, or neither",
        )
    if codebooks is not None:
        check_codebooks(codebooks, spec)


def _check_known(what: str, value: str | None, known: tuple[str | None, ...]) -> None:
    if value not in known:
        raise VocabularyError(
            f"unknown {what}", received=repr(value), remedy=f"use one of {', '.join(map(repr, known))}"
        )


def _load_text_tokenizer(name: str, revision: str | None) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer, PreTrainedTokenizerBase

    try:
        text_tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _unavailable("text tokenizer", name, revision, error) from error
    assert isinstance(text_tokenizer, PreTrainedTokenizerBase)
    return text_tokenizer


def load_base(
    name: str,
    *,
    dtype: str | torch.dtype | None = None,
    quantization: str | None = None,
    revision: str | None = None,
    device: str | None = None,
) -> PreTrainedModel:
    """A causal language model as it was saved, not extended; parameters as in `extend_model`.

    A quantised one is frozen, what is not quantised in it is float32, and it cannot be moved later: `device`
    says where it goes (None = the accelerator, where there is one). Another model stays on the CPU.

    Raises:
        VocabularyError: It cannot be loaded, or is no causal language model.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    options: dict[str, Any] = {"dtype": dtype or "auto"}
    if quantization is not None:
        compute = getattr(torch, dtype) if isinstance(dtype, str) else dtype or torch.bfloat16
        options["dtype"] = compute
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=quantization == "4bit",
            load_in_8bit=quantization == "8bit",
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
        )
        if device is not None:
            options["device_map"] = {"": device}
    revision = resolved_revision(name, revision)
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            name, revision=revision, trust_remote_code=False, **options
        )
    except ImportError as error:
        raise VocabularyError(
            f"{name} cannot be loaded: a package is missing",
            received=str(error).splitlines()[0][:200],
            remedy="pip install 'genrec-toolkit[train,quant]', or leave quantization out",
        ) from error
    except OSError as error:
        raise _unavailable("model", name, revision, error) from error
    except ValueError as error:
        raise VocabularyError(
            f"{name} cannot be loaded as a causal language model",
            received=str(error).splitlines()[0][:200],
            remedy="name a decoder-only model, such as Qwen/Qwen3-0.6B",
        ) from error
    model.config._commit_hash = _commit(revision)  # transformers keeps it no longer
    return model if quantization is None else _prepared(model)


def resolved_revision(name: str, revision: str | None = None) -> str | None:
    """A revision that stays what it is: of a branch or a tag on the hub the commit it points to now.

    A folder's is None; where the hub cannot say, it is what was given, and loading will tell.
    """
    from huggingface_hub import HfApi, errors

    if Path(name).exists():
        return revision
    try:
        return HfApi().resolve_revision(name, revision=revision)
    except (errors.HfHubHTTPError, errors.RevisionResolutionError, errors.HFValidationError, OSError):
        return revision


def _commit(revision: str | None) -> str | None:
    from huggingface_hub import ResolvedRevision

    if isinstance(revision, ResolvedRevision):
        return str(revision.resolved)
    return revision if revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) else None


def _unavailable(what: str, name: str, revision: str | None, error: Exception) -> VocabularyError:
    return VocabularyError(
        f"the {what} of {name}{f' at {revision}' if revision else ''} cannot be loaded",
        received=f"{type(error).__name__}: {str(error).splitlines()[0][:200]}",
        remedy="check the spelling and the connection to the hub; offline, give the path of a folder",
    )


def _check_text_tokenizer(text_tokenizer: PreTrainedTokenizerBase, spec: SemanticIdSpec) -> None:
    if not text_tokenizer.is_fast:
        raise VocabularyError(
            "the text tokenizer is a slow one, which cannot keep text from turning into reserved tokens",
            received=type(text_tokenizer).__name__,
            remedy="use a model that comes with a fast one (a tokenizer.json)",
        )
    known = text_tokenizer.get_vocab()
    if TERMINATOR_TOKEN not in known:
        return
    wanted = {token for token in SemanticIdVocabulary.tokens(spec) if _CODE_TOKEN.fullmatch(token)}
    found = {token for token in text_tokenizer.get_added_vocab() if _CODE_TOKEN.fullmatch(token)}
    if found != wanted:
        raise VocabularyError(
            "the text tokenizer was extended for another Semantic-ID spec",
            received=f"{len(found)} tokens of codes, {len(found & wanted)} of the {len(wanted)} wanted",
            remedy=f"use the text tokenizer the model came with, or a catalog of the spec it was extended "
            f"for (this one is {spec.codebook_sizes})",
        )


def _check_model(model: PreTrainedModel) -> None:
    causal = not model.config.is_encoder_decoder and model.can_generate()
    if not causal or model.get_output_embeddings() is None:
        raise VocabularyError(
            "only causal language models are extended",
            received=type(model).__name__,
            remedy="pass a decoder-only model with a head, such as AutoModelForCausalLM gives",
        )


def _ensure_padding(text_tokenizer: PreTrainedTokenizerBase) -> None:
    """Gives a text tokenizer a padding token that ends no answer."""
    if text_tokenizer.pad_token is not None and text_tokenizer.pad_token_id != text_tokenizer.eos_token_id:
        return
    taken = (text_tokenizer.eos_token, text_tokenizer.bos_token)
    if text_tokenizer.unk_token is not None and text_tokenizer.unk_token not in taken:
        text_tokenizer.pad_token = text_tokenizer.unk_token
    else:
        text_tokenizer.add_special_tokens({"pad_token": ADDED_PAD_TOKEN})


def _prepared(model: PreTrainedModel) -> PreTrainedModel:
    """Freezes a quantised model and holds what is not quantised in float32."""
    from bitsandbytes.nn import Linear4bit
    from peft import prepare_model_for_kbit_training

    for module in model.modules():
        if isinstance(module, Linear4bit):
            # On a CPU with AVX512-BF16 the first forward in evaluation mode repacks the weight for good, in a
            # form that has no gradient (and needs widths that are multiples of 64): keep the one that has.
            module.support_avx512bf16_for_cpu = False
    prepared: PreTrainedModel = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return prepared
