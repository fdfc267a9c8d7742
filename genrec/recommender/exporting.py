"""A bundle as a folder for other engines: merged weights, the trie's arrays, and what a prompt is made of.

Does not know those engines. `docs/formats/export.md` describes the files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import GenerationConfig, PreTrainedModel

from genrec.artifacts import saved_artifact
from genrec.catalog import Catalog
from genrec.decoding import token_trie
from genrec.errors import ArtifactError, ConfigError
from genrec.hub import bundle_folder, carried_terms
from genrec.recommender.bundle import BundleSettings
from genrec.recommender.export_examples import plain_example, vllm_example
from genrec.recommender.generative_recommender import GenerativeRecommender
from genrec.recommender.item_level_recommender import ItemLevelRecommender
from genrec.recommender.loading import load_recommender
from genrec.tasks import PromptBuilder

if TYPE_CHECKING:
    from peft import PeftModel

KIND = "export"
DTYPES = ("float32", "bfloat16", "float16")

README = Path(__file__).with_name("export_readme.txt")
VLLM_LINE = "\n- `python vllm_example.py . ITEM_ID ...` does the same by vLLM."


@dataclass(frozen=True)
class PromptFrame:
    """What stands around a history's IDs in a prompt.

    Attributes:
        before: Token ids before them.
        after: Token ids after them.
    """

    before: list[int]
    after: list[int]

    @classmethod
    def of(cls, builder: PromptBuilder, catalog: Catalog) -> PromptFrame:
        """The frame of a prompt builder.

        Raises:
            ArtifactError: Its prompts are not the IDs of the history, one after the other, in a fixed frame.
        """
        tokens = builder.vocabulary.encode(catalog.codes[:2])  # [at most 2, L]
        prompt, first = builder.history(catalog.codes[:1]).tolist(), tokens[0].tolist()
        starts = [at for at in range(len(prompt)) if prompt[at : at + len(first)] == first]
        if len(starts) == 1:
            frame = cls(prompt[: starts[0]], prompt[starts[0] + len(first) :])
            several = builder.history(catalog.codes[:2]).tolist()
            if several == [*frame.before, *tokens.reshape(-1).tolist(), *frame.after]:
                return frame
        raise ArtifactError(
            "the bundle's prompts cannot be written down as a frame around the history",
            received=f"{len(starts)} places of the history in a prompt of {len(prompt)} tokens",
            remedy="use genrec itself to serve it",
        )


def export_bundle(
    repo_or_folder: str | Path,
    out: str | Path,
    *,
    revision: str | None = None,
    base: str | Path | None = None,
    dtype: str | None = None,
    token: str | None = None,
) -> Path:
    """Writes a folder that plain transformers and vLLM load, with the trie and an example.

    It is there whole or not at all.

    Args:
        repo_or_folder: The bundle, a folder or `owner/name` on the hub.
        out: The folder.
        revision: Branch, tag or commit on the hub.
        base: For a bundle of adapters: where its base model is now, when not where it was.
        dtype: Of the weights, "float32", "bfloat16" or "float16"; None = as they are.
        token: Of the hub.

    Returns:
        The folder.

    Raises:
        ArtifactError: A damaged bundle, one whose model or prompts no other engine knows, or a folder that
            holds something else.
        ConfigError: An unknown dtype.
        HubError: What `load_recommender` raises.
    """
    if dtype not in (None, *DTYPES):
        raise ConfigError("unknown dtype", received=repr(dtype), remedy=f"use one of {', '.join(DTYPES)}")
    folder = bundle_folder(repo_or_folder, revision=revision, token=token)
    recommender = load_recommender(folder, base=base)
    if isinstance(recommender, ItemLevelRecommender):
        raise ArtifactError(
            "an item-level generator is no model of transformers that another engine would know",
            received=str(repo_or_folder),
            remedy="serve it with genrec, or batch-score with `genrec recommend --users`",
        )
    catalog = recommender.catalog
    if catalog.trie.terminated:
        raise ArtifactError(
            "Semantic IDs of unequal length are not exported",
            received=str(repo_or_folder),
            remedy="build the IDs with one length, or serve the bundle with genrec",
        )
    facts = _facts(recommender, dtype)
    tokens = recommender.vocabulary.encode(catalog.codes).astype(np.int32)  # [rows, L]
    terms, texts = carried_terms(folder)
    model = _merged(recommender.model)
    if dtype is not None:
        model = model.to(getattr(torch, dtype))
    # a chat model's own one samples, and bends the scores
    model.generation_config = GenerationConfig.from_model_config(model.config)
    kept = {"catalog": catalog.fingerprint(), "vocabulary": recommender.vocabulary.fingerprint()}
    with saved_artifact(out, kind=KIND, facts=kept) as temporary:
        model.save_pretrained(temporary)
        recommender.text_tokenizer.save_pretrained(temporary)
        np.save(temporary / "trie.npy", token_trie(catalog.trie, recommender.vocabulary))
        np.save(temporary / "item_tokens.npy", tokens)
        (temporary / "items.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        for name, text in _examples(facts).items():
            (temporary / name).write_text(text, encoding="utf-8")
        notice = f"\n{terms}\n" if terms else ""
        name = Path(str(repo_or_folder)).name
        text = README.read_text(encoding="utf-8").format(
            name=name,
            length=catalog.spec.length,
            vllm="" if facts["encoder_decoder"] else VLLM_LINE,
            terms=notice,
        )
        (temporary / "README.md").write_text(text, encoding="utf-8")
        for path, content in texts.items():
            (temporary / path).write_bytes(content)
    return Path(out)


def _facts(recommender: GenerativeRecommender, dtype: str | None) -> dict[str, Any]:
    catalog, vocabulary, settings = recommender.catalog, recommender.vocabulary, recommender.settings
    frame = PromptFrame.of(recommender.ranker.builder, catalog)
    titles = {item: recommender.items.title(item) for item in catalog.item_ids}
    return {
        "length": catalog.spec.length,
        "encoder_decoder": bool(recommender.model.config.is_encoder_decoder),
        "dtype": dtype or str(recommender.model.dtype).removeprefix("torch."),
        "normalize": settings.normalize,
        "max_history": settings.max_history,
        "generate": _search(settings, catalog.spec.length),
        "before": frame.before,
        "after": frame.after,
        "token_ids": [ids.tolist() for ids in vocabulary.token_ids],
        "item_ids": list(catalog.item_ids),
        "titles": {item: title for item, title in titles.items() if title},
    }


def _search(settings: BundleSettings, length: int) -> dict[str, Any]:
    """Arguments of transformers' `generate`; so many beams that `num_beams` are left without the history."""
    beams = settings.num_beams + settings.max_history
    return {
        "num_beams": beams,
        "num_return_sequences": beams,
        "max_new_tokens": length,
        "length_penalty": 0.0,
        "do_sample": False,
        "renormalize_logits": settings.normalize == "allowed",
        "return_dict_in_generate": True,
        "output_scores": True,
    }


def _examples(facts: dict[str, Any]) -> dict[str, str]:
    """Scripts by name; vLLM has no encoder-decoders."""
    encoder_decoder = facts["encoder_decoder"]
    texts = {"example.py": plain_example(facts["normalize"], encoder_decoder=encoder_decoder)}
    return texts if encoder_decoder else texts | {"vllm_example.py": vllm_example(facts["normalize"])}


def _merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    if isinstance(model, PreTrainedModel):
        return model
    from genrec.training import merge  # needs peft, which plain models do without

    return merge(model)
