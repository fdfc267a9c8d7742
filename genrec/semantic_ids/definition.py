"""Item-tokenizer definitions: a YAML file to a quantizer and a collision policy.

Does not know items or encoders.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genrec.artifacts import named_file
from genrec.config import build, read_yaml
from genrec.errors import ConfigError
from genrec.quantization import FSQ, RQVAE, Normalize, Quantizer, ResidualKMeans

Collisions = Literal["matching", "extra_code"]


@dataclass(frozen=True)
class RqvaeSection:
    """Settings of `RQVAE`; see there."""

    hidden_dims: tuple[int, ...] = (512, 256, 128)
    latent_dim: int = 32
    num_codebooks: int = 3
    codebook_size: int = 256
    commitment: float = 0.25
    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 1e-3
    normalize: Normalize = "standardize"
    device: str | None = None


@dataclass(frozen=True)
class ResidualKMeansSection:
    """Settings of `ResidualKMeans`; see there."""

    num_codebooks: int = 3
    codebook_size: int = 256
    iterations: int = 100
    normalize: Normalize = "none"


@dataclass(frozen=True)
class FsqSection:
    """Settings of `FSQ`; see there."""

    levels: tuple[int, ...] = (8, 8, 8, 6, 5)
    num_chunks: int = 4
    hidden_dims: tuple[int, ...] = (512, 256, 128)
    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 1e-3
    normalize: Normalize = "standardize"
    device: str | None = None


@dataclass(frozen=True)
class ItemTokenizerDefinition:
    """A definition file: exactly one quantizer section, and what happens to items that share an ID.

    Attributes:
        rqvae: RQ-VAE.
        residual_kmeans: Residual k-means.
        fsq: Finite scalar quantization.
        collisions: `matching` moves colliding items to free last codes; `extra_code` appends a position.
        extra_code_size: Codes of the position that `extra_code` appends.

    Raises:
        ConfigError: Not exactly one quantizer section, or no codes for the extra position.
    """

    rqvae: RqvaeSection | None = None
    residual_kmeans: ResidualKMeansSection | None = None
    fsq: FsqSection | None = None
    collisions: Collisions = "matching"
    extra_code_size: int = 256

    def __post_init__(self) -> None:
        """Checks what one key alone cannot know."""
        sections = {"rqvae": self.rqvae, "residual_kmeans": self.residual_kmeans, "fsq": self.fsq}
        given = [name for name, section in sections.items() if section is not None]
        if len(given) != 1:
            raise ConfigError(
                "a definition needs exactly one quantizer section",
                received=", ".join(given) or "none",
                remedy=f"keep one of {', '.join(sections)}; `rqvae: {{}}` takes all defaults",
            )
        if self.extra_code_size < 1:
            raise ConfigError("extra_code_size must be at least 1", received=self.extra_code_size)

    @classmethod
    def load(cls, name_or_path: str | Path) -> ItemTokenizerDefinition:
        """Reads a definition by the name of a shipped one or the path of a file.

        Raises:
            ConfigError: There is no such definition, or it has unknown keys or wrong values, all named at
                once.
        """
        path = definition_path(name_or_path)
        return build(cls, read_yaml(path), source=str(path))

    def build_quantizer(self, seed: int = 0) -> Quantizer:
        """Makes the quantizer, not fitted yet.

        Raises:
            ConfigError: Its settings do not hold together.
        """
        if self.rqvae is not None:
            r = self.rqvae
            return RQVAE(
                hidden_dims=r.hidden_dims,
                latent_dim=r.latent_dim,
                num_codebooks=r.num_codebooks,
                codebook_size=r.codebook_size,
                commitment=r.commitment,
                epochs=r.epochs,
                batch_size=r.batch_size,
                learning_rate=r.learning_rate,
                normalize=r.normalize,
                device=r.device,
                seed=seed,
            )
        if self.residual_kmeans is not None:
            k = self.residual_kmeans
            return ResidualKMeans(
                num_codebooks=k.num_codebooks,
                codebook_size=k.codebook_size,
                iterations=k.iterations,
                normalize=k.normalize,
                seed=seed,
            )
        f = self.fsq or FsqSection()
        return FSQ(
            levels=f.levels,
            num_chunks=f.num_chunks,
            hidden_dims=f.hidden_dims,
            epochs=f.epochs,
            batch_size=f.batch_size,
            learning_rate=f.learning_rate,
            normalize=f.normalize,
            device=f.device,
            seed=seed,
        )


def definition_path(name_or_path: str | Path) -> Path:
    """File of a definition given by shipped name (``rqvae-4x256``) or by path.

    Raises:
        ConfigError: There is none; the nearest names are listed.
    """
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    name = str(name_or_path)
    return named_file("tokenizers", name if name.endswith(".yaml") else f"{name}.yaml")
