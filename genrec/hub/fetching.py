"""A bundle by its folder or by its name on the hub, as a folder on this machine.

Does not know what is read from it.
"""

from __future__ import annotations

import re
from pathlib import Path

from genrec.artifacts import MANIFEST, read_manifest
from genrec.errors import HubError
from genrec.hub.bundle_facts import bundle_kind, check_file_names
from genrec.hub.client import HubRepository

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def bundle_folder(
    repo_or_folder: str | Path, *, revision: str | None = None, token: str | None = None
) -> Path:
    """The folder of a bundle; of one on the hub a copy in huggingface_hub's cache.

    Of a repository only the files its manifest names are taken, all of one commit.

    Args:
        repo_or_folder: A folder, or `owner/name` on the hub. What exists on this machine is a folder.
        revision: Branch, tag or commit on the hub; None = main.
        token: Of the hub; None = the one that is logged in.

    Raises:
        ArtifactError: A damaged manifest, or one that names files bundles do not hold.
        HubError: No such repository, revision or bundle there, or no connection.
    """
    folder = Path(repo_or_folder)
    name = str(repo_or_folder)
    if folder.exists() or isinstance(repo_or_folder, Path) or not _NAME.fullmatch(name):
        if revision is not None:
            raise HubError(
                "a folder has no revisions",
                received=f"{name}, revision={revision!r}",
                remedy="leave revision out, or give a repository on the hub (owner/name)",
            )
        return folder
    repository = HubRepository(name, token=token)
    commit = repository.resolved(revision)
    manifest = repository.file(MANIFEST, commit)
    if manifest is None:
        raise HubError(
            "this repository holds no genrec bundle",
            received=f"{name} at {revision or 'main'}: no {MANIFEST}",
            remedy="check name and revision; bundles are published with push_to_hub or `genrec publish`",
        )
    bundle_kind(manifest.parent)
    files = read_manifest(manifest.parent)["files"]
    check_file_names(files)
    return repository.download(commit, [*files, MANIFEST])
