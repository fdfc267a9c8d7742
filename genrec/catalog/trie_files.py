"""A trie's arrays as files that are mapped into memory, and the form STATIC-style engines read.

Does not know what a trie is for. `docs/formats/trie.md` describes the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genrec.artifacts import open_artifact, saved_artifact
from genrec.errors import ArtifactError

KIND = "catalog-trie"


def save_trie(
    folder: str | Path,
    codebook_sizes: tuple[int, ...],
    codes: Sequence[np.ndarray],
    indptr: Sequence[np.ndarray],
    rows: np.ndarray,
    terminated: bool,
) -> None:
    """Writes `codes_<level>.npy`, `indptr_<level>.npy`, `rows.npy` and the manifest."""
    facts = {"codebook_sizes": codebook_sizes, "terminated": terminated, "items": len(rows)}
    with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
        np.save(temporary / "rows.npy", rows)
        for level, (of_level, children) in enumerate(zip(codes, indptr, strict=True)):
            np.save(temporary / f"codes_{level}.npy", of_level)
            np.save(temporary / f"indptr_{level}.npy", children)


def open_trie(
    folder: str | Path, *, verify: bool
) -> tuple[tuple[int, ...], tuple[np.ndarray, ...], tuple[np.ndarray, ...], np.ndarray, bool]:
    """The arguments of `save_trie` after the folder, arrays mapped into memory.

    Raises:
        ArtifactError: A missing or changed file, another kind of folder, arrays that do not fit each other.
    """
    facts, folder = open_artifact(folder, kind=KIND, verify=verify), Path(folder)
    try:
        sizes = tuple(int(size) for size in facts["codebook_sizes"])
        terminated, items = bool(facts["terminated"]), int(facts["items"])
        levels = len(sizes) + terminated
        codes = tuple(_mapped(folder / f"codes_{level}.npy") for level in range(levels))
        indptr = tuple(_mapped(folder / f"indptr_{level}.npy") for level in range(levels))
        rows = _mapped(folder / "rows.npy")
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ArtifactError(
            f"{folder} is not a trie that can be read",
            received=f"{type(error).__name__}: {error}",
            remedy="build it again from the catalog",
        ) from error
    nodes = [1, *(len(of_level) for of_level in codes)]
    fits = all(len(children) == above + 1 for children, above in zip(indptr, nodes, strict=False))
    ends = fits and all(int(c[-1]) == below for c, below in zip(indptr, nodes[1:], strict=True))
    if not ends or nodes[-1] != len(rows) or len(rows) != items:
        raise ArtifactError(
            f"the arrays of the trie {folder} do not fit each other",
            received=f"{nodes[1:]} nodes, {len(rows)} rows, {items} items",
            remedy="build it again from the catalog",
        )
    return sizes, codes, indptr, rows, terminated


def _mapped(path: Path) -> np.ndarray:
    """Copy-on-write: pages are shared, and nothing a caller does reaches the file."""
    array: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{path.name} holds {array.dtype} of shape {array.shape}")
    return array
