"""Folders saved whole or not at all, with a manifest that tells a changed byte; files that come with genrec.

It does not know what is inside an artefact.
"""

from genrec.artifacts.folders import appended_artifact, has_artifact, open_artifact, saved_artifact
from genrec.artifacts.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    Migrations,
    file_sha256,
    manifest_text,
    read_manifest,
)
from genrec.artifacts.shipped_files import data_folder, named_file
from genrec.config import atomic_write_text

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "Migrations",
    "appended_artifact",
    "atomic_write_text",
    "data_folder",
    "file_sha256",
    "has_artifact",
    "manifest_text",
    "named_file",
    "open_artifact",
    "read_manifest",
    "saved_artifact",
]
