"""Your own copy of a public data set: fetched, cleaned, checked against known bytes, and only then written.

Does not know any data set: the scripts that prepare one say where it lies and how it reads.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import io
import json
import pickle
import sys
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.errors import DataError

TIMEOUT = 120  # seconds
PLAIN = {  # all that a pickle of a dictionary saved by numpy names
    *((module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *(("numpy", name) for name in ("ndarray", "dtype")),
    ("_codecs", "encode"),
    ("collections", "defaultdict"),
    *(("builtins", name) for name in ("dict", "list")),
}


def fetch(address: str) -> bytes:
    """Reads a public file.

    Raises:
        DataError: It cannot be reached.
    """
    sys.stderr.write(f"fetching {address}\n")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
            content: bytes = response.read()
    except OSError as error:
        raise DataError(
            "the source cannot be fetched",
            received=f"{address}: {error}",
            remedy="check the network, try again",
        ) from error
    return content


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in PLAIN:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def plain_mapping(content: bytes) -> dict[str, Any]:
    """The dictionary in a `.npy` file, of which nothing but plain values is unpickled: no code of it is run.

    Raises:
        DataError: The file is no such dictionary, or asks for anything else.
    """
    file = io.BytesIO(content)
    try:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        mapping = _PlainUnpickler(file).load().item()
        if not isinstance(mapping, dict):
            raise TypeError(f"it holds a {type(mapping).__name__}")
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(
            "the source's file is not a dictionary of plain values saved by numpy",
            received=f"{len(content)} bytes, {type(error).__name__}: {error}",
            remedy="do not load it otherwise: a pickle can run code; compare it with the source",
        ) from error
    return mapping


def clean_text(text: str | None) -> str:
    """Undoes HTML entities and collapses white space."""
    return " ".join(html.unescape(text or "").split())


def items_jsonl(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Rows of an item table as uncompressed jsonl; empty values are left out."""
    kept = ({name: value for name, value in row.items() if value} for row in rows)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept).encode()


def interactions_csv(histories: Iterable[tuple[str, Sequence[str]]]) -> bytes:
    """Users and their items, oldest first, as uncompressed csv; the timestamp is the place in the history."""
    lines = [f"{user},{item},{place}\n" for user, history in histories for place, item in enumerate(history)]
    return "".join(["user_id,item_id,timestamp\n", *lines]).encode()


def write_known(folder: Path, files: Mapping[str, bytes], sha256: Mapping[str, str]) -> list[Path]:
    """Writes each file as `<name>.gz` if the bytes of all of them are the known ones, else none.

    Args:
        folder: Where they go; made where it is missing.
        files: File name to uncompressed bytes.
        sha256: File name to the digest of these bytes, in hexadecimal.

    Raises:
        DataError: A file is not what it should be; nothing was written.
    """
    changed = [name for name in files if hashlib.sha256(files[name]).hexdigest() != sha256[name]]
    if changed:
        lines = ", ".join(f"{name}: {len(content.splitlines())} lines" for name, content in files.items())
        raise DataError(
            "what was fetched is not what the recipe's numbers were made with",
            received=f"{lines}; changed: {', '.join(changed)}",
            remedy="nothing was written; compare the source with the commit that the script names",
        )
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in files.items():
        path = folder / f"{name}.gz"
        path.write_bytes(gzip.compress(content, mtime=0))
        written.append(path)
    return written
