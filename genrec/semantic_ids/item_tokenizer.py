"""`ItemTokenizer`: encoder, quantizer and collision policy together give each item a Semantic ID of its own.

Does not know language models or users; a catalog keeps what it makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np

from genrec.artifacts import open_artifact, saved_artifact
from genrec.data import InteractionLog, ItemTable
from genrec.embeddings import EmbeddingTable, ItemEncoder, LsaItemEncoder, load_encoder
from genrec.errors import ArtifactError, ConfigError, DataError
from genrec.quantization import RQVAE, Quantizer, checked_codes, load_quantizer
from genrec.semantic_ids.definition import Collisions, ItemTokenizerDefinition
from genrec.semantic_ids.extra_code import resolve_extra_code
from genrec.semantic_ids.index_method import IndexMethod
from genrec.semantic_ids.matching import resolve_matching
from genrec.semantic_ids.semantic_id_spec import SemanticIdSpec, checked_ids
from genrec.semantic_ids.sinkhorn_rounds import resolve_sinkhorn_rounds
from genrec.semantic_ids.taken_ids import bearing_ids

KIND = "item_tokenizer"


class ItemTokenizer:
    """Items in, unique Semantic IDs out.

    Items are taken in canonical order, so the order of the item table's rows changes no ID.

    Args:
        quantizer: Vectors to codes; fitted by `fit`, or already. In its place, an `IndexMethod`, which needs
            no vectors and has no collisions.
        encoder: Items to vectors, where none are handed in; None = `LsaItemEncoder()`, unless `fit` is given
            vectors (then vectors must be given for new items too).
        collisions: `matching` moves items that share an ID to free last codes (`resolve_matching`);
            `extra_code` appends a position (`resolve_extra_code`); `sinkhorn_rounds` spreads them over the
            last codes, or fails (`resolve_sinkhorn_rounds`).
        extra_code_size: Codes of that position.

    Attributes:
        spec: Shape of the IDs, known before `fit`.
        native_codes: int32 ``[n, l]``, the quantizer's own codes of the items last encoded, in canonical
            order; None before.

    Raises:
        ConfigError: An unknown policy, or an extra position without codes.
    """

    def __init__(
        self,
        quantizer: Quantizer | IndexMethod,
        *,
        encoder: ItemEncoder | None = None,
        collisions: Collisions = "matching",
        extra_code_size: int = 256,
    ) -> None:
        if collisions not in get_args(Collisions) or extra_code_size < 1:
            raise ConfigError(
                "unknown collision policy, or an extra position without codes",
                received=f"collisions={collisions!r}, extra_code_size={extra_code_size}",
                remedy=f"use one of {', '.join(get_args(Collisions))}, and at least one extra code",
            )
        self.quantizer = quantizer
        self.encoder = None if isinstance(quantizer, IndexMethod) else encoder
        self.collisions = collisions
        self.extra_code_size = extra_code_size
        extra = (extra_code_size,) if collisions == "extra_code" and not self.is_index else ()
        unequal = isinstance(quantizer, IndexMethod) and quantizer.terminated
        self.spec = SemanticIdSpec((*quantizer.codebook_sizes, *extra), terminated=unequal)
        self.native_codes: np.ndarray | None = None

    @property
    def is_index(self) -> bool:
        """Whether IDs come from an `IndexMethod`, so that no vectors are wanted."""
        return isinstance(self.quantizer, IndexMethod)

    @property
    def aligns(self) -> bool:
        """Whether `fit` wants collaborative vectors, which its objective aligns with (LETTER)."""
        return isinstance(self.quantizer, RQVAE) and self.quantizer.objective.alignment > 0

    @property
    def needs_interactions(self) -> bool:
        """Whether `fit` learns from interactions."""
        return isinstance(self.quantizer, IndexMethod) and self.quantizer.needs_interactions

    @classmethod
    def from_definition(
        cls, name_or_path: str | Path, *, encoder: ItemEncoder | None = None, seed: int = 0
    ) -> ItemTokenizer:
        """Makes an item tokenizer from a definition file, by shipped name (``"rqvae-4x256"``) or path.

        Raises:
            ConfigError: No such definition, or one with unknown keys or wrong values.
        """
        definition = ItemTokenizerDefinition.load(name_or_path)
        return cls(
            definition.build(seed),
            encoder=encoder,
            collisions=definition.collisions,
            extra_code_size=definition.extra_code_size,
        )

    def fit(
        self,
        items: ItemTable,
        interactions: InteractionLog | None = None,
        embeddings: EmbeddingTable | None = None,
        collaborative: EmbeddingTable | None = None,
        checkpoint: str | Path | None = None,
    ) -> ItemTokenizer:
        """Fits encoder (where it has something to learn) and quantizer on all items.

        Args:
            items: The catalog's items.
            interactions: The training part of a split, for index methods that learn from it; quantizers see
                content only.
            embeddings: Content vectors; None = the encoder makes them.
            collaborative: Collaborative vectors of the same items, for an `RQVAE` whose objective aligns with
                them (LETTER).
            checkpoint: Folder in which the quantizer's finished parts are kept until the fit is done, so that
                an interrupted one goes on; see `Quantizer.fit`.

        Raises:
            ConfigError: Collaborative vectors for a quantizer that has no use for them.
            DataError: Items without a vector, or vectors that cannot be used.
        """
        if isinstance(self.quantizer, IndexMethod):
            self.quantizer.fit(items, interactions)
            return self
        if self.encoder is None and embeddings is None:
            self.encoder = LsaItemEncoder()
        if self.encoder is not None:
            self.encoder.fit(items)
        vectors = self._vectors(items, embeddings)
        if collaborative is None:
            self.quantizer.fit(vectors, checkpoint=checkpoint)
        elif isinstance(self.quantizer, RQVAE):
            self.quantizer.fit(
                vectors,
                checkpoint=checkpoint,
                collaborative=collaborative.vectors_for(items.canonical_ids),
            )
        else:
            raise ConfigError(
                "only an RQVAE with an alignment takes collaborative vectors",
                received=type(self.quantizer).__name__,
                remedy="leave out collaborative, or use a definition such as rqvae-letter-4x256",
            )
        return self

    def encode(
        self,
        items: ItemTable,
        embeddings: EmbeddingTable | None = None,
        taken_codes: np.ndarray | None = None,
    ) -> tuple[list[str], np.ndarray]:
        """Gives each item an ID that no other item of the table has.

        Items need not be those of `fit`. Which ID an item gets depends on all items encoded together, so
        encode a catalog as a whole, and items that join it later with its IDs as `taken_codes`.

        Args:
            items: Items to encode.
            embeddings: Their content vectors; None = the encoder makes them.
            taken_codes: int ``[m, L]``, IDs of other items that must stay theirs.

        Returns:
            Item ids in canonical order, and codes int32 ``[n, L]``.

        Raises:
            DataError: Not fitted, or items without a usable vector.
            SemanticIdError: No room for so many items, or `taken_codes` that are none of this tokenizer.
        """
        taken = None if taken_codes is None else checked_ids(taken_codes, self.spec)
        if isinstance(self.quantizer, IndexMethod):
            return items.canonical_ids, self.quantizer.encode(items, taken)
        if not self.quantizer.fitted:
            raise DataError(
                "this item tokenizer has learned nothing yet", remedy="call fit(items), or load one"
            )
        vectors = self._vectors(items, embeddings)
        native = self.quantizer.encode(vectors)
        self.native_codes = native
        if taken is not None:
            taken = bearing_ids(native, taken, self.spec.codebook_sizes)
        if self.collisions == "extra_code":
            codes = resolve_extra_code(native, self.extra_code_size, taken)
        elif self.collisions == "sinkhorn_rounds":
            codes = resolve_sinkhorn_rounds(
                native,
                self.spec.codebook_sizes,
                vectors,
                last_code_distances=self.quantizer.last_code_distances,
                taken_codes=taken,
            )
        else:
            codes = resolve_matching(
                native,
                self.spec.codebook_sizes,
                vectors,
                last_code_distances=self.quantizer.last_code_distances,
                prefix_distances=self.quantizer.prefix_distances,
                taken_codes=taken,
            )
        return items.canonical_ids, codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 ``[n, d]`` that IDs ``[n, L]`` stand for, in the space of the embeddings.

        Raises:
            DataError: An index method, whose IDs stand for no vectors.
            SemanticIdError: Codes that are out of range.
        """
        if isinstance(self.quantizer, IndexMethod):
            raise DataError(
                "IDs of an index method stand for no vectors",
                received=self.quantizer.method,
                remedy="decode IDs of a quantizer",
            )
        checked = checked_codes(codes, self.spec.codebook_sizes)
        return self.quantizer.decode(checked[:, : len(self.quantizer.codebook_sizes)])

    def save(self, folder: str | Path) -> None:
        """Writes quantizer, encoder and policy as one folder.

        Raises:
            DataError: Not fitted.
        """
        facts: dict[str, Any] = {
            "collisions": self.collisions,
            "extra_code_size": self.extra_code_size,
            "codebook_sizes": self.spec.codebook_sizes,
            "encoder": self.encoder is not None,
            "index_method": self.is_index,
        }
        with saved_artifact(folder, kind=KIND, facts=facts) as temporary:
            self.quantizer.save(temporary / "quantizer")
            if self.encoder is not None:
                self.encoder.save(temporary / "encoder")

    @classmethod
    def load(cls, folder: str | Path) -> ItemTokenizer:
        """Reads what `save` wrote.

        Raises:
            ArtifactError: The folder is missing, incomplete or altered.
        """
        folder = Path(folder)
        facts = open_artifact(folder, kind=KIND)
        quantizer: Quantizer | IndexMethod
        if facts.get("index_method"):
            quantizer = IndexMethod.load(folder / "quantizer")
        else:
            quantizer = load_quantizer(folder / "quantizer")
        encoder = load_encoder(folder / "encoder") if facts.get("encoder") else None
        try:
            tokenizer = cls(
                quantizer,
                encoder=encoder,
                collisions=facts["collisions"],
                extra_code_size=facts["extra_code_size"],
            )
            if list(tokenizer.spec.codebook_sizes) != facts["codebook_sizes"]:
                raise ValueError(f"codebook sizes {tokenizer.spec.codebook_sizes}")
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ArtifactError(
                f"the parts of the item tokenizer in {folder} do not fit together",
                received=str(error),
                remedy="fit and save it again",
            ) from error
        return tokenizer

    def _vectors(self, items: ItemTable, embeddings: EmbeddingTable | None) -> np.ndarray:
        if embeddings is not None:
            return embeddings.vectors_for(items.canonical_ids)
        if self.encoder is None:
            raise DataError(
                "this item tokenizer was fitted on vectors that were handed in, so it cannot make any itself",
                remedy="hand in embeddings= for these items too, or fit it with an encoder",
            )
        if not self.encoder.fitted:
            raise DataError("the encoder has learned nothing yet", remedy="call fit(items) first")
        return self.encoder.encode(items).vectors_for(items.canonical_ids)
