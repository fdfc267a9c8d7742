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
from genrec.quantization import Quantizer
from genrec.semantic_ids.index_method import Grouping, Indexing, IndexMethod
from genrec.semantic_ids.quantizer_sections import (
    AspectsSection,
    FsqSection,
    LfqSection,
    ProductSection,
    QuantizerSection,
    ResidualFsqSection,
    ResidualKMeansSection,
    RqvaeSection,
)

Collisions = Literal["matching", "extra_code", "sinkhorn_rounds"]


@dataclass(frozen=True)
class IndexMethodSection:
    """Settings of `IndexMethod`; see there."""

    method: Indexing = "collaborative"
    depth: int = 2
    branching: int = 20
    leaf_size: int = 100
    capacity: int = 16_384
    grouping: Grouping = "collaborative"

    def build(self, seed: int) -> IndexMethod:
        """Makes the index method."""
        return IndexMethod(
            self.method,
            depth=self.depth,
            branching=self.branching,
            leaf_size=self.leaf_size,
            capacity=self.capacity,
            grouping=self.grouping,
            seed=seed,
        )


@dataclass(frozen=True)
class ItemTokenizerDefinition:
    """A definition file: exactly one quantizer section, and what happens to items that share an ID.

    Attributes:
        rqvae: RQ-VAE.
        residual_kmeans: Residual k-means.
        product: Product quantization with a learned rotation (OPQ).
        aspects: Residual k-means in each of several fused embedding tables.
        fsq: Finite scalar quantization.
        residual_fsq: Residual finite scalar quantization.
        lfq: Lookup-free quantization: binary codes.
        index_method: IDs without vectors, see `IndexMethod`; they never collide, so `collisions` is unused.
        collisions: `matching` moves colliding items to free last codes; `extra_code` appends a position;
            `sinkhorn_rounds` spreads them over last codes as LC-Rec does.
        extra_code_size: Codes of the position that `extra_code` appends.

    Raises:
        ConfigError: Not exactly one quantizer section, or no codes for the extra position.
    """

    rqvae: RqvaeSection | None = None
    residual_kmeans: ResidualKMeansSection | None = None
    product: ProductSection | None = None
    aspects: AspectsSection | None = None
    fsq: FsqSection | None = None
    residual_fsq: ResidualFsqSection | None = None
    lfq: LfqSection | None = None
    index_method: IndexMethodSection | None = None
    collisions: Collisions = "matching"
    extra_code_size: int = 256

    def __post_init__(self) -> None:
        """Checks what one key alone cannot know."""
        sections = self._sections()
        given = [name for name, section in sections.items() if section is not None]
        if len(given) != 1:
            raise ConfigError(
                "a definition needs exactly one quantizer section, or an index_method",
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

    def build(self, seed: int = 0) -> Quantizer | IndexMethod:
        """Makes the quantizer or the index method, not fitted yet.

        Raises:
            ConfigError: Its settings do not hold together.
        """
        return next(section for section in self._sections().values() if section is not None).build(seed)

    def _sections(self) -> dict[str, QuantizerSection | IndexMethodSection | None]:
        return {
            "rqvae": self.rqvae,
            "residual_kmeans": self.residual_kmeans,
            "product": self.product,
            "aspects": self.aspects,
            "fsq": self.fsq,
            "residual_fsq": self.residual_fsq,
            "lfq": self.lfq,
            "index_method": self.index_method,
        }


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
