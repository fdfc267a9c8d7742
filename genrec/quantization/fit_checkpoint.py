"""`FitCheckpoint`: the finished parts of a fit on disk, so that an interrupted one goes on.

Does not know which quantizer is fitted.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from genrec.artifacts import has_artifact, open_artifact, saved_artifact
from genrec.config import fingerprint

KIND = "quantizer_fit"
_LOOKED_AT = 4_096  # rows, evenly spread, by which vectors are told from others

logger = logging.getLogger(__name__)


class FitCheckpoint:
    """Parts of one fit, kept until it is done.

    A part of other settings or other vectors is not used. Vectors are told apart by their shape and 4,096
    rows spread over them.

    Args:
        folder: Where the parts lie; None = nothing is kept.
        name: Name of the quantizer.
        settings: Its settings.
        vectors: float ``[n, d]`` that it is fitted on.
    """

    def __init__(
        self, folder: str | Path | None, name: str, settings: Mapping[str, Any], vectors: np.ndarray
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self._digest = ""
        if self.folder is not None:
            self._digest = fingerprint([name, dict(settings), vectors_digest(vectors)])

    def read(self, part: int | str) -> dict[str, np.ndarray] | None:
        """Arrays of a part that was written, or None.

        Raises:
            ArtifactError: The part was altered.
        """
        if self.folder is None:
            return None
        path = self.folder / str(part)
        if not has_artifact(path, KIND, {"fit": self._digest}):
            return None
        open_artifact(path, kind=KIND)
        logger.info("part %s of the fit is read from %s", part, path)
        return dict(load_file(path / "arrays.safetensors"))

    def write(self, part: int | str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps the arrays of a part, in one atomic step, in place of what stood there."""
        if self.folder is None:
            return
        with saved_artifact(self.folder / str(part), kind=KIND, facts={"fit": self._digest}) as temporary:
            plain = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
            save_file(plain, temporary / "arrays.safetensors")

    def clear(self) -> None:
        """Removes the parts; the fit is done."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if has_artifact(path, KIND):
                shutil.rmtree(path)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def vectors_digest(vectors: np.ndarray) -> str:
    """Digest of shape, dtype and up to 4,096 evenly spread rows of ``[n, d]``."""
    rows = np.unique(np.linspace(0, max(len(vectors) - 1, 0), _LOOKED_AT).astype(np.int64))
    digest = hashlib.sha256(f"{vectors.shape} {vectors.dtype.str}".encode())
    digest.update(np.ascontiguousarray(vectors[rows[rows < len(vectors)]]).tobytes())
    return digest.hexdigest()
