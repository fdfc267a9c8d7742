"""Folders saved whole or not at all, with a manifest that tells a changed byte.

It does not know what is inside an artefact.
"""

import contextlib
import errno
import json
import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genrec.artifacts.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    Migrations,
    as_text,
    file_sha256,
    manifest_text,
    read_manifest,
)
from genrec.config import atomic_write_text, fingerprint, to_mapping
from genrec.errors import ArtifactError

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def saved_artifact(
    folder: str | Path, *, kind: str, facts: Mapping[str, object] | None = None
) -> Iterator[Path]:
    """Fill a temporary folder beside ``folder``, then put it in place in one step.

    On a clean exit every file is hashed into ``manifest.json`` and written through to the disk, and the
    temporary folder is renamed to ``folder``; an artefact of the same kind that stood there is kept until
    then and removed afterwards. On an error the temporary folder is removed and nothing changes.
    A run that is killed leaves the old artefact; what it had begun is cleared by the next save.

    Args:
        folder: Where the artefact will lie.
        kind: What it is, e.g. ``"catalog"``; `open_artifact` asks for the same word.
        facts: Plain values for the manifest. They are read on exit, so a dict may be filled inside the block.

    Yields:
        The temporary folder, empty.

    Raises:
        ArtifactError: ``folder`` is a file, or holds files but no artefact of this kind (it would be
            deleted), or the block wrote a ``manifest.json`` of its own at the top.
    """
    folder = Path(os.path.abspath(folder))
    _recover(folder)
    _refuse_foreign(folder, kind)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    lock = _lock(temporary)
    try:
        yield temporary
        _write_manifest(temporary, kind, facts or {})
        _sync_tree(temporary)
        _put_in_place(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)


@contextlib.contextmanager
def appended_artifact(folder: str | Path, *, kind: str, facts: Mapping[str, object]) -> Iterator[Path]:
    """Add files to a saved artefact; the files it has are neither read nor written again.

    The manifest is replaced last, in one step: a run that is killed before leaves the artefact as it was.

    Args:
        folder: The artefact.
        kind: Its kind.
        facts: Facts that are added to, or replace, those in the manifest; read on exit.

    Yields:
        A temporary folder, empty, for the new files.

    Raises:
        ArtifactError: No artefact of this kind, one that is part of another artefact (whose manifest it would
            break), one that another process is writing, or a new file with an old one's name.
    """
    folder = Path(os.path.abspath(folder))
    open_artifact(folder, kind=kind, verify=False)
    _refuse_part(folder, kind)
    lock = _lock(folder)
    if lock is None and sys.platform != "win32":
        raise ArtifactError(f"another process is writing {folder}", remedy="wait for it, then try again")
    for left in folder.glob(".*.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = folder / f".{secrets.token_hex(4)}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        manifest = read_manifest(folder)
        names = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
        for name in names:
            if name.as_posix() in manifest["files"]:
                raise ArtifactError(f"{folder} has a file {name} already", remedy="give it another name")
        added = {name.as_posix(): file_sha256(temporary / name) for name in names}
        _sync_tree(temporary)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary / name, folder / name)
        _sync_tree(folder, files=False)
        content = {key: value for key, value in manifest.items() if key != "digest"}
        content |= {"facts": content["facts"] | to_mapping(facts), "files": content["files"] | added}
        atomic_write_text(folder / MANIFEST, as_text(content | {"digest": fingerprint(content)}))
        _sync(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def open_artifact(
    folder: str | Path, *, kind: str, verify: bool = True, migrations: Migrations | None = None
) -> dict[str, Any]:
    """Check a saved artefact and return its facts.

    Args:
        folder: The artefact.
        kind: The kind it must be.
        verify: Hash every file and compare. With False only the manifest and the files' presence are checked.
        migrations: What brings facts of an older format up to date.

    Raises:
        ArtifactError: The folder or its manifest is missing, the manifest was altered or is of another kind
            or format version, or a file is missing or differs from what was saved (the file is named).
    """
    folder = Path(folder)
    _recover(Path(os.path.abspath(folder)))
    manifest = read_manifest(folder)
    if manifest["kind"] != kind:
        raise ArtifactError(
            f"{folder} is not a {kind}",
            received=f"a {manifest['kind']}",
            remedy=f"give the folder of a {kind}",
        )
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(
                f"{path} is missing from the {kind}", remedy="copy the whole folder again, or make it anew"
            )
        if verify:
            received = file_sha256(path)
            if received != expected:
                raise ArtifactError(
                    f"{path} is not the file that was saved",
                    received=f"sha256 {received}, manifest says {expected}",
                    remedy="copy the whole folder again, or make it anew",
                )
    facts: dict[str, Any] = manifest["facts"]
    for version in range(manifest["format_version"], FORMAT_VERSION):
        facts = (migrations or {}).get(version, dict)(facts)
    return facts


def has_artifact(folder: str | Path, kind: str, facts: Mapping[str, object] | None = None) -> bool:
    """Tell whether a complete artefact of this kind is there, with these facts (other facts may differ).

    Files are not hashed; loading the artefact does that.
    """
    try:
        stored = open_artifact(folder, kind=kind, verify=False)
    except ArtifactError:
        return False
    wanted = to_mapping(facts or {})
    return all(name in stored and stored[name] == value for name, value in wanted.items())


def _write_manifest(folder: Path, kind: str, facts: Mapping[str, object]) -> None:
    if (folder / MANIFEST).exists():
        raise ArtifactError(
            f"the {kind} holds a {MANIFEST} of its own", remedy="save it under another name or in a subfolder"
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): file_sha256(path) for path in paths}
    atomic_write_text(folder / MANIFEST, manifest_text(kind, facts, files))


