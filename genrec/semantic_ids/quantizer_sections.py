"""The quantizer sections of an item-tokenizer definition, one a method, each of which makes its quantizer.

Does not know items, encoders or collisions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from genrec.quantization import (
    FSQ,
    LFQ,
    RQVAE,
    AspectQuantizer,
    Clustering,
    Normalize,
    ProductQuantizer,
    ResidualFSQ,
    ResidualKMeans,
    RqvaeObjective,
)


@dataclass(frozen=True)
class RqvaeSection:
    """Settings of `RQVAE` and its `RqvaeObjective`; see there."""

    hidden_dims: tuple[int, ...] = (512, 256, 128)
    latent_dim: int = 32
    num_codebooks: int = 3
    codebook_size: int = 256
    commitment: float = 0.25
    codebooks: Literal["ema", "gradient"] = "ema"
    uniform_mapping: bool = False
    alignment: float = 0.0
    diversity: float = 0.0
    diversity_clusters: int = 10
    refit_decoder: bool = False
    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 1e-3
    normalize: Normalize = "standardize"
    device: str | None = None

    def build(self, seed: int) -> RQVAE:
        """Makes the quantizer."""
        settings = _settings(self)
        objective = {field.name: settings.pop(field.name) for field in fields(RqvaeObjective)}
        return RQVAE(**settings, objective=RqvaeObjective(**objective), seed=seed)


@dataclass(frozen=True)
class ResidualKMeansSection:
    """Settings of `ResidualKMeans`; see there."""

    num_codebooks: int = 3
    codebook_size: int = 256
    iterations: int = 100
    clustering: Clustering = "kmeans"
    rows_per_code: int = 256
    normalize: Normalize = "none"

    def build(self, seed: int) -> ResidualKMeans:
        """Makes the quantizer."""
        return ResidualKMeans(**_settings(self), seed=seed)


@dataclass(frozen=True)
class AspectsSection:
    """Settings of `AspectQuantizer`; see there."""

    num_aspects: int = 2
    num_codebooks: int = 2
    codebook_size: int = 256
    iterations: int = 100

    def build(self, seed: int) -> AspectQuantizer:
        """Makes the quantizer."""
        return AspectQuantizer(**_settings(self), seed=seed)


@dataclass(frozen=True)
class ProductSection:
    """Settings of `ProductQuantizer`; see there."""

    num_codebooks: int = 32
    codebook_size: int = 256
    rotation_rounds: int = 20
    iterations: int = 25
    rows_per_code: int = 256
    normalize: Normalize = "none"

    def build(self, seed: int) -> ProductQuantizer:
        """Makes the quantizer."""
        return ProductQuantizer(**_settings(self), seed=seed)


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

    def build(self, seed: int) -> FSQ:
        """Makes the quantizer."""
        return FSQ(**_settings(self), seed=seed)


@dataclass(frozen=True)
class ResidualFsqSection:
    """Settings of `ResidualFSQ`; see there."""

    levels: tuple[int, ...] = (4, 4, 4, 4)
    num_codebooks: int = 4
    hidden_dims: tuple[int, ...] = (512, 256, 128)
    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 1e-3
    normalize: Normalize = "standardize"
    device: str | None = None

    def build(self, seed: int) -> ResidualFSQ:
        """Makes the quantizer."""
        return ResidualFSQ(**_settings(self), seed=seed)


@dataclass(frozen=True)
class LfqSection:
    """Settings of `LFQ`; see there."""

    bits: int = 8
    num_codebooks: int = 4
    entropy_weight: float = 0.1
    hidden_dims: tuple[int, ...] = (512, 256, 128)
    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 1e-3
    normalize: Normalize = "standardize"
    device: str | None = None

    def build(self, seed: int) -> LFQ:
        """Makes the quantizer."""
        return LFQ(**_settings(self), seed=seed)


QuantizerSection = (
    AspectsSection
    | RqvaeSection
    | ResidualKMeansSection
    | ProductSection
    | FsqSection
    | ResidualFsqSection
    | LfqSection
)


def _settings(section: QuantizerSection) -> dict[str, Any]:
    return {field.name: getattr(section, field.name) for field in fields(section)}
