"""Makes your own copy of Amazon Industrial and Scientific (2018) for the recipe `amazon-scientific`.

Fetches two files of the repository Nishikata97/CollisionGenRec at a fixed commit, cleans the texts, gives the
items new ids (at the source they are numbered by first use, test items included, which tells a ranker the
answer), and writes items.jsonl.gz and interactions.csv.gz. The sha256 of both is checked before anything is
written.

    python scripts/prepare_amazon_scientific.py data/amazon-scientific

The data derive from the Amazon review data of UCSD, offered for research; do not publish them again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from genrec import GenRecError
from genrec.data.public_files import clean_text, fetch, interactions_csv, items_jsonl, write_known

COMMIT = "505d5be3166f7c38ae67957daf8a3b7ec7092577"
SOURCE = f"https://raw.githubusercontent.com/Nishikata97/CollisionGenRec/{COMMIT}/data/Scientific/"
SEED = 20261123
REMNANT = "Industrial & Scientific />"  # what is left of a page where a title should be
SHA256 = {  # of the uncompressed bytes: 4,344 items, 58,492 interactions
    "items.jsonl": "6a8b93e230c6611cbb8ad25e75f3ab3200d5a315b203bb15822a7c36c4399593",
    "interactions.csv": "32b5365be8d8e0b4c4781cf3ae3e1edc4a281151a380e9f6bb1a86e8c0df3726",
}


def item_row(item_id: str, source: dict[str, str]) -> dict[str, object]:
    """One row of the item table."""
    title = clean_text(source.get("title")).removesuffix(".")
    return {
        "item_id": item_id,
        "title": "" if title == REMNANT else title,
        "brand": clean_text(source.get("brand")),
        "categories": [part for part in map(clean_text, source.get("categories", "").split(",")) if part],
        "description": clean_text(source.get("description")),
    }


def convert(items: dict[str, dict[str, str]], histories: dict[str, list[int]]) -> dict[str, bytes]:
    """The source's two files to ours: file name to uncompressed bytes."""
    order = list(range(len(items)))
    random.Random(SEED).shuffle(order)
    rows = sorted((f"s{order[int(number)]:04d}", source) for number, source in items.items())
    users = sorted(histories.items(), key=lambda entry: int(entry[0]))
    return {
        "items.jsonl": items_jsonl(item_row(item_id, source) for item_id, source in rows),
        "interactions.csv": interactions_csv(
            (user, [f"s{order[number]:04d}" for number in numbers]) for user, numbers in users
        ),
    }


def main() -> int:
    """Fetches, converts, checks, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the two files go")
    folder = parser.parse_args().folder
    try:
        items, histories = (
            json.loads(fetch(f"{SOURCE}Scientific.{name}.json")) for name in ("item", "inter")
        )
        written = write_known(folder, convert(items, histories), SHA256)
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
