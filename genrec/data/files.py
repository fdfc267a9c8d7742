"""Bytes in and bytes out: formats by suffix, gzip, UTF-8, and files that appear whole or not at all.

Does not know columns.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from genrec.errors import DataError

FORMATS = {
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".item": "recbole",
    ".inter": "recbole",
}


def file_format(path: Path) -> str | None:
    """Returns the format a file's name says (`.gz` aside), None where it says none."""
    return FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def format_to_write(path: Path) -> str:
    """Returns the format of a file to write.

    Raises:
        DataError: The name ends in none of the known suffixes.
    """
    known = file_format(path)
    if known is None:
        raise DataError(
            "the name does not say which format to write",
            received=str(path),
            remedy=f"end it in one of {', '.join(FORMATS)}, with .gz behind it or not",
        )
    return known


def read_bytes(path: Path, *, may_be_empty: bool = False) -> pa.Buffer:
    """Reads a file, unpacked where it ends in `.gz`, memory-mapped where it does not.

    Args:
        path: The file.
        may_be_empty: Whether a file without content is one too.

    Raises:
        DataError: The file is missing or cannot be read, is empty and may not be, or its gzip stream is cut
            off or damaged.
    """
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as stream:
                data = pa.py_buffer(stream.read())
        elif path.stat().st_size:
            with pa.memory_map(str(path)) as mapped:
                data = mapped.read_buffer()
        else:
            data = pa.py_buffer(b"")
    except FileNotFoundError as error:
        raise DataError("there is no such file", received=str(path), remedy="check the path") from error
    except EOFError as error:
        raise DataError(
            f"{path.name} is cut off: its gzip stream has no end", received=str(path), remedy="copy it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path.name} is not a sound gzip file: {error}",
            received=str(path),
            remedy="copy it again, or take .gz off its name if it is not packed",
        ) from error
    except OSError as error:
        raise DataError(
            f"{path.name} cannot be read: {error.strerror or error}",
            received=str(path),
            remedy="check the path",
        ) from error
    if not data.size and not may_be_empty:
        raise DataError(f"{path.name} is empty", received=str(path), remedy="check how it was written")
    return data


def check_utf8(data: pa.Buffer, name: str) -> pa.Buffer:
    """Returns the bytes of a text without its byte-order mark.

    Raises:
        DataError: A byte that is not UTF-8, with its line and its offset in the (unpacked) file.
    """
    span = pa.py_buffer(np.array([0, data.size], dtype=np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, span, data).validate(full=True)
    except pa.ArrowInvalid:
        raw = data.to_pybytes()
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{name}, line {line}: a byte that is not UTF-8, at byte {error.start} of the file",
                received=f"{raw[max(0, error.start - 20) : error.start + 20]!r}",
                remedy="save the file as UTF-8",
            ) from None
        raise
    return data.slice(3) if bytes(memoryview(data)[:3]) == codecs.BOM_UTF8 else data


@contextlib.contextmanager
def written_file(path: Path) -> Iterator[BinaryIO]:
    """Yields a stream to write to; the file takes its place in one step when all is written.

    Names that end in `.gz` are packed, with no time stamp inside: the same content gives the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            if path.name.lower().endswith(".gz"):
                with gzip.GzipFile(
                    filename="", mode="wb", fileobj=stream, mtime=0, compresslevel=6
                ) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
