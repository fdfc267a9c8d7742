"""What all quantizers keep on disk.

Does not know how any of them encodes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from genrec.artifacts import open_artifact, saved_artifact
from genrec.errors import ArtifactError, GenRecError
from genrec.quantization.quantizer import KIND


def write_quantizer(
    folder: str | Path,
    name: str,
    settings: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
) -> None:
    """Writes a quantizer's folder: arrays, training record, and name and settings in the manifest."""
    with saved_artifact(folder, kind=KIND, facts={"quantizer": name, "settings": settings}) as temporary:
        plain = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        save_file(plain, temporary / "quantizer.safetensors")
        text = json.dumps(record, indent=1, sort_keys=True)
        (temporary / "training.json").write_text(text, encoding="utf-8")


@contextlib.contextmanager
def read_quantizer(
    folder: str | Path, name: str
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Any]]]:
    """Gives settings, arrays and training record of a saved quantizer; a fault in using them is its own.

    Raises:
        ArtifactError: The folder is missing, altered, of another kind, or its parts do not fit together.
    """
    folder = Path(folder)
    facts = open_artifact(folder, kind=KIND)
    try:
        if facts["quantizer"] != name:
            raise ValueError(f"it is a {facts['quantizer']}, not a {name}")
        arrays = load_file(folder / "quantizer.safetensors")
        record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        yield facts["settings"], arrays, record
    except (OSError, ValueError, KeyError, TypeError, IndexError, SafetensorError, GenRecError) as error:
        raise ArtifactError(
            f"{folder} holds no {name} quantizer that can be read",
            received=f"{type(error).__name__}: {error}",
            remedy="fit and save it again",
        ) from error
