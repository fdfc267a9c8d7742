"""`SearchTask`: a corpus, queries and graded judgments, in BEIR's layout or from one table each.

Does not know who ranks, or metrics.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from genrec.data.canonical import json_bytes
from genrec.data.column import Column
from genrec.data.files import written_file
from genrec.data.items import ItemTable
from genrec.data.quantities import number_values
from genrec.data.readers import read_source
from genrec.data.source import Source
from genrec.data.values import text_values
from genrec.errors import DataError

Judgments = Mapping[str, Mapping[str, int]]

CORPUS_COLUMNS = {"item_id": "_id", "description": "text"}
QUERY_COLUMNS = {"query_id": "_id", "query": "text"}
QRELS_COLUMNS = {"query_id": "query-id", "item_id": "corpus-id", "relevance": "score"}


@dataclass(frozen=True)
class SearchTask:
    """What is asked of a `QueryRanker`, and which items answer it.

    Attributes:
        corpus: The items that may be found. BEIR's `_id`, `title` and `text` are `item_id`, `title` and
            `description`.
        queries: Query id -> text.
        qrels: Split (`train`, `dev`, `test`) -> query id -> item id -> grade. A grade above 0 is relevant,
            the higher the more; 0 and below were judged and are not.

    Raises:
        DataError: A judgment of a query or an item that is not there.
    """

    corpus: ItemTable
    queries: Mapping[str, str]
    qrels: Mapping[str, Judgments]

    def __post_init__(self) -> None:
        """Checks that every judgment has its query and its item."""
        for split, judgments in self.qrels.items():
            for query, grades in judgments.items():
                strangers = [item for item in grades if item not in self.corpus]
                if query not in self.queries or strangers:
                    raise DataError(
                        f"a judgment of the split {split!r} names what is not there",
                        received=f"query {query!r}"
                        if query not in self.queries
                        else f"item {strangers[0]!r} of query {query!r}",
                        remedy="add it to the queries or the corpus, or take its judgments out",
                    )

    @classmethod
    def read(cls, folder: str | Path) -> SearchTask:
        """Reads BEIR's layout: `corpus.jsonl`, `queries.jsonl` and `qrels/*.tsv`, each plain or with `.gz`.

        The corpus holds `_id`, `text` and optionally `title` and `metadata`; the queries `_id` and `text`;
        each `qrels/<split>.tsv` the columns `query-id`, `corpus-id` and `score`, with that header.

        Raises:
            DataError: A file is missing or wrong, with file, line and column.
        """
        folder = Path(folder)
        splits: dict[str, Path] = {}
        for path in sorted([*folder.glob("qrels/*.tsv"), *folder.glob("qrels/*.tsv.gz")]):
            splits.setdefault(path.name.removesuffix(".gz").removesuffix(".tsv"), path)
        if not splits:
            raise DataError(
                f"{folder} has no judgments",
                received="no qrels/*.tsv",
                remedy="put them into qrels/test.tsv, with the columns query-id, corpus-id and score",
            )
        return cls(
            _corpus(_packed(folder / "corpus.jsonl")),
            _queries(_packed(folder / "queries.jsonl"), QUERY_COLUMNS),
            {split: _judgments(path, QRELS_COLUMNS) for split, path in splits.items()},
        )

    @classmethod
    def from_files(
        cls, corpus: str | Path, queries: str | Path, qrels: Mapping[str, str | Path]
    ) -> SearchTask:
        """Reads an item table, a table of `query_id` and `query`, and a table of judgments a split.

        Args:
            corpus: As in `ItemTable.read`.
            queries: Any format that `ItemTable.read` takes.
            qrels: Split -> table with `query_id`, `item_id` and `relevance`.

        Raises:
            DataError: Whatever is wrong, with file, line and column.
        """
        tables = {split: _judgments(path, {}) for split, path in qrels.items()}
        return cls(ItemTable.read(corpus), _queries(queries, {}), tables)

    def write(self, folder: str | Path) -> None:
        """Writes BEIR's layout; reading it back gives the same queries, judgments, ids and texts.

        Columns that BEIR does not know go into its `metadata`; a split without a judgment has no file.
        """
        folder = Path(folder)
        rows = self.corpus.table.to_pylist()
        _write_lines(folder / "corpus.jsonl", (json.dumps(_document(row), default=str) for row in rows))
        texts = ({"_id": query, "text": text} for query, text in self.queries.items())
        _write_lines(folder / "queries.jsonl", map(json.dumps, texts))
        for split, judgments in self.qrels.items():
            if not any(judgments.values()):  # a file without a row is refused when it is read
                continue
            _write_lines(folder / "qrels" / f"{split}.tsv", _judgment_lines(judgments))

    def judged(self, split: str = "test") -> list[str]:
        """Ids of the split's queries that have a relevant item, in the order of the judgments.

        Raises:
            DataError: There is no such split.
        """
        if split not in self.qrels:
            raise DataError(
                "the task has no such split",
                received=repr(split),
                remedy=f"choose one of {', '.join(self.qrels)}",
            )
        return [query for query, grades in self.qrels[split].items() if max(grades.values(), default=0) > 0]

    def fingerprint(self, split: str = "test") -> str:
        """Returns a sha256 (64 hex digits) of the judged queries and their judgments, in whatever order."""
        qrels = self.qrels[split]
        rows = [[query, self.queries[query], sorted(qrels[query].items())] for query in self.judged(split)]
        digests = sorted(hashlib.sha256(json_bytes(row)).digest() for row in rows)
        return hashlib.sha256(b"".join(digests)).hexdigest()


def _packed(path: Path) -> Path:
    """The file, or its packed form where only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.exists() and not path.exists() else path


