"""`ImageItemEncoder`: item pictures through a frozen CLIP or SigLIP model of transformers.

Does not know what its vectors are used for, trains nothing, and fetches no picture from a network.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from genrec.artifacts import atomic_write_text, file_sha256, open_artifact, saved_artifact
from genrec.config import fingerprint
from genrec.data import ItemTable
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.embeddings.lsa import KIND
from genrec.embeddings.revision import checked_revision
from genrec.errors import ArtifactError, ConfigError, DataError

NAME = "image"
CLIP = "openai/clip-vit-base-patch32"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageColumn:
    """The column of an item table that names each item's picture.

    Attributes:
        column: Its name; "" in it is an item without a picture.
        folder: Folder that relative names are taken from; None = the working folder.
    """

    column: str = "image"
    folder: Path | None = None

    def paths(self, items: ItemTable) -> list[Path | None]:
        """File of each item, in the order of `items.canonical_ids`; None without a picture.

        Raises:
            DataError: No such column, an address in place of a file, or a file that is not there.
        """
        if self.column not in items.columns:
            raise DataError(
                f"the item table has no column {self.column!r} with pictures",
                received=f"columns {', '.join(items.columns)}",
                remedy="add it: a file name for each item, empty where there is none",
            )
        names = dict(zip(items.item_ids, items.table.column(self.column).to_pylist(), strict=True))
        found: list[Path | None] = []
        for item in items.canonical_ids:
            name = names[item]
            path = None if not name else (self.folder or Path()) / name
            if path is not None and not path.is_file():
                remote = "://" in name
                raise DataError(
                    f"the picture of {item!r} is " + ("an address" if remote else "not there"),
                    received=name,
                    remedy="fetch the pictures first and name the files"
                    if remote
                    else "check the name and embeddings.image_folder, or leave the cell empty",
                )
            found.append(path)
        return found

    def fingerprint(self, items: ItemTable) -> str:
        """Digest of all ids and pictures (64 hex digits), whatever the order of the rows."""
        digest = hashlib.sha256()
        for item, path in zip(items.canonical_ids, self.paths(items), strict=True):
            digest.update(json.dumps([item, None if path is None else _picture_digest(path)]).encode())
        return digest.hexdigest()


def _picture_digest(path: Path) -> str:
    """Digest of a picture; it is read once a process as long as its size and time of change stay."""
    status = path.stat()
    return _read_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1 << 20)
def _read_digest(path: Path, size: int, changed: int) -> str:
    return file_sha256(path)


class ImageItemEncoder:
    """Image vectors of unit length; zeros for items without a picture.

    Args:
        model: Folder or name of a CLIP or SigLIP model and its image processor.
        column: Column of the item table that names the pictures.
        folder: Folder that relative names are taken from.
        batch_size: Pictures encoded at once.
        device: `cpu`, `cuda` …; None = a GPU where there is one.
        revision: Commit, tag or branch of a model that is found by its name; None = its main branch.

    Raises:
        ConfigError: A batch size below 1, or a revision of a folder.
    """

    def __init__(
        self,
        model: str = CLIP,
        column: str = "image",
        folder: str | Path | None = None,
        batch_size: int = 64,
        device: str | None = None,
        revision: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigError("batch_size must be at least 1", received=batch_size, remedy="give 64")
        self.model = str(model)
        self.template = ImageColumn(column, None if folder is None else Path(folder))
        self.batch_size = batch_size
        self.device = device
        self.revision = checked_revision(self.model, revision)
        self._loaded: tuple[Callable[..., Any], Any, str] | None = None

    @property
    def fitted(self) -> bool:
        """Always true: the model is frozen."""
        return True

    def fit(self, items: ItemTable) -> ImageItemEncoder:
        """Returns itself; a frozen model has nothing to learn from the items."""
        return self

    def encode(self, items: ItemTable) -> EmbeddingTable:
        """Vectors of all items, rows in `items.canonical_ids`.

        Raises:
            ConfigError: The model cannot be loaded.
            DataError: A picture that is not there or cannot be read, or no picture at all.
        """
        import torch
        from PIL import Image, UnidentifiedImageError

        paths = self.template.paths(items)
        there = [row for row, path in enumerate(paths) if path is not None]
        if not there:
            raise DataError(
                "no item has a picture", received=f"{len(items)} items", remedy="leave images out"
            )
        processor, model, device = self._load()
        vectors: np.ndarray | None = None
        for start in tqdm(range(0, len(there), self.batch_size), desc="encoding pictures", disable=None):
            rows = there[start : start + self.batch_size]
            pictures = []
            for row in rows:
                try:
                    with Image.open(str(paths[row])) as picture:
                        pictures.append(picture.convert("RGB"))
                except (OSError, UnidentifiedImageError) as error:
                    raise DataError(
                        f"{paths[row]} is no picture that can be read",
                        received=str(error),
                        remedy="mend the file, or leave the cell empty",
                    ) from error
            pixels = processor(images=pictures, return_tensors="pt")["pixel_values"].to(device)
            with torch.inference_mode():
                found = model.get_image_features(pixel_values=pixels)
            features = found if isinstance(found, torch.Tensor) else found.pooler_output  # [batch, d]
            unit = torch.nn.functional.normalize(features.float(), dim=1).cpu().numpy()
            if vectors is None:
                vectors = np.zeros((len(paths), unit.shape[1]), dtype=np.float32)
            vectors[rows] = unit
        logger.info("encoded %d pictures; %d items have none", len(there), len(paths) - len(there))
        return EmbeddingTable(items.canonical_ids, np.asarray(vectors))

    def fingerprint(self) -> str:
        """Digest of model and column; of the revision too, or of the files when they lie in a folder."""
        folder = Path(self.model)
        files = [*folder.glob("*.safetensors"), *folder.glob("*.json")] if folder.is_dir() else []
        digests = [file_sha256(path) for path in sorted(files)]
        revision = [] if self.revision is None else [self.revision]
        return fingerprint(
            [NAME, self.model if not digests else "", digests, self.template.column, *revision]
        )

    def save(self, folder: str | Path) -> None:
        """Writes the settings; never the weights."""
        settings = {
            "model": self.model,
            "column": self.template.column,
            "folder": None if self.template.folder is None else str(self.template.folder),
            "batch_size": self.batch_size,
            **({} if self.revision is None else {"revision": self.revision}),
        }
        with saved_artifact(folder, kind=KIND, facts={"encoder": NAME, "settings": settings}) as temporary:
            atomic_write_text(temporary / "model.txt", self.model + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> ImageItemEncoder:
        """Reads what `save` wrote; the model itself is loaded when something is encoded.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of encoder.
        """
        facts = open_artifact(folder, kind=KIND)
        try:
            if facts["encoder"] != NAME:
                raise ValueError(f"the encoder is {facts['encoder']!r}, not {NAME!r}")
            return cls(**facts["settings"])
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise ArtifactError(
                f"{folder} holds no image encoder that can be read",
                received=str(error),
                remedy="save it again",
            ) from error

    def _load(self) -> tuple[Callable[..., Any], Any, str]:
        if self._loaded is None:
            import torch
            from transformers import AutoImageProcessor, AutoModel

            try:
                revision = self.revision or "main"
                processor = AutoImageProcessor.from_pretrained(
                    self.model, revision=revision, trust_remote_code=False
                )
                model = AutoModel.from_pretrained(
                    self.model, revision=revision, use_safetensors=True, trust_remote_code=False
                )
            except (OSError, ValueError, ImportError) as error:
                raise ConfigError(
                    f"the image model {self.model!r} cannot be loaded",
                    received=str(error).splitlines()[0] if str(error) else type(error).__name__,
                    remedy="check the name or give a folder with model and image processor",
                ) from error
            if model.config.model_type not in ("clip", "siglip", "siglip2"):
                raise ConfigError(
                    f"{self.model!r} is no model of pictures and texts",
                    received=model.config.model_type,
                    remedy="give a CLIP or SigLIP model",
                )
            device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
            self._loaded = processor, model.to(device).eval(), device
        return self._loaded
