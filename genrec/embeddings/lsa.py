"""`LsaItemEncoder`: TF-IDF and truncated SVD, a content encoder that needs no weights.

Does not know what its vectors are used for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from genrec.artifacts import open_artifact, saved_artifact
from genrec.config import fingerprint
from genrec.data import ItemTable
from genrec.embeddings.embedding_table import EmbeddingTable
from genrec.embeddings.text_template import DEFAULT_FIELDS, TextTemplate
from genrec.errors import ArtifactError, ConfigError, DataError

KIND = "item_encoder"
NAME = "lsa"
MAX_TERMS = 50_000
ITERATIONS = 5  # power iterations of the randomised SVD


class LsaItemEncoder:
    """Latent semantic analysis of item texts: TF-IDF with sublinear counts, truncated SVD, unit length.

    An item whose text has no known term gets the zero vector. Directions the items do not span are zero, so
    the width is always `dim`. The same items give the same encoder, whatever the order of their rows.

    Args:
        fields: Item columns that are encoded, see `TextTemplate`.
        dim: Width of the vectors.
        seed: Seed of the randomised SVD.

    Raises:
        ConfigError: A width below 1, or fields that are no template.
    """

    def __init__(self, fields: Sequence[str] = DEFAULT_FIELDS, dim: int = 64, seed: int = 0) -> None:
        if dim < 1:
            raise ConfigError(
                "the width of LSA vectors must be at least 1", received=dim, remedy="give dim=64"
            )
        self.template = TextTemplate(tuple(fields))
        self.dim = dim
        self.seed = seed
        self._terms: list[str] | None = None
        self._idf = np.empty(0, dtype=np.float64)
        self._components = np.empty((0, dim), dtype=np.float32)

    @property
    def fitted(self) -> bool:
        """Whether `fit` was called or the encoder was loaded."""
        return self._terms is not None

    def fit(self, items: ItemTable) -> LsaItemEncoder:
        """Learns terms, their weights and the directions from all items.

        Raises:
            DataError: No text holds a single term.
        """
        from sklearn.utils.extmath import randomized_svd
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        vectorizer = _vectorizer(None)
        try:
            counts = vectorizer.fit_transform(self.template.texts(items))  # sparse [items, terms]
        except ValueError as error:
            raise DataError(
                "the item texts hold no term to learn from",
                received=f"{len(items)} items, fields {', '.join(self.template.fields)}",
                remedy="name fields that hold text, or give embeddings of your own",
            ) from error
        rank = min(self.dim, *counts.shape)
        with threadpool_limits(limits=1):  # the same vectors whatever the number of cores
            _, _, right = randomized_svd(counts, rank, n_iter=ITERATIONS, random_state=self.seed)
        self._terms = vectorizer.get_feature_names_out().tolist()
        self._idf = vectorizer.idf_.astype(np.float64)
        self._components = np.zeros((len(self._idf), self.dim), dtype=np.float32)  # [terms, dim]
        self._components[:, :rank] = right.T
        return self

    def encode(self, items: ItemTable) -> EmbeddingTable:
        """Vectors of all items, rows in `items.canonical_ids`; an encoder not fitted yet is fitted on them.

        Raises:
            DataError: The item table has none of the fields, or (when fitting) no term.
        """
        if self._terms is None:
            self.fit(items)
        vectorizer = _vectorizer(self._terms)
        vectorizer.idf_ = self._idf
        weights = vectorizer.transform(self.template.texts(items))  # sparse [items, terms]
        vectors = np.asarray(weights @ self._components.astype(np.float64))  # [items, dim]
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(length > 1e-12, length, 1.0)
        return EmbeddingTable(items.canonical_ids, vectors.astype(np.float32))

    def fingerprint(self) -> str:
        """Digest of the settings and of what was learned."""
        return fingerprint({"settings": self._settings(), "state": self._state_digest()})

    def save(self, folder: str | Path) -> None:
        """Writes settings and what was learned; `load_encoder` reads them back.

        Raises:
            DataError: The encoder is not fitted.
        """
        if self._terms is None:
            raise DataError("this encoder has learned nothing yet", remedy="call fit(items) before save")
        with saved_artifact(
            folder, kind=KIND, facts={"encoder": NAME, "settings": self._settings()}
        ) as temporary:
            (temporary / "terms.json").write_text(
                json.dumps(self._terms, ensure_ascii=False), encoding="utf-8"
            )
            save_file({"idf": self._idf, "components": self._components}, temporary / "lsa.safetensors")

    @classmethod
    def load(cls, folder: str | Path) -> LsaItemEncoder:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of encoder.
        """
        folder = Path(folder)
        facts = open_artifact(folder, kind=KIND)
        try:
            if facts["encoder"] != NAME:
                raise ValueError(f"the encoder is {facts['encoder']!r}, not {NAME!r}")
            encoder = cls(**facts["settings"])
            encoder._terms = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
            arrays = load_file(folder / "lsa.safetensors")
            encoder._idf, encoder._components = arrays["idf"], arrays["components"]
            if encoder._components.shape != (len(encoder._terms), encoder.dim):
                raise ValueError("terms and directions do not fit together")
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ArtifactError(
                f"{folder} holds no LSA encoder that can be read",
                received=str(error),
                remedy="fit and save it again",
            ) from error
        return encoder

    def _settings(self) -> dict[str, Any]:
        return {"fields": list(self.template.fields), "dim": self.dim, "seed": self.seed}

    def _state_digest(self) -> str | None:
        if self._terms is None:
            return None
        digest = hashlib.sha256(json.dumps(self._terms).encode())
        digest.update(self._idf.tobytes())
        digest.update(np.ascontiguousarray(self._components).tobytes())
        return digest.hexdigest()


def _vectorizer(terms: list[str] | None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
        max_features=MAX_TERMS,
        vocabulary=terms,
        dtype=np.float64,
    )
