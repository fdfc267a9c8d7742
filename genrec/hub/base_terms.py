"""Under which terms a base model stands, and what must be carried with what was tuned from it.

Does not know bundles or uploads. A licence that is not known is never guessed to be a free one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genrec.errors import HubError

# By name: Llama's licence depends on the generation. TinyLlama and others of Llama's shape are not meant.
_LLAMA = re.compile(r"(?:^|[/_-])(?:meta-)?(?:code)?llama[-_ ]?(2|3\.[1-3]|3|4)(?:[^0-9.]|$)", re.IGNORECASE)
_GEMMA = re.compile(
    r"(?:^|[/_-])(?:pali|code|recurrent|shield|med|data|function)?gemma(?![-_ ]?4)", re.IGNORECASE
)
_GEMMA_TYPES = re.compile(r"^(?:recurrent_)?gemma(?:2|3|3n)?(?:_text)?$")
_FREE = {
    "apache-2.0",
    "mit",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "unlicense",
    "cc0-1.0",
    "cc-by-4.0",
    "openrail",
}

_GEMMA_NOTICE = (
    "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"
)


@dataclass(frozen=True)
class BaseTerms:
    """The terms of one base model.

    Attributes:
        name: Of the model, as on the hub.
        revision: Its commit, where known.
        license: The hub's short name of its licence; "other" where it has none of these, or none is known.
        license_name: Name of an "other" licence.
        license_link: Where the licence can be read.
        notice: What must be said with everything made from it; "" where nothing is prescribed.
    """

    name: str
    revision: str | None
    license: str
    license_name: str | None = None
    license_link: str | None = None
    notice: str = ""

    @property
    def is_llama(self) -> bool:
        """Whether Llama's terms ask for `Built with Llama` and for a name that begins with it."""
        return self.license.startswith("llama")


def base_terms(
    name: str, *, revision: str | None = None, model_type: str = "", card: Mapping[str, Any] | None = None
) -> BaseTerms:
    """The terms of a base model.

    Llama's and Gemma's follow from the name or the architecture, whatever a copy's card says; of others the
    card says them.

    Args:
        name: As on the hub.
        revision: Its commit.
        model_type: Of its configuration, such as "gemma3_text".
        card: The metadata of its card, None where it could not be read.
    """
    said = dict(card or {})
    found = _LLAMA.search(name)
    if found:
        version = found[1]
        licence = "llama2" if version == "2" else f"llama{version}"
        title = f"Llama {version} Community License"
        notice = (
            f"Llama {version} is licensed under the {title}, Copyright (c) Meta Platforms, Inc. "
            "All Rights Reserved."
        )
        link = _text(said, "license_link") or f"https://huggingface.co/{name}/blob/main/LICENSE"
        return BaseTerms(name, revision, licence, title, link, notice)
    if _GEMMA_TYPES.match(model_type) or _GEMMA.search(name):
        return BaseTerms(
            name, revision, "gemma", "Gemma Terms of Use", "https://ai.google.dev/gemma/terms", _GEMMA_NOTICE
        )
    stated = _text(said, "license")
    if stated is None:
        return BaseTerms(
            name,
            revision,
            "other",
            "the base model's licence, which its card does not name",
            f"https://huggingface.co/{name}",
        )
    where = _text(said, "license_link")
    if stated == "other" and where is None:
        where = f"https://huggingface.co/{name}"
    return BaseTerms(name, revision, stated, _text(said, "license_name"), where)


def _text(card: Mapping[str, Any], key: str) -> str | None:
    value = card.get(key)
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) and value else None


def license_fields(terms: BaseTerms | None, chosen: str | None) -> dict[str, str]:
    """The licence fields of a model card.

    Args:
        terms: Of the base model; None for a model from scratch.
        chosen: The publisher's own choice.

    Returns:
        `license`, and where it is "other" `license_name` and `license_link`; empty for a model from scratch
        whose publisher chose none.

    Raises:
        HubError: Another licence than the base model's was chosen for weights that its terms cover.
    """
    if terms is None:
        return {} if chosen is None else {"license": chosen}
    if chosen is not None and chosen != terms.license and terms.license not in _FREE:
        raise HubError(
            f"what was tuned from {terms.name} stays under its licence",
            received=f"license={chosen!r}, the base model's is {terms.license!r}",
            remedy="leave license out: the base model's is carried",
        )
    fields = {"license": chosen or terms.license}
    if fields["license"] == "other" or terms.license in ("gemma",) or terms.is_llama:
        if terms.license_name is not None and fields["license"] == "other":
            fields["license_name"] = re.sub(r"[^a-z0-9]+", "-", terms.license_name.lower()).strip("-")
        if terms.license_link is not None:
            fields["license_link"] = terms.license_link
    return fields
