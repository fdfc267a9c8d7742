"""The dialogue recipe on made-up conversations: files, training, item recall per turn."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from genrec import SyntheticWorld

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_dialogue_recipe_runs_whole(genrec: Any, small: list[str], tmp_path: Path) -> None:
    world = SyntheticWorld.generate(seed=2, num_items=80, num_users=80)
    world.items.write(tmp_path / "items.jsonl.gz")
    rows = []
    for number, user in enumerate(world.interactions.user_ids):
        had = list(world.interactions.history(user))[:4]
        turns: list[dict[str, object]] = [{"role": "assistant", "text": "Hi", "item_ids": []}]
        for asked, named in pairwise(had):
            text = f"I like {world.items.title(asked)}"
            turns.append({"role": "user", "text": text, "item_ids": [asked]})
            reply = f"Have you seen {world.items.title(named)}?"
            turns.append({"role": "assistant", "text": reply, "item_ids": [named]})
        rows.append({"dialogue_id": user, "split": "test" if number % 4 == 0 else "valid", "turns": turns})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "dialogues.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    data = tmp_path / "data"
    assert run("scripts/prepare_dialogues.py", str(tmp_path), str(data)).splitlines() == [
        "train: 60 dialogues",
        "test: 20 dialogues",
    ]
    overrides = [
        *[name for name in small if not name.startswith("data.")],
        f"data.items={data / 'items.jsonl.gz'}",
        f"data.interactions={data / 'interactions.csv.gz'}",
        f"tasks.dialogue.source={data / 'train.jsonl.gz'}",
        f"output_dir={tmp_path / 'out'}",
        "item_tokenizer.definition=rkmeans-3x64",
    ]
    genrec("align", "redial-dialogue", *overrides)
    found = tmp_path / "rows.json"
    run("scripts/benchmark_dialogues.py", "redial-dialogue", str(data), *overrides, "--json", str(found))
    values = {row["name"]: row["value"] for row in json.loads(found.read_text())}
    for ranker in ("dialogue", "dialogue + lead", "mentions", "bm25", "popularity"):
        assert 0 <= values[f"{ranker} recall@1"] <= values[f"{ranker} recall@50"] <= 1
    assert values["bm25 recall@50"] > 0
