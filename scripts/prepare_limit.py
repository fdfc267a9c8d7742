"""LIMIT-small (arXiv 2508.21038) in BEIR's layout, with distractors made from the attribute list.

    python scripts/prepare_limit.py --source data/limit-small --documents 10000 --output data/limit-10k

A distractor is a made-up person who likes as many attributes as the 46 people of the source, drawn from
those that no test query asks for, so that the judgments stay true. `qrels/test.tsv` holds the source's
queries ("Who likes X?"). `qrels/train.tsv` and `qrels/dev.tsv` hold synthetic queries, made from the
documents alone in wordings of our own: none of them has a test query's "who" or "likes". The wordings of dev
are in no training query either. Queries of an attribute that many people like have at most `--answers`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import re
from collections import defaultdict
from pathlib import Path

from genrec.data import ItemTable, SearchTask

OPENERS = (
    "",
    "find me a person",
    "looking for people",
    "show someone",
    "which of them is",
    "give me a name:",
)
FONDNESS = (
    "fond of",
    "keen on",
    "a fan of",
    "into",
    "crazy about",
    "enjoying",
    "that adores",
    "interested in",
)
CLOSERS = ("", ", please", "?", " - any match", ".", " (one name)")
DEV = ("name anybody with a passion for {}", "{} enthusiast wanted", "people whose hobby is {}")
FORBIDDEN = {"who", "likes", "like"}


def wordings(attribute: str, rng: random.Random, count: int) -> list[str]:
    """Different training queries for one attribute, the bare word among them."""
    found = [attribute]
    while len(found) < count:
        opener, fondness, closer = rng.choice(OPENERS), rng.choice(FONDNESS), rng.choice(CLOSERS)
        text = f"{opener} {fondness} {attribute}{closer}".strip()
        if text not in found:
            found.append(text)
    return found


def liked(description: str, known: set[str]) -> list[str]:
    """The attributes of "NAME likes A, B, ... and Z."; those that hold a comma or "and" are kept whole."""
    text = description.split(" likes ", 1)[1].rstrip().removesuffix(".")
    parts = re.split(r", | and ", text)
    found, start = [], 0
    while start < len(parts):
        for end in range(len(parts), start, -1):
            joined = {glue.join(parts[start:end]) for glue in (", ", " and ")}
            match = next((name for name in joined if name.lower() in known), None)
            if match is not None or end == start + 1:
                found.append(match or parts[start])
                start = end
                break
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    """Rows of a gzipped CSV."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    """Writes the task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, required=True, help="items, queries, qrels, attributes, *.gz")
    parser.add_argument("--documents", type=int, default=46, help="documents in all, the 46 included")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--wordings", type=int, default=8, help="training queries of an attribute")
    parser.add_argument("--answers", type=int, default=5, help="most answers of a training query")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    source = arguments.source
    items = ItemTable.read(source / "items.jsonl.gz")
    with gzip.open(source / "attributes.txt.gz", "rt", encoding="utf-8") as stream:
        attributes = [line.strip() for line in stream if line.strip()]
    known = {name.lower() for name in attributes}
    people = {
        row["item_id"]: liked(row["description"], known)
        for row in items.table.select(["item_id", "description"]).to_pylist()
    }
    queries = {row["query_id"]: row["query"] for row in rows_of(source / "queries.csv.gz")}
    asked = {text.removeprefix("Who likes ").removesuffix("?").lower() for text in queries.values()}
    free = [name for name in attributes if name.lower() not in asked]
    size = round(sum(map(len, people.values())) / len(people))
    texts = {
        row["item_id"]: row["description"]
        for row in items.table.select(["item_id", "description"]).to_pylist()
    }
    for number in range(arguments.documents - len(people)):
        name = f"Person {number:05d}"
        people[name] = rng.sample(free, min(size, len(free)))
        texts[name] = f"{name} likes {', '.join(people[name][:-1])} and {people[name][-1]}."
    answers: dict[str, list[str]] = defaultdict(list)
    for person, names in people.items():
        for name in names:
            answers[name].append(person)
    test: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows_of(source / "qrels.csv.gz"):
        test[row["query_id"]][row["item_id"]] = int(row["relevance"])
    splits: dict[str, dict[str, dict[str, int]]] = {"test": dict(test), "train": {}, "dev": {}}
    for number, (name, found) in enumerate(sorted(answers.items())):
        chosen = rng.sample(found, min(arguments.answers, len(found)))
        grades = dict.fromkeys(chosen, 1)
        for place, text in enumerate(wordings(name, rng, arguments.wordings)):
            queries[f"train-{number}-{place}"] = text
            splits["train"][f"train-{number}-{place}"] = grades
        if len(found) <= 2:
            queries[f"dev-{number}"] = rng.choice(DEV).format(name)
            splits["dev"][f"dev-{number}"] = grades
    for query in (*splits["train"], *splits["dev"]):
        if FORBIDDEN & set(re.findall(r"\w+", queries[query].lower())):
            raise SystemExit(f"a synthetic query has the test's wording: {queries[query]!r}")
    corpus = ItemTable.from_rows([{"item_id": p, "title": p, "description": t} for p, t in texts.items()])
    SearchTask(corpus, queries, splits).write(arguments.output)
    counts = {split: len(judged) for split, judged in splits.items()}
    print(f"{len(texts)} documents, {len(asked)} attributes asked for, {len(free)} others, queries {counts}")


if __name__ == "__main__":
    main()
