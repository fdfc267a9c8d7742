"""Any damaged file gives a clean error or is read as what it now says; nothing else may be raised."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec import EmbeddingTable, GenRecError, InteractionLog, ItemTable, Recipe
from genrec.semantic_ids import ItemTokenizerDefinition, read_index

ITEMS = ItemTable.from_rows(
    {
        "item_id": f"i{n}",
        "title": f'A "{n}", é',
        "price": n + 0.5,
        "categories": ["a", f"b{n}"],
        "description": "one two",
    }
    for n in range(6)
)
LOG = InteractionLog.from_rows(
    {
        "user_id": f"u{n % 3}",
        "item_id": f"i{n}",
        "timestamp": 1_600_000_000 + n,
        "rating": 4.5,
        "event": "view",
    }
    for n in range(6)
)

damage = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 1 << 20), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(0, 1 << 20), st.just(0)),
    st.tuples(st.just("drop"), st.integers(0, 1 << 20), st.integers(1, 40)),
    st.tuples(st.just("twice"), st.integers(0, 1 << 20), st.integers(1, 40)),
    st.tuples(st.just("put"), st.integers(0, 1 << 20), st.sampled_from(b'\x00\xff"\n\r\t,{}[]\\|:0-e')),
)


def damaged(content: bytes, hits: list[tuple[str, int, int]]) -> bytes:
    for kind, at, value in hits:
        place = at % (len(content) + 1)
        before, behind = content[:place], content[place:]
        content = {
            "flip": before + bytes([byte ^ value for byte in behind[:1]]) + behind[1:],
            "cut": before,
            "drop": before + behind[value:],
            "twice": before + behind[:value] + behind,
            "put": before + bytes([value]) + behind,
        }[kind]
    return content


def hold(path: Path, good: bytes, hits: list[tuple[str, int, int]], read: Callable[[Path], object]) -> None:
    path.write_bytes(good)
    read(path)  # the sound file can be read
    path.write_bytes(damaged(good, hits))
    with contextlib.suppress(GenRecError):
        read(path)


def written(write: Callable[[Path], None], folder: Path, name: str) -> bytes:
    write(folder / name)
    return (folder / name).read_bytes()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet", ".item", ".jsonl.gz"])
@settings(max_examples=150)
@given(hits=st.lists(damage, min_size=1, max_size=3))
def test_items(
    suffix: str, hits: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("items")
    good = written(ITEMS.write, folder, f"good{suffix}")
    hold(folder / f"items{suffix}", good, hits, ItemTable.read)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".inter", ".csv.gz"])
@settings(max_examples=150)
@given(hits=st.lists(damage, min_size=1, max_size=3))
def test_interactions(
    suffix: str, hits: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    good = written(LOG.write, folder, f"good{suffix}")
    hold(folder / f"log{suffix}", good, hits, InteractionLog.read)


@settings(max_examples=200)
@given(hits=st.lists(damage, min_size=1, max_size=3), zipped=st.booleans())
def test_index_files(
    hits: list[tuple[str, int, int]], zipped: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = json.dumps({"i1": ["<a_1>", "<b_2>"], "i2": ["<a_0>", "<b_200>"]}).encode()
    path = tmp_path_factory.mktemp("index") / ("index.json.gz" if zipped else "index.json")
    hold(path, gzip.compress(content) if zipped else content, hits, read_index)


@settings(max_examples=200)
@given(hits=st.lists(damage, min_size=1, max_size=3))
def test_vectors(hits: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("vectors")
    np.save(folder / "good.npy", np.ones((2, 3), dtype=np.float32))
    (folder / "ids.txt").write_text("a\nb\n")
    good = (folder / "good.npy").read_bytes()
    hold(folder / "v.npy", good, hits, lambda path: EmbeddingTable.from_files(path, folder / "ids.txt"))


@settings(max_examples=200)
@given(hits=st.lists(damage, min_size=1, max_size=3))
def test_recipes_and_definitions(
    hits: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("yaml")
    recipe = b"name: x\nseed: 3\nalign:\n  epochs: 2.5\n  learning_rate: 1e-3\nevaluate: {ks: [5, 10]}\n"
    hold(folder / "recipe.yaml", recipe, hits, Recipe.load)
    definition = b"rqvae:\n  hidden_dims: [64, 32]\n  epochs: 3\ncollisions: matching\n"
    hold(folder / "definition.yaml", definition, hits, ItemTokenizerDefinition.load)