def _refuse_foreign(folder: Path, kind: str) -> None:
    """Refuse to replace what this kind of artefact did not make."""
    remedy = "choose another folder, or remove this one yourself"
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is a file, so no {kind} can be saved there", remedy=remedy)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(f"{folder} holds files but no artefact; they would be lost", remedy=remedy)
    try:
        found = json.loads((folder / MANIFEST).read_bytes())["kind"]
    except (ValueError, KeyError, TypeError):
        return  # a damaged manifest: replacing the folder is the cure
    if found != kind:
        raise ArtifactError(f"{folder} holds a {found}, not a {kind}; it would be lost", remedy=remedy)


def _refuse_part(folder: Path, kind: str) -> None:
    """Refuse to change what the manifest of an enclosing artefact has hashed."""
    for above in folder.parents:
        files: dict[str, str] = {}
        with contextlib.suppress(ArtifactError):  # a manifest.json of something else hashes nothing of ours
            files = read_manifest(above)["files"] if (above / MANIFEST).is_file() else {}
        if (folder / MANIFEST).relative_to(above).as_posix() in files:
            raise ArtifactError(
                f"{folder} is a part of {above}, which holds a hash of every file in it",
                remedy=f"save the {kind} in a folder of its own, or save the whole again",
            )


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


def _recover(folder: Path) -> None:
    """Bring back the old artefact when a run was killed between the two renames of `_put_in_place`."""
    if not folder.exists() and (_previous(folder) / MANIFEST).is_file():
        with contextlib.suppress(OSError):
            os.rename(_previous(folder), folder)
            logger.warning("%s was being replaced when a run was killed; the old one is back", folder)


def _put_in_place(temporary: Path, folder: Path) -> None:
    previous = _previous(folder)
    for attempts_left in (2, 1, 0):
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            os.rename(folder, previous)
        try:
            os.rename(temporary, folder)
            break
        except OSError as error:
            # Another process found the gap between the renames and recovered the old folder: go again.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not attempts_left:
                _recover(folder)
                raise
    _sync(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _lock(folder: Path) -> int | None:
    """Hold a lock on a folder until the descriptor is closed or the process dies; None if it is taken."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary folders that killed runs left behind; one that is being written is locked."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}\.tmp")
    for path in folder.parent.iterdir():
        if pattern.fullmatch(path.name) and path.is_dir():
            lock = _lock(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _sync_tree(folder: Path, *, files: bool = True) -> None:
    for path in [*folder.rglob("*"), folder]:
        if files or path.is_dir():
            _sync(path)


def _sync(path: Path) -> None:
    """Write a file or a folder through to the disk, as far as the system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        logger.debug("fsync of %s: %s", path, error)
    finally:
        os.close(descriptor)
