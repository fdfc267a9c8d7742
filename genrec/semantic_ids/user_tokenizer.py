"""`UserTokenizer`: a user's history in a few codes, by the quantizers that make items' IDs.

Does not know who a user is: a history of Semantic IDs in, codes out, nothing kept of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from genrec.artifacts import open_artifact, saved_artifact
from genrec.errors import ArtifactError, ConfigError, DataError, SemanticIdError
from genrec.quantization import Quantizer, ResidualKMeans, load_quantizer
from genrec.semantic_ids.semantic_id_spec import END

KIND = "user_tokenizer"
USER_CODEBOOK_SIZES = (64, 64, 64)  # the codes for which every vocabulary has tokens


class UserTokenizer:
    """User codes (ULMRec, arXiv 2412.12543): the vector of a history, quantized.

    An item's vector is the sum of its codes' vectors, so that a history of Semantic IDs is all that is
    needed, in training and in serving alike; a history's vector is their mean, newer items weighing more.

    Args:
        code_vectors: float `[codes of the position, d]` for each position of an item's ID, such as
            `genrec.catalog.code_vectors` gives.
        quantizer: Three codebooks of 64; None = `ResidualKMeans(3, 64)`.
        decay: Weight of an item against the next newer one.

    Raises:
        ConfigError: A quantizer of other sizes, or a decay outside (0, 1].
    """

    def __init__(
        self, code_vectors: Sequence[np.ndarray], quantizer: Quantizer | None = None, *, decay: float = 0.9
    ) -> None:
        self.quantizer = quantizer or ResidualKMeans(3, 64)
        if self.quantizer.codebook_sizes != USER_CODEBOOK_SIZES or not 0 < decay <= 1:
            raise ConfigError(
                "user codes are three of 64, for which vocabularies have tokens, with a decay up to 1",
                received=f"codebook sizes {self.quantizer.codebook_sizes}, decay {decay}",
                remedy="give a quantizer such as ResidualKMeans(3, 64), and a decay such as 0.9",
            )
        self.code_vectors = [np.asarray(vectors, dtype=np.float32) for vectors in code_vectors]
        self.decay = decay

    def fit(self, histories: Iterable[np.ndarray]) -> UserTokenizer:
        """Learns the codebooks from histories of the training part.

        Args:
            histories: int `[items, L]` each, oldest first, at least one item each; their order must not
                depend on the order of a log's rows where the same codes are wanted for it.

        Raises:
            DataError: No history.
        """
        vectors = [self.vector(history) for history in histories]
        if not vectors:
            raise DataError(
                "user codes are learned from histories", received="none", remedy="give a training log"
            )
        self.quantizer.fit(np.stack(vectors))
        return self

    def vector(self, history: np.ndarray) -> np.ndarray:
        """Weighted mean of a history's item vectors, float32 `[d]`.

        Args:
            history: int `[items, L]`, oldest first, at least one item; -1 behind the end of a shorter ID.

        Raises:
            SemanticIdError: An empty history, or codes that are none of these items'.
        """
        history = np.asarray(history)
        sizes = [len(vectors) for vectors in self.code_vectors]
        fits = history.ndim == 2 and history.shape[1] == len(sizes) and len(history) > 0
        if not fits or (history >= np.array(sizes)).any() or (history < END).any() or history[:, 0].min() < 0:
            raise SemanticIdError(
                "a user's codes are made of a history of Semantic IDs",
                received=f"codes of shape {history.shape} for codebooks of {sizes}",
                remedy="give the IDs of one item at least; a user without a history has no codes",
            )
        weights = self.decay ** np.arange(len(history), dtype=np.float64)[::-1]  # [items]
        items = sum(  # [items, d]
            np.where(history[:, p, None] == END, 0, vectors[history[:, p]])
            for p, vectors in enumerate(self.code_vectors)
        )
        return np.asarray(weights @ items / weights.sum(), dtype=np.float32)

    def encode(self, history: np.ndarray) -> np.ndarray:
        """User codes int32 `[3]` of one history, int `[items, L]`, oldest first.

        Raises:
            DataError: Not fitted.
            SemanticIdError: See `vector`.
        """
        return np.asarray(self.quantizer.encode(self.vector(history)[None])[0])

    def save(self, folder: str | Path) -> None:
        """Writes codebooks and code vectors; no user and no history is in them.

        Raises:
            DataError: Not fitted.
        """
        with saved_artifact(folder, kind=KIND, facts={"decay": self.decay}) as temporary:
            self.quantizer.save(temporary / "quantizer")
            arrays = {f"position_{p}": vectors for p, vectors in enumerate(self.code_vectors)}
            save_file(arrays, temporary / "code_vectors.safetensors")

    @classmethod
    def load(cls, folder: str | Path) -> UserTokenizer:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, incomplete or altered.
        """
        folder = Path(folder)
        facts: dict[str, Any] = open_artifact(folder, kind=KIND)
        try:
            arrays = load_file(folder / "code_vectors.safetensors")
            vectors = [arrays[f"position_{p}"] for p in range(len(arrays))]
            return cls(vectors, load_quantizer(folder / "quantizer"), decay=facts["decay"])
        except (OSError, KeyError, TypeError, SafetensorError, ConfigError) as error:
            raise ArtifactError(
                f"{folder} holds no user tokenizer that can be read",
                received=f"{type(error).__name__}: {error}",
                remedy="fit and save it again",
            ) from error
