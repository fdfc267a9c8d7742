"""`encode_file`: codes of many vectors written to disk block by block, so that an interrupted run goes on.

Does not know which quantizer it is.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from genrec.artifacts import MANIFEST, atomic_write_text
from genrec.config import fingerprint
from genrec.errors import ArtifactError
from genrec.quantization.fit_checkpoint import vectors_digest
from genrec.quantization.quantizer import Quantizer, checked_vectors

ROWS = 65_536  # rows after which what is done is written down
_CODES, _PROGRESS = "codes.npy", "progress.json"


def encode_file(quantizer: Quantizer, vectors: np.ndarray, folder: str | Path) -> np.ndarray:
    """Codes int32 ``[n, L]`` of float32 ``[n, d]``, mapped from a file in `folder`.

    The folder may hold what an interrupted run wrote: rows that were done for the same quantizer and vectors
    (told apart as in `FitCheckpoint`) are not encoded again. Codes are those of `quantizer.encode`.

    Args:
        quantizer: Fitted.
        vectors: In memory or mapped from disk.
        folder: Made where it is missing; `codes.npy` stays there.

    Raises:
        ArtifactError: The folder holds a `codes.npy` that this function did not write.
        DataError: Not fitted, another width, or no finite floats.
    """
    checked_vectors(vectors)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    digest = fingerprint([_quantizer_digest(quantizer), vectors_digest(vectors)])
    shape = (len(vectors), len(quantizer.codebook_sizes))
    done = _rows_done(folder, digest)
    if done is None and len(vectors):
        made = np.lib.format.open_memmap(folder / _CODES, mode="w+", dtype=np.int32, shape=shape)
        made.flush()
        del made
    done = done or 0
    if not len(vectors):
        return np.empty(shape, dtype=np.int32)
    codes = np.load(folder / _CODES, mmap_mode="r+", allow_pickle=False)
    with tqdm(total=len(vectors), initial=done, desc="encoding", unit="row", disable=None) as progress:
        for start in range(done, len(vectors), ROWS):
            block = vectors[start : start + ROWS]
            codes[start : start + len(block)] = quantizer.encode(block)
            codes.flush()
            _write_progress(folder, digest, start + len(block))
            progress.update(len(block))
    return np.asarray(np.load(folder / _CODES, mmap_mode="r", allow_pickle=False))


def _rows_done(folder: Path, digest: str) -> int | None:
    """Rows that are encoded already; None where nothing of this quantizer and these vectors is there."""
    if not (folder / _PROGRESS).is_file():
        if (folder / _CODES).exists():
            raise ArtifactError(
                f"{folder / _CODES} is there, but nothing tells whose codes it holds",
                remedy="choose another folder, or remove the file yourself",
            )
        _write_progress(folder, digest, 0)
        return None
    try:
        progress = json.loads((folder / _PROGRESS).read_text(encoding="utf-8"))
        same, done = progress["digest"] == digest, int(progress["rows"])
    except (ValueError, KeyError, TypeError):
        same, done = False, 0
    if same and done and (folder / _CODES).is_file():
        return done
    _write_progress(folder, digest, 0)
    return None


def _write_progress(folder: Path, digest: str, rows: int) -> None:
    atomic_write_text(folder / _PROGRESS, json.dumps({"digest": digest, "rows": rows}))


def _quantizer_digest(quantizer: Quantizer) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        quantizer.save(Path(temporary) / "quantizer")
        manifest = (Path(temporary) / "quantizer" / MANIFEST).read_text(encoding="utf-8")
    return str(json.loads(manifest)["digest"])
