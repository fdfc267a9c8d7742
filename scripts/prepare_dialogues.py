"""Makes the files of the recipe `redial-dialogue` from a folder of items and dialogues.

The folder holds items.jsonl.gz (item_id, title, ...) and dialogues.jsonl.gz, a line a dialogue as
`Dialogues.read` takes it (dialogue_id, split, turns with role, text and item_ids). What the training part
mentions, in its order, becomes the interaction log: one user a dialogue.

    python scripts/prepare_dialogues.py FOLDER data/redial --train valid --test test
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path

from genrec import GenRecError, InteractionLog, ItemTable
from genrec.data import Dialogues


def rows(dialogues: Dialogues) -> list[dict[str, object]]:
    """One mapping a dialogue, as `Dialogues.read` takes it."""
    return [
        {
            "dialogue_id": dialogue.dialogue_id,
            "split": dialogue.split,
            "turns": [
                {"role": turn.role, "text": turn.text, "item_ids": list(turn.item_ids)}
                for turn in dialogue.turns
            ],
        }
        for dialogue in dialogues.dialogues
    ]


def mentions(dialogues: Dialogues) -> list[dict[str, object]]:
    """What each dialogue mentions, each item once, in order."""
    found: list[dict[str, object]] = []
    for dialogue in dialogues.dialogues:
        items = dict.fromkeys(item for turn in dialogue.turns for item in turn.item_ids)
        found += [
            {"user_id": dialogue.dialogue_id, "item_id": item, "timestamp": place}
            for place, item in enumerate(items)
        ]
    return found


def main() -> int:
    """Parses the command line and writes four files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--train", default="valid", help="split that is trained on")
    parser.add_argument("--test", default="test", help="split that judges")
    arguments = parser.parse_args()
    try:
        items = ItemTable.read(arguments.source / "items.jsonl.gz")
        dialogues = Dialogues.read(arguments.source / "dialogues.jsonl.gz", items=items)
        parts = {"train": dialogues.of_split(arguments.train), "test": dialogues.of_split(arguments.test)}
        arguments.target.mkdir(parents=True, exist_ok=True)
        items.write(arguments.target / "items.jsonl.gz")
        InteractionLog.from_rows(mentions(parts["train"])).write(arguments.target / "interactions.csv.gz")
        for name, part in parts.items():
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(part))
            content = gzip.compress(lines.encode("utf-8"), mtime=0)
            (arguments.target / f"{name}.jsonl.gz").write_bytes(content)
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for name, part in parts.items():
        sys.stdout.write(f"{name}: {len(part)} dialogues\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