def _corpus(path: Path) -> ItemTable:
    source = read_source(path, columns=CORPUS_COLUMNS, texts=("item_id", "title", "description"))
    if "title" not in source.columns:
        rows = len(source.columns["item_id"].values)
        source.columns["title"] = Column("title", [""] * rows, source.place)
    metadata = source.columns.get("metadata")
    if metadata is not None and not any(metadata.python()):
        del source.columns["metadata"]  # BEIR writes an empty object a line
    return ItemTable.from_source(source)


def _queries(path: str | Path, columns: Mapping[str, str]) -> dict[str, str]:
    source = read_source(path, columns=columns, texts=("query_id", "query"))
    source.require("query_id", "query")
    ids, texts = (_texts(source, name) for name in ("query_id", "query"))
    queries: dict[str, str] = {}
    for row, (query, text) in enumerate(zip(ids, texts, strict=True)):
        if query in queries:
            source.columns["query_id"].fail(
                row, "this query stands there twice", query, "keep one row a query"
            )
        queries[query] = text
    return queries


def _judgments(path: str | Path, columns: Mapping[str, str]) -> dict[str, dict[str, int]]:
    source = read_source(path, columns=columns, texts=("query_id", "item_id"))
    source.require("query_id", "item_id", "relevance")
    ids, items = (_texts(source, name) for name in ("query_id", "item_id"))
    grades = number_values(source.columns["relevance"], "a whole grade", pa.int64()).to_pylist()
    judgments: dict[str, dict[str, int]] = {}
    for row, (query, item, grade) in enumerate(zip(ids, items, grades, strict=True)):
        if grade is None:
            source.columns["relevance"].fail(row, "the grade is missing", grade, "write 1 for relevant")
        known = judgments.setdefault(query, {})
        if known.setdefault(item, grade) != grade:
            source.columns["relevance"].fail(
                row, f"item {item!r} has another grade for this query already", grade, "keep one of them"
            )
    return judgments


def _texts(source: Source, name: str) -> list[str]:
    texts: list[str] = text_values(source.columns[name], required=name != "query").to_pylist()
    return texts


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):  # BEIR's is an object
        metadata = {"metadata": metadata}
    own = {name: row[name] for name in row if name not in ("item_id", "title", "description", "metadata")}
    return {
        "_id": row["item_id"],
        "title": row["title"],
        "text": row.get("description", ""),
        "metadata": {**metadata, **own},
    }


def _judgment_lines(judgments: Judgments) -> Iterable[str]:
    yield "\t".join(QRELS_COLUMNS.values())
    for query, grades in judgments.items():
        for item, grade in grades.items():
            yield "\t".join((_field(query), _field(item), str(grade)))


def _field(text: str) -> str:
    """A field of a TSV file, quoted as csv quotes where it must be."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in '\t"\r\n') else text


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with written_file(path) as stream:
        stream.writelines(line.encode("utf-8") + b"\n" for line in lines)
