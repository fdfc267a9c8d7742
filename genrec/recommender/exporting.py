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
from genrec.errors import ArtifactError, ConfigError
from genrec.hub import bundle_folder, carried_terms
from genrec.recommender.generative_recommender import GenerativeRecommender
from genrec.recommender.item_level_recommender import ItemLevelRecommender
from genrec.recommender.loading import load_recommender
from genrec.tasks import PromptBuilder

if TYPE_CHECKING:
    from peft import PeftModel

KIND = "export"
EXAMPLE = Path(__file__).with_name("plain_example.txt")
DTYPES = ("float32", "bfloat16", "float16")

README = Path(__file__).with_name("export_readme.txt")

_LEVEL_MASK = """
class LevelMask(LogitsProcessor):
    \"\"\"The softmax is over all codes of the position.\"\"\"

    def __call__(self, ids, scores):
        level, masked = facts["token_ids"][ids.shape[1] - (@START@)], torch.full_like(scores, -torch.inf)
        for row, path in enumerate(ids):
            open_ids = allowed(None, path)
            masked[row, open_ids] = scores[row, open_ids] - scores[row, level].logsumexp(0)
        return masked

"""


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
    facts = _facts(recommender)
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
        catalog.trie.save(temporary / "trie")
        np.save(temporary / "item_tokens.npy", tokens)
        (temporary / "items.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        text = example_text(facts["normalize"], encoder_decoder=facts["encoder_decoder"])
        (temporary / "example.py").write_text(text, encoding="utf-8")
        notice = f"\n{terms}\n" if terms else ""
        name = Path(str(repo_or_folder)).name
        text = README.read_text(encoding="utf-8").format(name=name, length=catalog.spec.length, terms=notice)
        (temporary / "README.md").write_text(text, encoding="utf-8")
        for path, content in texts.items():
            (temporary / path).write_bytes(content)
    return Path(out)


def example_text(normalize: str, *, encoder_decoder: bool) -> str:
    """The example for a model: transformers' own scores are those of the normaliser "full"."""
    more, search, imports = "", "prefix_allowed_tokens_fn=allowed", ""
    if normalize == "allowed":
        search += ",\n    renormalize_logits=True"  # the softmax is over the tokens that may follow
    elif normalize == "level":
        more, search, imports = _LEVEL_MASK, "logits_processor=[LevelMask()]", ", LogitsProcessor"
    marks = {
        "@MORE@": more,
        "@MODEL@": "AutoModelForSeq2SeqLM" if encoder_decoder else "AutoModelForCausalLM",
        "@START@": "1" if encoder_decoder else "len(prompt)",
        "@SEARCH@": search,
        "@IMPORTS@": imports,
    }
    text = EXAMPLE.read_text(encoding="utf-8")
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def _facts(recommender: GenerativeRecommender) -> dict[str, Any]:
    catalog, vocabulary, settings = recommender.catalog, recommender.vocabulary, recommender.settings
    frame = PromptFrame.of(recommender.ranker.builder, catalog)
    titles = {item: recommender.items.title(item) for item in catalog.item_ids}
    return {
        "length": catalog.spec.length,
        "encoder_decoder": bool(recommender.model.config.is_encoder_decoder),
        "normalize": settings.normalize,
        "num_beams": settings.num_beams,
        "max_history": settings.max_history,
        "before": frame.before,
        "after": frame.after,
        "token_ids": [ids.tolist() for ids in vocabulary.token_ids],
        "item_ids": list(catalog.item_ids),
        "titles": {item: title for item, title in titles.items() if title},
    }


def _merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    if isinstance(model, PreTrainedModel):
        return model
    from genrec.training import merge  # needs peft, which plain models do without

    return merge(model)
