"""A bundle to the hub in one commit: all of it, or a change of its catalog alone.

Does not know recommenders: a bundle is a folder here.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrec.artifacts import MANIFEST, read_manifest
from genrec.catalog import Catalog
from genrec.config import read_yaml
from genrec.errors import ArtifactError, HubError
from genrec.hub.carried_terms import NOTICE, known_terms
from genrec.hub.client import HubRepository
from genrec.hub.model_card import EVAL_FILE, CardFacts, eval_results, model_card
from genrec.hub.publication import ItemColumns, Publication, prepare

CARD, LICENSES = "README.md", "base_model_license"
_SAME = ("weights", "vocabulary")  # fingerprints that a change of the catalog leaves as they are

logger = logging.getLogger(__name__)


def publish_bundle(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    items: ItemColumns = "all",
    license: str | None = None,
    dataset: str | None = None,
) -> str:
    """Publishes a bundle in one commit: it is there whole, or the repository is as it was.

    Files that have not changed since the last push are not sent again; those of an older push that the bundle
    no longer has are taken away.

    Args:
        folder: The bundle.
        repo_id: `owner/name`; made where it is not there.
        private: Whether only its owner may see it; None = yes where item texts go along. Of a repository that
            is there the visibility is not changed: texts go into a public one with `private=False` only.
        revision: A branch, made from main where it is not there; None = main.
        token: Of the hub, with write permission; None = the one that is logged in.
        items: Which columns of the item table go along: "all", "titles" (item_id and title), or "ids", which
            leaves out the item tokenizer as well, as its encoder keeps words of the texts.
        license: The hub's short name of a licence, for weights from scratch; of a tuned model the base's is
            carried.
        dataset: Name on the hub of the data set the metrics were measured on; with it they are written as the
            hub's evaluation results, too.

    Returns:
        The commit's hash.

    Raises:
        ArtifactError: A damaged bundle.
        HubError: The hub refuses, cannot be reached, or has changed in the meantime: nothing was published.
    """
    repository = HubRepository(repo_id, token=token)
    with tempfile.TemporaryDirectory() as staging:
        publication = prepare(folder, Path(staging), items)
        files = _with_card(publication, Path(folder), repository, license=license, dataset=dataset)
        parent = _ready(repository, publication, private=private, revision=revision)
        deleted = _left_over(repository, parent, set(files))
        commit = repository.commit(
            files, deleted=deleted, parent=parent, revision=revision, message="Publish a genrec bundle"
        )
    logger.info("published %s at %s", repo_id, commit)
    return commit


def publish_catalog(
    folder: str | Path, repo_id: str, *, revision: str | None = None, token: str | None = None
) -> str:
    """Publishes what has changed of a bundle's catalog, in a small commit of its own.

    Weights, vocabulary and text tokenizer must be those that are published already. Which item columns go
    along is as it was.

    Args:
        folder: The bundle with the new catalog.
        repo_id: Where it was published.
        revision: Branch; None = main.
        token: Of the hub.

    Returns:
        The commit's hash. Older commits load as they did.

    Raises:
        ArtifactError: A damaged bundle.
        HubError: No bundle is there, another model is, or what `publish_bundle` raises.
    """
    repository = HubRepository(repo_id, token=token)
    parent = repository.resolved(revision)
    there = repository.file(MANIFEST, parent)
    if there is None:
        raise HubError(
            "there is no bundle whose catalog could be changed",
            received=repo_id,
            remedy="publish the whole bundle first",
        )
    published = read_manifest(there.parent)
    kept = published["facts"].get("items_kept", "all")
    card = repository.file(CARD, parent)
    with tempfile.TemporaryDirectory() as staging:
        publication = prepare(folder, Path(staging), kept)
        _check_same_model(publication, published, repo_id)
        files = _with_card(
            publication,
            Path(folder),
            repository,
            license=None if card is None else _license_of(card),
            dataset=_dataset_of(repository.file(EVAL_FILE, parent)),
        )
        if publication.hashes == published["files"]:
            logger.info("%s has this catalog already", repo_id)
            return parent
        items = Catalog.load(Path(folder) / "catalog").num_active
        return repository.commit(
            files,
            deleted=[name for name in published["files"] if name not in files],
            parent=parent,
            revision=revision,
            message=f"Update the catalog: {items} items",
        )


def card_of(
    folder: str | Path,
    repo_id: str,
    *,
    items: ItemColumns = "all",
    license: str | None = None,
    dataset: str | None = None,
    token: str | None = None,
) -> str:
    """The model card that `publish_bundle` would publish; the hub is asked for the base's licence only."""
    with tempfile.TemporaryDirectory() as staging:
        publication = prepare(folder, Path(staging), items)
        repository = HubRepository(repo_id, token=token)
        files = _with_card(publication, Path(folder), repository, license=license, dataset=dataset)
    card = files[CARD]
    return card.decode("utf-8") if isinstance(card, bytes) else ""


