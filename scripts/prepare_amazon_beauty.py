"""Makes your own copy of Amazon Beauty (2014, 5-core) for the recipe `amazon-beauty`.

Fetches sequences, titles and categories of the repository Linxyhaha/TransRec and the same sequences with
Amazon's item ids of agiresearch/IDGenRec, both at a fixed commit, cleans the texts, and writes items.jsonl.gz
and interactions.csv.gz. Users are numbered by their row; Amazon's reviewer ids are left out. The sha256 of
both files is checked before anything is written.

    python scripts/prepare_amazon_beauty.py data/amazon-beauty

The data derive from the Amazon review data of UCSD, offered for research; do not publish them again.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from genrec import GenRecError
from genrec.data.public_files import (
    clean_text,
    fetch,
    interactions_csv,
    items_jsonl,
    plain_mapping,
    write_known,
)

GITHUB = "https://raw.githubusercontent.com"
TRANSREC = f"{GITHUB}/Linxyhaha/TransRec/da14d539a88bbdec4b1a36259b54068047134c29/data/beauty/rec_data"
IDGENREC = f"{GITHUB}/agiresearch/IDGenRec/a297185aa5b6cd6de9dcf8b8182052ee8e0b3261/rec_datasets/Beauty"
FILLER = re.compile(r"title_\d+")  # where the source has no title
SHA256 = {  # of the uncompressed bytes: 12,101 items, 198,502 interactions
    "items.jsonl": "06ae3bab45e628eef82fe36de820659632fd5084f40be1868ccf9a47b705f24c",
    "interactions.csv": "6ef1ad570d2519352811f3aca1f5c6c6e4c15752e777f72fb80f49591eaed15f",
}


def item_row(item_id: str, title: str, categories: list[list[str]]) -> dict[str, object]:
    """One row of the item table; the longest category path stands for the item."""
    paths = [[clean_text(part) for part in path] for path in categories]
    return {
        "item_id": item_id,
        "title": "" if FILLER.fullmatch(title) else clean_text(title),
        "categories": max(paths, key=len, default=[]),
        "category_paths": paths if len(paths) > 1 else [],
    }


def convert(
    numbered: str, named: str, titles: dict[str, str], categories: dict[str, list[list[str]]]
) -> dict[str, bytes]:
    """Sequences by number and by name, titles and categories by number: file name to uncompressed bytes.

    What the sources lack is left empty, and refused with the digests.
    """
    names: dict[str, str] = {}
    histories = []
    for numbers, items in zip(numbered.splitlines(), named.splitlines(), strict=False):
        user, *row = numbers.split()
        names.update(zip(row, items.split()[1:], strict=False))
        histories.append((user, [names.get(number, "") for number in row]))
    rows = (item_row(names[n], titles.get(n, ""), categories.get(n, [])) for n in sorted(names, key=int))
    return {"items.jsonl": items_jsonl(rows), "interactions.csv": interactions_csv(histories)}


def main() -> int:
    """Fetches, converts, checks, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the two files go")
    folder = parser.parse_args().folder
    try:
        files = convert(
            fetch(f"{TRANSREC}/sequential_data.txt").decode(),
            fetch(f"{IDGENREC}/user_sequence.txt").decode(),
            plain_mapping(fetch(f"{TRANSREC}/title_maps.npy")).get("id2title", {}),
            plain_mapping(fetch(f"{TRANSREC}/category_map.npy")).get("id2category", {}),
        )
        written = write_known(folder, files, SHA256)
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
