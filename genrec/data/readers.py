"""One door to all formats: the name of a file, folder or data set in, raw columns out.

Does not know what a column means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from genrec.data.column import Place
from genrec.data.csv_format import read_csv
from genrec.data.files import FORMATS, check_utf8, file_format, read_bytes
from genrec.data.hub_datasets import read_dataset
from genrec.data.jsonl_format import read_jsonl
from genrec.data.recbole import read_recbole
from genrec.data.source import Source
from genrec.errors import DataError


def read_source(
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    texts: Collection[str] = (),
    encode: bool = False,
) -> Source:
    """Reads any source genrec knows.

    Args:
        source: A file (jsonl, csv, tsv, parquet, RecBole's .item and .inter; each plain or with .gz), a
            folder made by `datasets.Dataset.save_to_disk`, or the name of a data set on the hub.
        columns: Our column name -> the source's.
        split: Split of a data set.
        texts: Our columns whose numbers are wanted as they are written.
        encode: Whether to keep these columns as dictionaries.

    Raises:
        DataError: Whatever is wrong with it, with file and line.
    """
    path = Path(source)
    kind = file_format(path)
    if path.is_dir() or (
        kind is None and not path.exists() and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(source))
    ):
        return read_dataset(source, split).renamed(columns)
    if kind is None:
        raise DataError(
            f"{path.name or path}: cannot tell the format from the name",
            received=str(source),
            remedy=f"end it in {', '.join(FORMATS)} (.gz may follow), or give a folder or name for datasets",
        )
    if split is not None:
        raise DataError("a file has no splits", received=f"split={split!r}", remedy="leave split out")
    names = [(columns or {}).get(name, name) for name in texts]
    return _read_file(path, kind, names, encode).renamed(columns)


def _read_file(path: Path, kind: str, texts: list[str], encode: bool) -> Source:
    data = read_bytes(path)
    if kind == "parquet":
        try:
            table = pyarrow.parquet.read_table(pa.BufferReader(data))
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{path.name} is not a sound parquet file: {error}",
                received=str(path),
                remedy="copy it again",
            ) from error
        return Source.of_table(table, Place(path.name))
    data = check_utf8(data, path.name)
    if kind == "jsonl":
        return read_jsonl(data, path.name, texts=texts)
    encoded = texts if encode else []
    if kind == "recbole":
        return read_recbole(data, path.name, encoded=encoded)
    return read_csv(data, path.name, delimiter="," if kind == "csv" else "\t", encoded=encoded)
