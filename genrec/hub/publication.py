"""What of a bundle is published: its files, some of them reduced, under a manifest of their own.

Does not know the hub. The bundle's own folder is only read; weights are not copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import pyarrow as pa

from genrec.artifacts import MANIFEST, file_sha256, manifest_text, read_manifest
from genrec.catalog import Catalog
from genrec.config import read_yaml, write_yaml
from genrec.data import ItemTable
from genrec.errors import HubError
from genrec.hub.bundle_facts import ITEMS_FILE, bundle_kind, open_bundle, weights_digest

ItemColumns = Literal["all", "titles", "ids"]
LOCAL_ENDPOINT = "http://localhost:8000/v1"  # in place of the publisher's own
_LESS = {"all": 2, "titles": 1, "ids": 0}


@dataclass(frozen=True)
class Publication:
    """Files to be published.

    Attributes:
        kind: Kind of the bundle.
        facts: Of the manifest.
        files: Path in the repository -> where it is read from; the manifest among them.
        hashes: Path -> sha256 of every file the manifest names.
        manifest: Its text.
    """

    kind: str
    facts: dict[str, Any]
    files: dict[str, Path | bytes]
    hashes: dict[str, str]
    manifest: str

    @property
    def has_texts(self) -> bool:
        """Whether texts of items are in it."""
        return bool(self.facts["items_kept"] != "ids")


def prepare(folder: str | Path, staging: Path, items: ItemColumns = "all") -> Publication:
    """Checks a bundle and says what of it is published.

    Args:
        folder: The bundle.
        staging: An empty folder for files that are published in another form: the reduced item table, and the
            recipe without paths of this machine.
        items: Which columns of the item table go along. With "ids" the item tokenizer stays here, too: its
            encoder keeps words of the texts.

    Raises:
        ArtifactError: A damaged bundle.
        HubError: More columns are asked for than the bundle has, or its adapters stand on a folder of this
            machine.
    """
    folder = Path(folder)
    if items not in get_args(ItemColumns):
        raise HubError(
            "unknown choice of item columns", received=repr(items), remedy="use 'all', 'titles' or 'ids'"
        )
    kind = bundle_kind(folder)
    facts = dict(open_bundle(folder, kind=kind))
    _check_base(facts)
    before = facts.get("items_kept", "all")
    if _LESS[items] > _LESS.get(before, 2):
        raise HubError(
            "the bundle's item table was reduced before",
            received=f"items={items!r}, the bundle holds {before!r}",
            remedy=f"publish it with items={before!r}, or from the bundle that has all columns",
        )
    facts["items_kept"] = items
    hashes = dict(read_manifest(folder)["files"])
    files: dict[str, Path | bytes] = {name: folder / name for name in hashes}
    if items == "ids":
        facts["item_tokenizer"] = False
        for name in [name for name in hashes if name.startswith("item_tokenizer/")]:
            del hashes[name], files[name]
    prints = dict(facts["fingerprints"])
    if items != before:
        reduced = _reduced(ItemTable.read(folder / ITEMS_FILE), items)
        reduced.write(staging / ITEMS_FILE)
        prints["items"] = reduced.fingerprint()
        _replace(ITEMS_FILE, staging, files, hashes)
    Catalog.load(folder / "catalog").trie.save(staging / "trie")
    for path in (staging / "trie").iterdir():
        _replace(f"trie/{path.name}", staging, files, hashes)
    write_yaml(staging / "recipe.yaml", without_paths(read_yaml(folder / "recipe.yaml")))
    _replace("recipe.yaml", staging, files, hashes)
    facts["fingerprints"] = prints | {"weights": weights_digest(hashes)}
    text = manifest_text(kind, facts, hashes)
    files[MANIFEST] = text.encode("utf-8")
    return Publication(kind, facts, files, hashes, text)


def _replace(name: str, staging: Path, files: dict[str, Path | bytes], hashes: dict[str, str]) -> None:
    files[name], hashes[name] = staging / name, file_sha256(staging / name)


def _reduced(items: ItemTable, kept: str) -> ItemTable:
    ids = items.table.column("item_id")
    titles = items.table.column("title") if kept == "titles" else pa.array([""] * len(items), pa.string())
    return ItemTable(pa.table({"item_id": ids, "title": titles}))


def _check_base(facts: Mapping[str, Any]) -> None:
    base = facts.get("base")
    if not isinstance(base, Mapping):
        return
    name = str(base.get("name", ""))
    path = Path(name)
    if path.is_absolute() or path.exists() or len(PurePosixPath(name).parts) > 2:
        raise HubError(
            "the adapters stand on a base in a folder of this machine, so nobody else could load them",
            received=name,
            remedy="train on the base by its name on the hub (model.base=OWNER/NAME), or publish a merged "
            "model: genrec.training.merge",
        )


def without_paths(value: Any) -> Any:
    """A recipe without paths of this machine: of an absolute one, or of one through `..`, the name stays."""
    if isinstance(value, Mapping):
        return {
            key: LOCAL_ENDPOINT if key == "base_url" else without_paths(one) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_paths(one) for one in value]
    if isinstance(value, str) and "\n" not in value:
        path = PurePosixPath(value)
        windows = len(value) > 2 and value[1] == ":" and value[2] in "\\/"
        if windows or path.is_absolute() or value.startswith("~") or ".." in path.parts:
            return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value