def _with_card(
    publication: Publication,
    folder: Path,
    repository: HubRepository,
    *,
    license: str | None,
    dataset: str | None,
) -> dict[str, Path | bytes]:
    """The files of a publication and those that explain it, which the manifest does not name."""
    terms, texts = known_terms(repository, publication.facts, folder)
    recipe = publication.files["recipe.yaml"]
    card = CardFacts(
        repo_id=repository.repo_id,
        kind=publication.kind,
        facts=publication.facts,
        settings=read_yaml(folder / "settings.yaml"),
        recipe=read_yaml(recipe) if isinstance(recipe, Path) else {},
        metrics=json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
        catalog=Catalog.load(folder / "catalog"),
        model_folder=folder / "model",
        terms=terms,
        chosen_license=license,
        dataset=dataset,
    )
    files: dict[str, Path | bytes] = dict(publication.files)
    files[CARD] = model_card(card).encode("utf-8")
    results = eval_results(card)
    if results is not None:
        files[EVAL_FILE] = results.encode("utf-8")
    if terms is not None and terms.notice:
        files[NOTICE] = (terms.notice + "\n").encode("utf-8")
    return files | {f"{LICENSES}/{name}": text for name, text in texts.items()}


def _ready(
    repository: HubRepository, publication: Publication, *, private: bool | None, revision: str | None
) -> str:
    """The commit to follow, in a repository and a branch that are there and as visible as they may be."""
    info = repository.info()
    texts = publication.has_texts
    if info is None:
        repository.create(private=texts if private is None else private)
        info = repository.info()
    elif not info.private and (private or (private is None and texts)):
        asked = "private=True" if private else "item texts are in the bundle"
        raise HubError(
            "the repository is public, and a push does not change that",
            received=f"{repository.repo_id}, {asked}",
            remedy="make it private on the hub, pass private=False to publish the texts, or items='ids'",
        )
    if info is None:
        raise HubError(
            "the repository cannot be seen after it was made",
            received=repository.repo_id,
            remedy="check that the token may read it, then run it again",
        )
    return str(info.sha) if revision is None else repository.branch(revision)


def _left_over(repository: HubRepository, parent: str, wanted: set[str]) -> list[str]:
    """Files of the bundle published before that this one does not have."""
    there = repository.file(MANIFEST, parent)
    if there is None:
        return []
    try:
        names = read_manifest(there.parent)["files"]
    except ArtifactError:
        logger.warning("the manifest published in %s cannot be read; its files stay", repository.repo_id)
        return []
    return sorted(set(names) - wanted)


def _check_same_model(publication: Publication, published: Mapping[str, Any], repo_id: str) -> None:
    prints = published["facts"].get("fingerprints") or {}
    ours = publication.facts["fingerprints"]
    wrong = [name for name in _SAME if prints.get(name) != ours.get(name)]
    texts = [name for name in published["files"] if name.startswith("text_tokenizer/")]
    if any(published["files"][name] != publication.hashes.get(name) for name in texts):
        wrong.append("text_tokenizer")
    if wrong:
        raise HubError(
            "another model is published there, so its catalog alone cannot be changed",
            received=f"{', '.join(wrong)} differ from {repo_id}",
            remedy="publish the whole bundle",
        )


def _license_of(card: Path) -> str | None:
    from huggingface_hub import ModelCard

    fields = ModelCard.load(card).data.to_dict()
    return None if fields.get("base_model") else fields.get("license")


def _dataset_of(results: Path | None) -> str | None:
    if results is None:
        return None
    import yaml

    found = yaml.safe_load(results.read_text(encoding="utf-8"))
    return str(found[0]["dataset"]["id"]) if found else None
