"""Saved runs: a TREC run and qrels that any tool reads, the cases' groups, and the facts as JSON.

Does not know rankers or metrics. Users' ids and histories are in none of the files.

A run is a folder:

- `run.trec.gz`: `case Q0 item rank score tag`, best first; the score is `K + 1 - rank`, so nothing ties.
- `qrels.trec.gz`: `case 0 item grade`.
- `cases.tsv.gz`: per case its place in the evaluated order (which the seeded resamples follow), a number of
  its user, and for each slice whether it belongs to it.
- `semantic_ids.tsv.gz`, where IDs were looked at: the ID of each item that occurs above.
- `run.json`: name, cut-offs, fingerprints of cases and catalog, the rule of masking, facts and numbers.

A case is a query's id, or a number that `Cases.numbers` gives it. Ids are percent-encoded (RFC 3986), as a
TREC file cannot hold white space. A slot without a new item of the catalog keeps its place by a name no item
can have: `!invalid-<rank>`, `!repeat-<rank>`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from genrec.artifacts import atomic_write_text, open_artifact, saved_artifact
from genrec.data.files import read_bytes, written_file
from genrec.errors import ArtifactError, DataError
from genrec.evaluation.metrics import Relevance
from genrec.evaluation.result import EvaluationResult
from genrec.evaluation.run import BLANK, INVALID, REPEAT, RetrievalRun

KIND = "run"
RUN, QRELS, CASES, IDS, FACTS = (
    "run.trec.gz",
    "qrels.trec.gz",
    "cases.tsv.gz",
    "semantic_ids.tsv.gz",
    "run.json",
)
FILLERS = {"!invalid": INVALID, "!repeat": REPEAT}


def write_run(
    result: EvaluationResult, folder: str | Path, facts: Mapping[str, object] | None = None
) -> None:
    """Saves the lists of a result with its numbers; a run that stood there is replaced.

    Args:
        result: As an evaluator returned it.
        folder: Where the run will lie.
        facts: What else belongs beside the numbers: recipe, seed, hardware, date.

    Raises:
        DataError: The result kept no lists.
        ArtifactError: Something else lies in the folder.
    """
    run = result.run
    if run is None:
        raise DataError(
            f"the result of {result.name!r} kept no lists",
            remedy="write a result as the evaluator returned it",
        )
    order = _case_order(run.case_ids)
    stored = {
        "name": run.name,
        "ks": list(run.ks),
        "cases": run.cases,
        "catalog": run.catalog,
        "items": run.num_items,
        "masking": run.masking,
        "slices": list(run.slices),
        "seconds": run.seconds,
        "facts": dict(facts or run.facts),
        "result": result.to_dict(),
    }
    with saved_artifact(folder, kind=KIND, facts={"name": run.name, "cases": run.cases}) as temporary:
        _write_lines(temporary / RUN, _run_lines(run, order))
        _write_lines(temporary / QRELS, _qrels_lines(run, order))
        _write_lines(temporary / CASES, _case_lines(run, order))
        if run.semantic_ids is not None:
            _write_lines(temporary / IDS, _id_lines(run))
        text = json.dumps(stored, indent=2, ensure_ascii=False, default=str) + "\n"
        atomic_write_text(temporary / FACTS, text)


def read_run(folder: str | Path) -> RetrievalRun:
    """Reads a saved run; `result` gives its numbers again.

    Raises:
        ArtifactError: The folder is no run, or a file of it was altered.
    """
    folder = Path(folder)
    open_artifact(folder, kind=KIND)
    try:
        return _run_of(folder, json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ArtifactError(
            f"{folder} is not a run as genrec writes it: {error}",
            remedy="evaluate again, or use the version of genrec that wrote it",
        ) from error


def _run_of(folder: Path, stored: Mapping[str, Any]) -> RetrievalRun:
    slices, k = stored["slices"], max(stored["ks"])
    cases = [line.split("\t") for line in _lines(folder / CASES)][1:]
    place = {fields[0]: int(fields[1]) for fields in cases}  # case -> place in the evaluated order
    rows: dict[str, int] = {}
    lists = np.full((len(place), k), BLANK, dtype=np.int64)
    for line in _lines(folder / RUN):
        case, _, item, rank, _, _ = line.split()
        code = FILLERS.get(item.split("-")[0])
        lists[place[case], int(rank) - 1] = rows.setdefault(item, len(rows)) if code is None else code
    judged: list[list[tuple[int, int]]] = [[] for _ in place]
    for line in _lines(folder / QRELS):
        case, _, item, grade = line.split()
        judged[place[case]].append((rows.setdefault(item, len(rows)), int(grade)))
    flat = np.array([pair for pairs in judged for pair in pairs], dtype=np.int64).reshape(-1, 2)
    semantic_ids = None
    if (folder / IDS).exists():
        known = dict(line.split("\t") for line in _lines(folder / IDS))
        semantic_ids = np.array([unquote(known[item]) for item in rows], dtype=object)
    ordered = sorted(cases, key=lambda fields: int(fields[1]))
    return RetrievalRun(
        name=stored["name"],
        case_ids=tuple(unquote(fields[0]) for fields in ordered),
        user_ids=tuple(fields[2] for fields in ordered),
        items=np.array([unquote(item) for item in rows], dtype=object),
        lists=lists,
        relevance=Relevance(flat[:, 0], flat[:, 1], np.cumsum([0, *map(len, judged)])),
        ks=tuple(stored["ks"]),
        cases=stored["cases"],
        masking=stored["masking"],
        catalog=stored["catalog"],
        num_items=stored["items"],
        slices={
            name: np.array([fields[3 + i] == "1" for fields in ordered]) for i, name in enumerate(slices)
        },
        semantic_ids=semantic_ids,
        seconds=stored["seconds"],
        facts=stored["facts"],
    )


def _case_order(case_ids: tuple[str, ...]) -> list[int]:
    """Places of the cases in the order of the files: by number where all are numbers, else by text."""
    if all(case.isdecimal() and case.isascii() for case in case_ids):
        return sorted(range(len(case_ids)), key=lambda i: (int(case_ids[i]), case_ids[i]))
    return sorted(range(len(case_ids)), key=case_ids.__getitem__)


def _run_lines(run: RetrievalRun, order: list[int]) -> Iterator[str]:
    tag = quote(run.name, safe="") or "-"  # a line has six fields
    names = [quote(item, safe="") for item in run.items.tolist()]
    fillers = {code: name for name, code in FILLERS.items()}
    k = run.lists.shape[1]
    for i in order:
        case = quote(run.case_ids[i], safe="")
        for place, row in enumerate(run.lists[i].tolist(), start=1):
            if row != BLANK:
                item = names[row] if row >= 0 else f"{fillers[row]}-{place}"
                yield f"{case} Q0 {item} {place} {k + 1 - place} {tag}"


def _qrels_lines(run: RetrievalRun, order: list[int]) -> Iterator[str]:
    judged = run.relevance
    for i in order:
        case = quote(run.case_ids[i], safe="")
        for m in range(int(judged.offsets[i]), int(judged.offsets[i + 1])):
            yield f"{case} 0 {quote(run.items[judged.rows[m]], safe='')} {judged.grades[m]}"


def _case_lines(run: RetrievalRun, order: list[int]) -> Iterator[str]:
    users = run.users()
    yield "\t".join(("case", "place", "user", *run.slices))
    for i in order:
        parts = (str(int(mask[i])) for mask in run.slices.values())
        user = i if users is None else users[i]
        yield "\t".join((quote(run.case_ids[i], safe=""), str(i), str(user), *parts))


def _id_lines(run: RetrievalRun) -> Iterator[str]:
    if run.semantic_ids is None:
        return
    occurring = np.unique(np.concatenate([run.lists[run.lists >= 0], run.relevance.rows]))
    names = ((quote(run.items[row], safe=""), row) for row in occurring.tolist())
    for item, row in sorted(names):
        yield f"{item}\t{quote(run.semantic_ids[row], safe='')}"


def _lines(path: Path) -> list[str]:
    """Lines of a file; a run all of whose lists are empty has a file of lists without any."""
    return bytes(read_bytes(path, may_be_empty=True)).decode("utf-8").splitlines()


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with written_file(path) as stream:
        stream.writelines(line.encode("utf-8") + b"\n" for line in lines)
