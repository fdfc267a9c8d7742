"""What must go along with a bundle's weights: the terms of the model they were tuned from, and their texts.

Does not know what a licence says (`genrec.hub.base_terms` does), nor how a bundle is published.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrec.errors import HubError
from genrec.hub.base_terms import BaseTerms, base_terms
from genrec.hub.bundle_facts import bundle_kind, open_bundle
from genrec.hub.client import HubRepository

NOTICE = "NOTICE"
_LICENSE_FILES = ("license", "licence", "use_policy", "notice", "copying")

logger = logging.getLogger(__name__)


def carried_terms(folder: str | Path, *, token: str | None = None) -> tuple[str, dict[str, bytes]]:
    """What must go along with a copy of a bundle's weights.

    Args:
        folder: The bundle.
        token: Of the hub, which is asked for the base model's licence.

    Returns:
        A sentence on the licence, "" for a model from scratch, and files to put beside the weights.
    """
    facts = open_bundle(folder, kind=bundle_kind(folder))
    terms, texts = known_terms(HubRepository("", token=token), facts, Path(folder))
    if terms is None:
        return "", {}
    title = terms.license_name or terms.license
    built = "Built with Llama. " if terms.is_llama else ""
    sentence = f"{built}Tuned from {terms.name}; its terms go with it: {title}. {terms.notice}".rstrip()
    read = {path: text.read_bytes() if isinstance(text, Path) else text for path, text in texts.items()}
    notice = {NOTICE: (terms.notice + "\n").encode("utf-8")} if terms.notice else {}
    return sentence, {f"BASE_MODEL_{path}": text for path, text in read.items()} | notice


def known_terms(
    repository: HubRepository, facts: Mapping[str, Any], folder: Path
) -> tuple[BaseTerms | None, dict[str, Path | bytes]]:
    """Terms of what a bundle's weights were tuned from, and the texts of the licence.

    Args:
        repository: Where the bundle goes; its token is used.
        facts: Of the bundle's manifest.
        folder: The bundle.

    Returns:
        None and nothing for a model from scratch.
    """
    origin = facts.get("base") or facts.get("derived_from")
    model_type = str(facts.get("model_type") or _model_type(folder))
    if origin:
        return _terms(repository, origin, model_type)
    if base_terms("", model_type=model_type).license == "gemma":
        # nobody trains one of this architecture from scratch unawares
        return base_terms("google/gemma", model_type=model_type), {}
    return None, {}


def _terms(
    repository: HubRepository, origin: Mapping[str, Any], model_type: str
) -> tuple[BaseTerms, dict[str, Path | bytes]]:
    """Terms of the base model, and the texts of its licence where the hub has them."""
    name, revision = str(origin["name"]), origin.get("revision")
    if Path(name).is_dir():
        return _terms_of_folder(Path(name), model_type)
    if origin.get("local"):
        return base_terms(name, model_type=model_type), {}
    base = HubRepository(name, token=repository.token)
    try:
        info = base.info(revision)
    except HubError as error:
        logger.warning("the licence of %s cannot be looked up: %s", name, error.problem)
        info = None
    if info is None:
        return base_terms(name, revision=revision, model_type=model_type), {}
    found = info.card_data.to_dict() if info.card_data is not None else None
    model_type = model_type or str((info.config or {}).get("model_type", ""))
    texts: dict[str, Path | bytes] = {}
    for sibling in info.siblings or []:
        path = sibling.rfilename
        if "/" not in path and path.lower().startswith(_LICENSE_FILES):
            text = base.file(path, info.sha)
            if text is not None:
                texts[path] = text
    return base_terms(name, revision=revision, model_type=model_type, card=found), texts


def _terms_of_folder(folder: Path, model_type: str) -> tuple[BaseTerms, dict[str, Path | bytes]]:
    from huggingface_hub import ModelCard

    card = folder / "README.md"
    found = None
    if card.is_file():
        try:
            found = ModelCard.load(card).data.to_dict()
        except ValueError as error:
            logger.warning("the card of %s cannot be read: %s", folder, error)
    texts: dict[str, Path | bytes] = {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name.lower().startswith(_LICENSE_FILES)
    }
    return base_terms(folder.name, model_type=model_type, card=found), texts


def _model_type(folder: Path) -> str:
    config = folder / "model" / "config.json"
    if not config.is_file():
        return ""
    try:
        return str(json.loads(config.read_text(encoding="utf-8")).get("model_type", ""))
    except ValueError:
        return ""
