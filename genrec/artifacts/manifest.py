"""The manifest of a saved folder: format version, kind, facts, and a sha256 of every file.

It does not know how folders are written.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from genrec.config import fingerprint, to_mapping
from genrec.errors import ArtifactError

FORMAT_VERSION = 2
READABLE = (1, FORMAT_VERSION)  # the format before is read, too
MANIFEST = "manifest.json"

# An older format version -> what brings its facts up to the next one; a kind whose facts did not change has
# none.
Migrations = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]


def file_sha256(path: str | Path) -> str:
    """Give the sha256 (64 hex digits) of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest_text(kind: str, facts: Mapping[str, object], files: Mapping[str, str]) -> str:
    """Give the manifest of an artefact that is put together elsewhere than in a folder.

    Args:
        kind: What it is.
        facts: Plain values.
        files: Path in the artefact -> sha256 (64 hex digits).
    """
    manifest = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "facts": to_mapping(facts),
        "files": dict(files),
    }
    return as_text(manifest | {"digest": fingerprint(manifest)})


def as_text(manifest: Mapping[str, object]) -> str:
    """Give the one form a manifest is written in, digest and all."""
    return json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Read and check a manifest: `format_version`, `kind`, `facts` and `files` (path -> sha256).

    Raises:
        ArtifactError: As for `open_artifact`; the files themselves are not looked at.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    altered = "copy the whole folder again, or make it anew"
    if not folder.is_dir():
        raise ArtifactError(
            f"there is no folder {folder}", remedy="check the path, or run the stage that makes it"
        )
    try:
        text = path.read_bytes().decode("utf-8")
        manifest = json.loads(text)
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read ({error.strerror}), so {folder} is not a saved artefact",
            remedy="check the path; a copy must carry every file",
        ) from error
    except ValueError as error:
        raise ArtifactError(f"{path} is not valid JSON: {error}", remedy=altered) from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version not in READABLE or isinstance(version, bool):
        raise ArtifactError(
            f"{path} has an unknown format version",
            received=repr(version),
            remedy=f"this version of genrec reads formats {READABLE[0]} to {FORMAT_VERSION}; use the one "
            "that saved the folder",
        )
    content = {name: value for name, value in manifest.items() if name != "digest"}
    shapes = {"format_version": int, "kind": str, "facts": dict, "files": dict}
    whole = content.keys() == shapes.keys() and all(
        isinstance(content[name], shapes[name]) for name in shapes
    )
    if not whole or manifest.get("digest") != fingerprint(content) or as_text(manifest) != text:
        raise ArtifactError(f"{path} is not the manifest that was saved", remedy=altered)
    for name in content["files"]:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ArtifactError(f"{path} names a file outside its folder", received=name, remedy=altered)
    return content
