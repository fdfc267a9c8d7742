"""Lists of many users as one file, joined from parts without holding more than one of them.

Does not know how lists are made.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genrec.data.files import written_file
from genrec.errors import DataError

SUFFIXES = (".parquet", ".jsonl", ".csv")
SCHEMA = pa.schema(
    [("user_id", pa.string()), ("item_ids", pa.list_(pa.string())), ("scores", pa.list_(pa.float32()))]
)


def answer_format(path: Path) -> str:
    """The format a name says, `.gz` aside.

    Raises:
        DataError: It says none that is written.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in SUFFIXES or (suffix == ".parquet" and path.suffix == ".gz"):
        raise DataError(
            "the name does not say which format to write",
            received=str(path),
            remedy=f"end it in one of {', '.join(SUFFIXES)}, the texts with .gz behind it or not",
        )
    return suffix


def write_part(path: Path, user_ids: Sequence[str], lists: Sequence[Sequence[tuple[str, float]]]) -> None:
    """Writes the lists of some users as parquet, whole or not at all.

    Args:
        path: The file.
        user_ids: One a list.
        lists: Item id and score, best first.
    """
    items = [[item for item, _ in one] for one in lists]
    scores = [np.array([score for _, score in one], dtype=np.float32) for one in lists]
    table = pa.table({"user_id": list(user_ids), "item_ids": items, "scores": scores}, schema=SCHEMA)
    with written_file(path) as stream:
        pq.write_table(table, stream, compression="zstd")


def join_parts(parts: Sequence[Path], path: Path) -> int:
    """Writes one file of all parts, in their order; it is there whole or not at all.

    - `.parquet` and `.jsonl`: a row a user, with `user_id`, `item_ids` and `scores`, best first.
    - `.csv`: a row an item, with `user_id`, `rank` (from 1), `item_id` and `score`.

    Returns:
        Number of users.
    """
    join: Callable[[Iterator[pa.Table], BinaryIO], int]
    join = {".parquet": _parquet, ".jsonl": _jsonl, ".csv": _csv}[answer_format(path)]
    with written_file(path) as stream:
        return join((pq.read_table(part, schema=SCHEMA) for part in parts), stream)


def _parquet(tables: Iterator[pa.Table], stream: BinaryIO) -> int:
    count = 0
    with pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(len(table), 1))
            count += len(table)
    return count


def _jsonl(tables: Iterator[pa.Table], stream: BinaryIO) -> int:
    count = 0
    for table in tables:
        for row in _rows(table):
            line = json.dumps({"user_id": row[0], "item_ids": row[1], "scores": row[2]}, ensure_ascii=False)
            stream.write(line.encode("utf-8") + b"\n")
            count += 1
    return count


def _csv(tables: Iterator[pa.Table], stream: BinaryIO) -> int:
    count = 0
    stream.write(b"user_id,rank,item_id,score\n")
    for table in tables:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        for user, items, scores in _rows(table):
            ranked = zip(items, scores, strict=True)
            writer.writerows((user, rank, item, score) for rank, (item, score) in enumerate(ranked, start=1))
            count += 1
        stream.write(text.getvalue().encode("utf-8"))
    return count


def _rows(table: pa.Table) -> Iterator[tuple[str, list[str], list[float]]]:
    """Rows with scores as the shortest decimals that give the same float32."""
    columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    for user, items, scores in zip(*columns, strict=True):
        yield user, items, [float(str(np.float32(score))) for score in scores]
