"""`RQVAE`: residual quantization inside an MLP autoencoder.

Does not know what the vectors stand for; torch is needed to fit it, not to use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genrec.errors import ConfigError, DataError
from genrec.quantization.additive_part import additive_part
from genrec.quantization.code_usage import training_facts
from genrec.quantization.fit_checkpoint import FitCheckpoint, vectors_digest
from genrec.quantization.latent_space import LatentSpace
from genrec.quantization.quantizer import checked_codes, checked_vectors, not_fitted
from genrec.quantization.residual_codebooks import ResidualCodebooks
from genrec.quantization.row_blocks import joined_blocks
from genrec.quantization.saved_quantizer import read_quantizer, write_quantizer
from genrec.quantization.vector_scaling import Normalize

if TYPE_CHECKING:
    from genrec.quantization.bottlenecks import MovingAverageBottleneck
    from genrec.quantization.gradient_codebooks import Alignment, GradientBottleneck

NAME = "rqvae"


@dataclass(frozen=True)
class RqvaeObjective:
    """What the codebooks of an `RQVAE` are trained on, beside the reconstruction.

    Attributes:
        commitment: Weight of the loss that draws latents to their codes (beta).
        codebooks: `ema` = codes follow the means of their latents; `gradient` = codes are trained by the
            loss, as in LC-Rec.
        uniform_mapping: Whether the last position spreads its latents evenly in training (LC-Rec, arXiv
            2311.09049, section 3.1.2): Sinkhorn, epsilon 0.003, 50 iterations, centred distances.
        alignment: Weight of LETTER's contrastive term to collaborative vectors (arXiv 2405.07314, equation
            3); above 0 they must be given to `fit`.
        diversity: Weight of LETTER's diversity of code assignment (equation 5).
        diversity_clusters: Clusters of codes of about even size for it.
        refit_decoder: Whether the decoder is fitted anew, in closed form, to the finished codes: its last
            layer, and one vector a code for what is missed then (a better decoder for codes that stay: Amara
            et al., arXiv 2112.09568). No code depends on it.

    Raises:
        ConfigError: A negative weight, fewer than 2 clusters, or a term that needs `codebooks="gradient"`.
    """

    commitment: float = 0.25
    codebooks: Literal["ema", "gradient"] = "ema"
    uniform_mapping: bool = False
    alignment: float = 0.0
    diversity: float = 0.0
    diversity_clusters: int = 10
    refit_decoder: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        weights = (self.commitment, self.alignment, self.diversity)
        if min(weights) < 0 or self.diversity_clusters < 2 or self.codebooks not in ("ema", "gradient"):
            raise ConfigError(
                "an RQVAE needs weights of at least 0, at least 2 clusters, and ema or gradient codebooks",
                received=f"weights {weights}, {self.diversity_clusters} clusters, {self.codebooks!r}",
                remedy="leave out what you do not need to change",
            )
        if self.codebooks == "ema" and (self.uniform_mapping or self.diversity > 0):
            raise ConfigError(
                "uniform mapping and diversity act on codebooks that are trained by gradients",
                received='codebooks="ema"',
                remedy='set codebooks="gradient"',
            )


_PLAIN = RqvaeObjective()


class RQVAE:
    """Residual-quantized autoencoder (TIGER, arXiv 2305.05065, section 3.1).

    An MLP encoder, `num_codebooks` residual codebooks over its latent, and the mirrored decoder, trained on
    the mean squared error. Codebooks start from k-means, dead codes are set anew. Codes are computed outside
    torch, so they are the same for any batch and on any device.

    Args:
        input_dim: Width of the vectors; None = taken from the first `fit`.
        hidden_dims: Widths of the encoder's hidden layers.
        latent_dim: Width of latent and codes.
        num_codebooks: Positions of the codes.
        codebook_size: Codes a position, whatever the number of vectors.
        objective: How the codebooks are trained; TIGER's, LC-Rec's and LETTER's differ here.
        epochs: Passes over the vectors.
        batch_size: Vectors a step.
        learning_rate: Peak rate of AdamW under a cosine schedule.
        normalize: See `VectorScaling`.
        device: Torch device to fit on; None = a GPU where there is one.
        seed: Seed of weights, codebooks and batches.

    Raises:
        ConfigError: A size below 1, or a rate that is not positive.
    """

    def __init__(
        self,
        input_dim: int | None = None,
        hidden_dims: Sequence[int] = (512, 256, 128),
        latent_dim: int = 32,
        num_codebooks: int = 3,
        codebook_size: int = 256,
        objective: RqvaeObjective = _PLAIN,
        epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        normalize: Normalize = "standardize",
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        if min(num_codebooks, codebook_size) < 1:
            raise ConfigError(
                "an RQVAE needs at least one codebook of at least one code",
                received=f"{num_codebooks} codebooks of {codebook_size}",
                remedy="give for example num_codebooks=3, codebook_size=256",
            )
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.objective = objective
        self.seed = seed
        self.latent_space = LatentSpace(
            input_dim=input_dim,
            hidden_dims=hidden_dims,
            latent_dim=latent_dim,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            normalize=normalize,
            device=device,
            seed=seed,
        )
        self.training_record: dict[str, Any] = {}
        self._books: ResidualCodebooks | None = None
        self._additive: list[np.ndarray] = []  # [K, d] a position, where the decoder was refitted

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each position."""
        return (self.codebook_size,) * self.num_codebooks

    @property
    def fitted(self) -> bool:
        """Whether it can encode."""
        return self._books is not None

    def fit(
        self,
        vectors: np.ndarray,
        checkpoint: str | Path | None = None,
        collaborative: np.ndarray | None = None,
    ) -> RQVAE:
        """Trains autoencoder and codebooks on float32 ``[n, d]``.

        Args:
            vectors: The vectors.
            checkpoint: As in `Quantizer.fit`.
            collaborative: float32 ``[n, c]``, collaborative vectors of the same rows, for the objective's
                alignment.

        Raises:
            ConfigError: Collaborative vectors are missing where the objective asks for them, or not asked
                for.
            DataError: No matrix of finite floats, an empty one, or another width than `input_dim`.
            TrainingError: The loss is not finite.
        """
        self._check_collaborative(vectors, collaborative)
        settings = self._settings()
        if collaborative is not None:
            settings["collaborative"] = vectors_digest(collaborative)
        kept = FitCheckpoint(checkpoint, NAME, settings, vectors)
        bottleneck, epochs = self.latent_space.fit(
            vectors,
            lambda: self._bottleneck(len(vectors)),
            warm_up_rows=self.codebook_size,
            kept=kept,
            side_loss=self._alignment(collaborative),
        )
        books = self._books = ResidualCodebooks(bottleneck.codebooks())
        self._additive = []
        if self.objective.refit_decoder:
            self._additive = self._refitted(vectors, books)
        self.training_record = training_facts(self, vectors) | {"epochs": epochs}
        kept.clear()
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes int32 ``[n, L]`` of float32 ``[n, d]``.

        Raises:
            DataError: Not fitted, another width, or no finite floats.
        """
        return self.latent_space.codes(vectors, self._ready().encode)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]``, in the space of the input.

        Raises:
            SemanticIdError: Codes that are out of range.
        """
        checked = checked_codes(codes, self.codebook_sizes)
        decoded = self.latent_space.decode(self._ready().decode(checked))
        for position, vectors in enumerate(self._additive):
            decoded += vectors[checked[:, position]]
        return decoded

    def last_code_distances(self, vectors: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, K]``, in the latent space, for each value of the last code."""
        books = self._ready()
        latents = self.latent_space.latents(vectors)
        return books.last_code_distances(latents, checked_codes(codes, self.codebook_sizes))

    def prefix_distances(self, vectors: np.ndarray, prefixes: np.ndarray) -> np.ndarray:
        """Squared distances float32 ``[n, m]``, in the latent space, to the prefixes ``[m, L - 1]``."""
        books = self._ready()
        latents = self.latent_space.latents(vectors)
        return books.prefix_distances(latents, checked_codes(prefixes, self.codebook_sizes[:-1]))

    def save(self, folder: str | Path) -> None:
        """Writes settings, weights, codebooks and the training record; `load_quantizer` reads them back.

        Raises:
            DataError: Not fitted.
        """
        codebooks = np.stack(self._ready().codebooks).astype(np.float32)  # [L, K, latent]
        arrays = {"codebooks": codebooks, **self.latent_space.arrays()}
        if self._additive:
            arrays["additive"] = np.stack(self._additive)  # [L, K, d]
        write_quantizer(folder, NAME, self._settings(), arrays, self.training_record)

    @classmethod
    def load(cls, folder: str | Path) -> RQVAE:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, altered, or another kind of quantizer.
        """
        with read_quantizer(folder, NAME) as (settings, arrays, record):
            objective = RqvaeObjective(**settings.pop("objective"))
            quantizer = cls(**settings, objective=objective)
            quantizer.latent_space.restore(arrays)
            quantizer._books = ResidualCodebooks(list(arrays["codebooks"]))
            quantizer._additive = list(arrays.get("additive", ()))
            quantizer.training_record = record
        return quantizer

    def _settings(self) -> dict[str, Any]:
        return {
            "latent_dim": self.latent_space.latent_dim,
            "num_codebooks": self.num_codebooks,
            "codebook_size": self.codebook_size,
            "objective": asdict(self.objective),
        } | self.latent_space.settings()

    def _ready(self) -> ResidualCodebooks:
        if self._books is None:
            raise not_fitted(self)
        return self._books

    def _bottleneck(self, rows: int) -> MovingAverageBottleneck | GradientBottleneck:
        from genrec.quantization.bottlenecks import MovingAverageBottleneck
        from genrec.quantization.gradient_codebooks import GradientBottleneck

        shape = (self.latent_space.latent_dim, self.num_codebooks, self.codebook_size)
        own = self.objective
        if own.codebooks == "ema":
            batch_size = min(self.latent_space.batch_size, rows)
            return MovingAverageBottleneck(*shape, own.commitment, batch_size)
        return GradientBottleneck(
            *shape, own.commitment, own.uniform_mapping, own.diversity_clusters, own.diversity
        )

    def _refitted(self, vectors: np.ndarray, books: ResidualCodebooks) -> list[np.ndarray]:
        space = self.latent_space
        space.refit_decoder(vectors, lambda latents: books.decode(books.encode(latents)))
        codes = space.codes(vectors, books.encode)
        decoded = joined_blocks(lambda one: space.decode(books.decode(codes[one])), len(codes))
        return additive_part(vectors - decoded, codes, self.codebook_sizes)

    def _alignment(self, collaborative: np.ndarray | None) -> Callable[[], Alignment] | None:
        if collaborative is None:
            return None
        from genrec.quantization.gradient_codebooks import Alignment

        return lambda: Alignment(collaborative, self.latent_space.latent_dim, self.objective.alignment)

    def _check_collaborative(self, vectors: np.ndarray, collaborative: np.ndarray | None) -> None:
        if (collaborative is not None) != (self.objective.alignment > 0):
            raise ConfigError(
                "an RQVAE takes collaborative vectors exactly if its objective aligns with them",
                received=f"alignment {self.objective.alignment}, "
                f"{'no ' if collaborative is None else ''}collaborative vectors",
                remedy="give fit(..., collaborative=) one vector an item, or set alignment to 0",
            )
        if collaborative is not None and len(checked_vectors(collaborative)) != len(vectors):
            raise DataError(
                "there must be one collaborative vector for each vector",
                received=f"{len(collaborative)} and {len(vectors)}",
                remedy="give both in the order of the items",
            )
