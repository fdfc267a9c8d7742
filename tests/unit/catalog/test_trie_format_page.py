"""The page that describes a trie's files: what it says in code is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from genrec.catalog import CatalogTrie

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats" / "trie.md"


def test_the_reader_on_the_page_reads_a_saved_trie(tmp_path: Path) -> None:
    codes = np.unique(np.random.default_rng(0).integers((4, 300, 5), size=(60, 3)), axis=0)
    CatalogTrie.from_codes(codes, (4, 300, 5)).save(tmp_path / "trie")
    snippet = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert snippet is not None
    room: dict[str, Any] = {}
    exec(snippet[1], room)
    paths = codes.tolist()
    for path in ([], *(p[:1] for p in paths), *(p[:2] for p in paths)):
        expected = sorted({p[len(path)] for p in paths if p[: len(path)] == path})
        assert room["allowed_codes"](tmp_path / "trie", path).tolist() == expected
    files = {file.name for file in (tmp_path / "trie").iterdir()}
    assert files == {"manifest.json", "rows.npy"} | {
        f"{n}_{i}.npy" for n in ("codes", "indptr") for i in range(3)
    }
