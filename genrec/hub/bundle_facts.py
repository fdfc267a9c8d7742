"""What the manifest of a bundle says: fingerprints, base, versions; and how an older format is read.

Does not know what is done with a bundle's parts, nor any recommender.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from genrec.artifacts import Migrations, file_sha256, open_artifact, read_manifest
from genrec.config import fingerprint
from genrec.errors import ArtifactError, GenRecError

LANGUAGE_MODEL = "bundle"  # kinds in the manifest
ITEM_LEVEL = "item_level_bundle"
KINDS = (LANGUAGE_MODEL, ITEM_LEVEL)

ITEMS_FILE = "items.parquet"
# Formats that hold data only. Nothing else is taken from a bundle, so no pickle and no code ever is.
SUFFIXES = frozenset({".safetensors", ".json", ".parquet", ".yaml", ".npy", ".txt", ".jinja", ".md"})
# Folders whose reader looks for files by itself: there nothing may lie that the manifest does not name.
CLOSED_FOLDERS = ("model", "text_tokenizer")

_PACKAGES = ("genrec-toolkit", "torch", "transformers", "tokenizers", "peft")
_PARTS = ("catalog", "vocabulary", "items")  # fingerprints that format 1 kept at the top


def versions() -> dict[str, str]:
    """Versions of the packages a bundle is written with."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def weights_digest(files: Mapping[str, str]) -> str:
    """Digest of the weights in `model/`.

    Args:
        files: Path in the bundle -> sha256, as the manifest has them.
    """
    return fingerprint(
        {
            name: sha
            for name, sha in files.items()
            if name.startswith("model/") and name.endswith(".safetensors")
        }
    )


def saved_weights_digest(folder: Path) -> str:
    """The same of a bundle that is being written."""
    paths = [path for path in (folder / "model").rglob("*.safetensors") if path.is_file()]
    return weights_digest({path.relative_to(folder).as_posix(): file_sha256(path) for path in paths})


def _from_format_1(facts: dict[str, Any]) -> dict[str, Any]:
    """Fingerprints stood at the top; nothing was said of weights, versions, kept columns or origin.

    A base's digest under other quantisations was not kept: of a quantised base it is the one there is.
    """
    facts = dict(facts)
    prints = {name: facts.pop(name) for name in _PARTS if name in facts}
    base = facts.get("base")
    if isinstance(base, dict):
        kept = base.get("digest", "") if base.get("quantization") else ""
        facts["base"] = {**base, "kept_digest": kept}
    return {**facts, "fingerprints": prints, "items_kept": "all", "versions": {}, "derived_from": None}


MIGRATIONS: Migrations = {1: _from_format_1}


def bundle_kind(folder: str | Path) -> str:
    """Which kind of bundle a folder holds.

    Raises:
        ArtifactError: None at all, or a damaged manifest.
    """
    kind: str = read_manifest(folder)["kind"]
    if kind not in KINDS:
        raise ArtifactError(
            f"{folder} is no bundle",
            received=f"a {kind}",
            remedy="give the folder that `genrec align` named, such as outputs/quickstart/bundle",
        )
    return kind


def open_bundle(folder: str | Path, *, kind: str) -> dict[str, Any]:
    """Checks every file of a bundle and returns its facts in today's form.

    Raises:
        ArtifactError: A missing or changed file, a file of a kind bundles do not hold, one that was put in
            afterwards, another kind of folder, or a format that is not read.
    """
    folder = Path(folder)
    facts = open_artifact(folder, kind=kind, migrations=MIGRATIONS)
    files = read_manifest(folder)["files"]
    check_file_names(files)
    for closed in CLOSED_FOLDERS:
        for path in sorted((folder / closed).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in files:
                raise ArtifactError(
                    f"{path} was put into the bundle after it was saved",
                    received=name,
                    remedy="take it out, or save the recommender again with save_pretrained",
                )
    prints = facts.get("fingerprints")
    if not isinstance(prints, dict):
        raise ArtifactError(
            f"the manifest of {folder} has no fingerprints of the bundle's parts",
            received=", ".join(sorted(facts)),
            remedy="save the recommender again with save_pretrained",
        )
    check_parts(folder, facts, {"weights": weights_digest(files)} if "weights" in prints else {})
    return facts


@contextlib.contextmanager
def readable(folder: str | Path) -> Iterator[None]:
    """Turns whatever the readers of a bundle's parts raise into an `ArtifactError`.

    A manifest can be right about files that make no sense; tokenizers, safetensors and transformers then
    raise what they like. genrec's own errors, a missing package and a lack of memory pass through.
    """
    try:
        yield
    except (GenRecError, ImportError, MemoryError):
        raise
    except Exception as error:
        lines = str(error).splitlines() or [""]
        raise ArtifactError(
            f"{folder} holds a part that cannot be read",
            received=f"{type(error).__name__}: {lines[0][:200]}",
            remedy="save the recommender again with save_pretrained",
        ) from error


def check_file_names(files: Mapping[str, str]) -> None:
    """Refuses files that could hold more than data.

    Raises:
        ArtifactError: One has a suffix that bundles do not have.
    """
    for name in files:
        if PurePosixPath(name).suffix not in SUFFIXES:
            raise ArtifactError(
                "a bundle holds safetensors, JSON, parquet, YAML, npy and texts only",
                received=name,
                remedy="save the recommender again with save_pretrained",
            )


def check_parts(folder: str | Path, facts: Mapping[str, Any], found: Mapping[str, object]) -> None:
    """Compares fingerprints of parts with those in the manifest.

    Args:
        folder: For the error.
        facts: Of `open_bundle`.
        found: Name of a part -> its fingerprint as it was read.

    Raises:
        ArtifactError: Some differ; they are named.
    """
    wrong = [name for name, value in found.items() if facts["fingerprints"].get(name) != value]
    if wrong:
        raise ArtifactError(
            "the parts of the bundle do not belong together",
            received=f"{', '.join(wrong)} differ from the manifest of {folder}",
            remedy="save the recommender again with save_pretrained",
        )
