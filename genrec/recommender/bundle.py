"""A bundle on disk: everything a recommender needs, in one folder under one manifest.

Does not know how recommendations are made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from genrec.artifacts import saved_artifact
from genrec.catalog import Catalog
from genrec.config import build, read_yaml, to_mapping, write_yaml
from genrec.data import ItemTable
from genrec.errors import ArtifactError, ConfigError
from genrec.hub import LANGUAGE_MODEL, check_parts, open_bundle, readable, saved_weights_digest, versions
from genrec.recommender.origin import origin_of
from genrec.semantic_ids import ItemTokenizer, UserTokenizer
from genrec.tasks import PromptBuilder, Template
from genrec.vocabulary import SemanticIdVocabulary, load_base

if TYPE_CHECKING:
    from peft import PeftModel

QUANTIZATIONS = (None, "none", "4bit", "8bit")


@dataclass(frozen=True)
class BundleSettings:
    """How the model of a bundle was trained and is to be decoded.

    Attributes:
        normalize: The normaliser of the loss, and so of decoding.
        max_history: Items of a history that count.
        num_beams: Prefixes kept a step.
        popular_items: The training log's most used items, best first: the answer to an empty history.
        template: Wording of the prompt, with `{history}` where the items stand (`TaskMixture.template`); ""
            = the packed form.
    """

    normalize: str = "allowed"
    max_history: int = 20
    num_beams: int = 20
    popular_items: tuple[str, ...] = ()
    template: str = ""


def write_bundle(
    folder: Path,
    *,
    model: PreTrainedModel | PeftModel,
    text_tokenizer: PreTrainedTokenizerBase,
    vocabulary: SemanticIdVocabulary,
    catalog: Catalog,
    items: ItemTable,
    settings: BundleSettings,
    item_tokenizer: ItemTokenizer | None,
    recipe: dict[str, Any],
    metrics: dict[str, Any],
    user_tokenizer: UserTokenizer | None = None,
) -> None:
    """Writes all parts into a temporary folder and renames it into place.

    Of a model with adapters these and the new rows are written, and what the base is called; its matrices
    never are.

    Raises:
        ArtifactError: The base of an adapter has no name to be found by.
    """
    prints = {
        "catalog": catalog.fingerprint(),
        "vocabulary": vocabulary.fingerprint(),
        "items": items.fingerprint(),
    }
    facts = {
        "fingerprints": prints,
        "model_rows": _model_rows(model),
        "item_tokenizer": item_tokenizer is not None,
        "user_tokenizer": user_tokenizer is not None,
        "items_kept": "all",
        "versions": versions(),
        "derived_from": origin_of(model.config, recipe),
        "model_type": str(model.config.get_text_config().model_type),
    }
    with saved_artifact(folder, kind=LANGUAGE_MODEL, facts=facts) as temporary:
        if isinstance(model, PreTrainedModel):
            model.save_pretrained(temporary / "model")
        else:
            from genrec.training import AdapterBase  # needs peft, which plain models do without

            base = AdapterBase.of(model, vocabulary)
            facts["base"] = to_mapping(base)
            base.save_adapter(model, temporary / "model")
        prints["weights"] = saved_weights_digest(temporary)
        text_tokenizer.save_pretrained(temporary / "text_tokenizer")
        vocabulary.save(temporary)
        catalog.save(temporary / "catalog")
        if item_tokenizer is not None:
            item_tokenizer.save(temporary / "item_tokenizer")
        if user_tokenizer is not None:
            user_tokenizer.save(temporary / "user_tokenizer")
        items.write(temporary / "items.parquet")
        write_yaml(temporary / "settings.yaml", to_mapping(settings))
        write_yaml(temporary / "recipe.yaml", recipe)
        (temporary / "metrics.json").write_text(json.dumps(metrics, indent=2), encoding="utf-8")


def serving_builder(
    model: PreTrainedModel | PeftModel,
    text_tokenizer: PreTrainedTokenizerBase,
    vocabulary: SemanticIdVocabulary,
    settings: BundleSettings,
    user_tokenizer: UserTokenizer | None,
) -> PromptBuilder:
    """The prompt builder that asks a model as it was trained."""
    return PromptBuilder.for_tokenizer(
        text_tokenizer,
        vocabulary,
        max_history=settings.max_history,
        template=Template(settings.template, "{item}") if settings.template else None,
        max_length=model.config.to_dict().get("max_position_embeddings"),
        user_tokenizer=user_tokenizer,
    )


def _model_rows(model: PreTrainedModel | PeftModel) -> int:
    if not isinstance(model, PreTrainedModel):
        return int(model.config.get_text_config().vocab_size)
    weight = model.get_input_embeddings().weight
    return int(cast(Tensor, weight).shape[0])


def _read_metrics(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise TypeError(f"metrics.json holds a {type(found).__name__}")
    return found


def _is_quantized(model: PreTrainedModel | PeftModel) -> bool:
    return getattr(model.config, "quantization_config", None) is not None


def _load_model(
    folder: Path,
    vocabulary: SemanticIdVocabulary,
    facts: dict[str, Any],
    base: str | Path | None,
    quantization: str | None,
    device: str,
) -> PreTrainedModel | PeftModel:
    if "base" in facts:
        from genrec.training import AdapterBase

        saved = build(AdapterBase, facts["base"], source=str(folder))
        return saved.load_adapter(folder, vocabulary, base=base, quantization=quantization, device=device)
    if base is not None:
        raise ArtifactError(
            "this bundle holds a whole model, which stands on no base",
            received=f"base={str(base)!r}",
            remedy="leave base out",
        )
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if quantization in ("4bit", "8bit"):
        if config.is_encoder_decoder:
            raise ConfigError(
                "only decoder-only models are quantised",
                received=f"quantization={quantization!r} for a {config.model_type}",
                remedy="leave quantization out",
            )
        return load_base(str(folder), quantization=quantization, device=device)
    loader: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return cast(
        PreTrainedModel, loader.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
    )


def read_bundle(
    folder: Path,
    *,
    base: str | Path | None = None,
    device: str = "cpu",
    quantization: str | None = None,
) -> dict[str, Any]:
    """All parts of a bundle, each checked against the manifest and against each other.

    Args:
        folder: The bundle.
        base: For a bundle of adapters: where its base model is now, when not where it was.
        device: Where the model goes.
        quantization: Of the weights: "4bit", "8bit", "none" = not quantised; None = as they were trained.

    Raises:
        ArtifactError: A missing or changed file, another kind of folder, parts that do not fit each other, or
            another base than the adapters were trained on.
        ConfigError: An unknown quantization, or one that the model cannot have.
        VocabularyError: The base of adapters cannot be loaded, or bitsandbytes is missing.
    """
    if quantization not in QUANTIZATIONS:
        raise ConfigError(
            "unknown quantization",
            received=repr(quantization),
            remedy=f"use one of {', '.join(map(repr, QUANTIZATIONS))}",
        )
    facts = open_bundle(folder, kind=LANGUAGE_MODEL)
    with readable(folder):
        return _read_parts(folder, facts, base, device, quantization)


def _read_parts(
    folder: Path, facts: dict[str, Any], base: str | Path | None, device: str, quantization: str | None
) -> dict[str, Any]:
    text_tokenizer = AutoTokenizer.from_pretrained(folder / "text_tokenizer", trust_remote_code=False)
    vocabulary = SemanticIdVocabulary.load(folder)
    check_parts(folder, facts, {"vocabulary": vocabulary.fingerprint()})
    model = _load_model(folder / "model", vocabulary, facts, base, quantization, device)
    catalog = Catalog.load(folder / "catalog")
    items = ItemTable.read(folder / "items.parquet")
    in_tokenizer = SemanticIdVocabulary.from_text_tokenizer(text_tokenizer, vocabulary.spec)
    check_parts(folder, facts, {"catalog": catalog.fingerprint(), "items": items.fingerprint()})
    wrong = ["model_rows"] if facts.get("model_rows") != _model_rows(model) else []
    if in_tokenizer.fingerprint() != vocabulary.fingerprint():
        wrong.append("text_tokenizer")
    if wrong:
        raise ArtifactError(
            "the parts of the bundle do not belong together",
            received=f"{', '.join(wrong)} differ from the manifest of {folder}",
            remedy="save the recommender again with save_pretrained",
        )
    model.config.name_or_path = (
        (facts.get("derived_from") or {}).get("name", "")
        if "base" not in facts
        else (model.config.name_or_path)
    )
    if quantization not in ("4bit", "8bit") and not _is_quantized(model):
        cast(Any, model).to(device)
    return {
        "model": model.eval(),
        "text_tokenizer": text_tokenizer,
        "vocabulary": vocabulary,
        "catalog": catalog,
        "items": items,
        "settings": build(
            BundleSettings, read_yaml(folder / "settings.yaml"), source=str(folder / "settings.yaml")
        ),
        "item_tokenizer": ItemTokenizer.load(folder / "item_tokenizer")
        if facts.get("item_tokenizer")
        else None,
        "user_tokenizer": UserTokenizer.load(folder / "user_tokenizer")
        if facts.get("user_tokenizer")
        else None,
        "recipe": read_yaml(folder / "recipe.yaml"),
        "metrics": _read_metrics(folder),
    }
