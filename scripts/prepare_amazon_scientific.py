"""Makes your own copy of Amazon Industrial and Scientific (2018) for the recipe `amazon-scientific`.

Fetches two files of the repository Nishikata97/CollisionGenRec at a fixed commit, cleans the texts, gives the
items new ids (at the source they are numbered by first use, test items included, which tells a ranker the
answer), and writes items.jsonl.gz and interactions.csv.gz. Counts and sha256 of both are checked before
anything is written.

    python scripts/prepare_amazon_scientific.py data/amazon-scientific

The data derive from the Amazon review data of UCSD, offered for research; do not publish them again.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import json
import random
import sys
import urllib.request
from pathlib import Path

COMMIT = "505d5be3166f7c38ae67957daf8a3b7ec7092577"
SOURCE = f"https://raw.githubusercontent.com/Nishikata97/CollisionGenRec/{COMMIT}/data/Scientific/"
SEED = 20261123
REMNANT = "Industrial & Scientific />"  # what is left of a page where a title should be
ITEMS, INTERACTIONS = 4344, 58492
SHA256 = {  # of the uncompressed bytes
    "items.jsonl": "6a8b93e230c6611cbb8ad25e75f3ab3200d5a315b203bb15822a7c36c4399593",
    "interactions.csv": "32b5365be8d8e0b4c4781cf3ae3e1edc4a281151a380e9f6bb1a86e8c0df3726",
}


def clean(text: str) -> str:
    """Undoes HTML entities and collapses white space."""
    return " ".join(html.unescape(text or "").split())


def item_row(item_id: str, source: dict[str, str]) -> dict[str, object]:
    """One line of items.jsonl; empty fields are left out."""
    title = clean(source.get("title", "")).removesuffix(".")
    row = {
        "item_id": item_id,
        "title": "" if title == REMNANT else title,
        "brand": clean(source.get("brand", "")),
        "categories": [part for part in map(clean, source.get("categories", "").split(",")) if part],
        "description": clean(source.get("description", "")),
    }
    return {name: value for name, value in row.items() if value}


def convert(items: dict[str, dict[str, str]], histories: dict[str, list[int]]) -> dict[str, bytes]:
    """The source's two files to ours: file name to uncompressed bytes."""
    order = list(range(len(items)))
    random.Random(SEED).shuffle(order)
    rows = sorted((f"s{order[int(number)]:04d}", source) for number, source in items.items())
    lines = [json.dumps(item_row(item_id, source), ensure_ascii=False) for item_id, source in rows]
    uses = [
        f"{user},s{order[number]:04d},{place}"
        for user, numbers in sorted(histories.items(), key=lambda entry: int(entry[0]))
        for place, number in enumerate(numbers)
    ]
    return {
        "items.jsonl": ("\n".join(lines) + "\n").encode(),
        "interactions.csv": ("\n".join(["user_id,item_id,timestamp", *uses]) + "\n").encode(),
    }


def fetch(name: str) -> dict[str, object]:
    """Reads one JSON file of the source repository."""
    sys.stderr.write(f"fetching {SOURCE}{name}\n")
    with urllib.request.urlopen(SOURCE + name, timeout=120) as response:
        return json.load(response)


def main() -> int:
    """Fetches, converts, checks, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the two files go")
    folder = parser.parse_args().folder
    try:
        items, histories = fetch("Scientific.item.json"), fetch("Scientific.inter.json")
    except OSError as error:
        sys.stderr.write(
            f"error: the source cannot be fetched: {error}\nwhat to do: check the network, try again\n"
        )
        return 1
    files = convert(items, histories)
    counts = len(items), sum(map(len, histories.values()))
    wrong = [name for name, content in files.items() if hashlib.sha256(content).hexdigest() != SHA256[name]]
    if counts != (ITEMS, INTERACTIONS) or wrong:
        sys.stderr.write(
            f"error: what was fetched is not what the recipe's numbers were made with\n"
            f"received: {counts[0]} items, {counts[1]} interactions; changed: {', '.join(wrong) or 'none'}\n"
            f"what to do: nothing was written; compare the source with commit {COMMIT}\n"
        )
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        sys.stdout.write(f"{folder / name}.gz\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
