"""Readers and writers (first version)."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_source(source: str | Path, columns: Mapping[str, str] | None) -> pa.Table:
    """Reads a table."""
    path = Path(source)
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        table = pa.Table.from_pylist([json.loads(line) for line in data.decode().split("\n") if line])
    elif name.endswith(".parquet"):
        table = pq.read_table(pa.BufferReader(data))
    else:
        table = pa.Table.from_pylist(list(csv.DictReader(io.StringIO(data.decode(), newline=""))))
    ours = {theirs: our for our, theirs in (columns or {}).items()}
    return table.rename_columns([ours.get(n, n) for n in table.column_names])


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        data = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in table.to_pylist()).encode()
    elif name.endswith(".parquet"):
        sink = io.BytesIO()
        pq.write_table(table, sink)
        data = sink.getvalue()
    else:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, table.column_names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.to_pylist())
        data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
