"""Plain documents from text files and from a column of tables.

Does not know what they are read for.
"""

from __future__ import annotations

from pathlib import Path

from genrec.data.files import check_utf8, read_bytes
from genrec.data.readers import read_source
from genrec.data.values import text_values
from genrec.errors import DataError

TEXT_SUFFIXES = (".txt", ".md")


def read_texts(source: str | Path, *, column: str = "text", split: str | None = None) -> list[str]:
    """Reads documents.

    Args:
        source: A text file (`.txt`, `.md`, with `.gz` behind it or not), which is one document; or any source
            of `ItemTable.read`, in which each row is one.
        column: The column of a table that holds the documents.
        split: The split of a data set that has several.

    Raises:
        DataError: Whatever is wrong, with file, line and column.
    """
    path = Path(source)
    if path.name.lower().removesuffix(".gz").endswith(TEXT_SUFFIXES):
        if split is not None:
            raise DataError("a file has no splits", received=f"split={split!r}", remedy="leave split out")
        return [str(check_utf8(read_bytes(path), path.name), "utf-8")]
    table = read_source(source, split=split, texts=(column,))
    table.require(column)
    texts: list[str] = text_values(table.columns[column]).to_pylist()
    return texts
