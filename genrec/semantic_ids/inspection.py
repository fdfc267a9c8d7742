"""`inspect_ids`: everything that can be said of a set of Semantic IDs, whoever made it.

Does not know catalogs, models or files: item ids, codes, and what is known of the items.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.config import to_mapping
from genrec.data import InteractionLog, ItemTable, co_occurrence
from genrec.embeddings import EmbeddingTable
from genrec.semantic_ids.agreement import (
    category_agreement,
    category_levels,
    neighbour_agreement,
    neighbour_pairs,
    prefix_groups,
    reconstruction_errors,
)
from genrec.semantic_ids.code_meanings import CodeMeaning, code_meanings
from genrec.semantic_ids.diagnostics import IdDiagnostics, diagnose
from genrec.semantic_ids.semantic_id_spec import END, SemanticIdSpec

SAMPLE = 20_000  # items that agreement and reconstruction look at, at most
PREFIXES = 150  # prefixes of two codes whose meaning is told

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IdInspection:
    """What was found; parts that the given data do not allow are None.

    Attributes:
        name: Of the IDs, for headings.
        usage: Use of the codes, and items that share an ID.
        counts: For each position, items of each code that is used, most frequent first.
        group_sizes: For each depth, items of each prefix, largest first.
        reconstruction: By depth, share of the vectors' variance that is not told by so many codes, on items
            held out.
        category_ami: By depth and category level, adjusted mutual information; None where prefixes have one
            item each.
        neighbour_share: By depth, share of co-occurrence neighbours with the same prefix.
        chance_share: By depth, share of all pairs of items with the same prefix.
        neighbour_auc: Probability that a neighbour shares a longer prefix than a random item; 0.5 = chance.
        meanings: Meanings of the first codes, then of the most frequent prefixes of two.
        points: float32 ``[m, 2]``, two principal directions of the vectors, for the picture.
        point_codes: First code of each point.
    """

    name: str
    usage: IdDiagnostics
    counts: tuple[np.ndarray, ...]
    group_sizes: tuple[np.ndarray, ...]
    reconstruction: tuple[float, ...] | None = None
    category_ami: tuple[tuple[float | None, ...], ...] | None = None
    neighbour_share: tuple[float, ...] | None = None
    chance_share: tuple[float, ...] | None = None
    neighbour_auc: float | None = None
    meanings: tuple[CodeMeaning, ...] = ()
    points: np.ndarray | None = None
    point_codes: np.ndarray | None = None

    @property
    def best_ami(self) -> float | None:
        """Highest agreement of a prefix with a category level; None where there is none."""
        values = [value for row in self.category_ami or () for value in row if value is not None]
        return max(values) if values else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; pictures' points are left out."""
        return {
            "name": self.name,
            "usage": self.usage.to_dict(),
            "prefixes": [len(sizes) for sizes in self.group_sizes],
            "largest_prefix": [int(sizes[0]) for sizes in self.group_sizes],
            "reconstruction_error": self.reconstruction,
            "category_ami": self.category_ami,
            "best_category_ami": self.best_ami,
            "neighbour_share": self.neighbour_share,
            "chance_share": self.chance_share,
            "neighbour_auc": self.neighbour_auc,
            "meanings": [to_mapping(meaning) for meaning in self.meanings],
        }

    def to_markdown(self) -> str:
        """The figures, one table row a position."""
        lines = [self.usage.to_markdown()]
        if self.neighbour_auc is not None:
            lines.append(
                "How often a co-occurrence neighbour shares a longer prefix than a random item: "
                f"{self.neighbour_auc:.3f} (0.5 = chance).\n"
            )
        columns: dict[str, list[str]] = {
            "prefixes": [f"{len(sizes):,}" for sizes in self.group_sizes],
            "largest": [f"{int(sizes[0]):,}" for sizes in self.group_sizes],
        }
        if self.reconstruction is not None:
            columns["variance not told"] = [f"{error:.3f}" for error in self.reconstruction]
        for level in range(len(self.category_ami[0]) if self.category_ami else 0):
            cells = [row[level] for row in self.category_ami or ()]
            columns[f"AMI, category level {level + 1}"] = ["" if c is None else f"{c:.3f}" for c in cells]
        if self.neighbour_share is not None and self.chance_share is not None:
            columns["neighbours with the same prefix"] = [f"{share:.3f}" for share in self.neighbour_share]
            columns["by chance"] = [f"{share:.3f}" for share in self.chance_share]
        lines.append("| first codes | " + " | ".join(columns) + " |")
        lines.append("|---|" + "---|" * len(columns))
        for depth in range(len(self.group_sizes)):
            lines.append(f"| {depth + 1} | " + " | ".join(cells[depth] for cells in columns.values()) + " |")
        return "\n".join(lines) + "\n"


def inspect_ids(
    item_ids: Sequence[str],
    codes: np.ndarray,
    spec: SemanticIdSpec,
    *,
    native_codes: np.ndarray | None = None,
    items: ItemTable | None = None,
    interactions: InteractionLog | None = None,
    embeddings: EmbeddingTable | None = None,
    name: str = "Semantic IDs",
) -> IdInspection:
    """Looks at IDs from every side that the data given allow.

    Beyond 20,000 items, agreement and reconstruction are measured on the first 20,000, so hand items over in
    canonical order.

    Args:
        item_ids: n items in canonical order.
        codes: int ``[n, L]``, -1 behind the end of a shorter ID where the spec is a terminated one.
        spec: Sizes of the positions.
        native_codes: int ``[n, l]``, codes before collisions were resolved.
        items: Titles for meanings, categories for agreement.
        interactions: The training part of a split: neighbours in the space of who had what.
        embeddings: Content vectors: reconstruction.
        name: For headings.

    Raises:
        DataError: Items without a row in the table, or without a vector.
        SemanticIdError: Codes that do not fit the spec.
    """
    usage = diagnose(codes, spec.codebook_sizes, native_codes, terminated=spec.terminated)
    groups = prefix_groups(codes)
    sample = slice(0, SAMPLE)
    if len(item_ids) > SAMPLE:
        logger.info("agreement is measured on %d of %d items", SAMPLE, len(item_ids))
    found: dict[str, Any] = {}
    if embeddings is not None:
        vectors = embeddings.vectors_for(item_ids[sample])
        found["reconstruction"] = tuple(reconstruction_errors(codes[sample], vectors)) or None
        found["points"] = _plane(vectors[:5_000])
        found["point_codes"] = codes[:5_000, 0]
    if items is not None:
        tokens = [spec.tokens(row) for row in codes.tolist()]
        found["meanings"] = (
            *code_meanings(items, item_ids, codes, tokens),
            *(
                code_meanings(items, item_ids, codes, tokens, depth=2, most=PREFIXES)
                if spec.length > 1
                else ()
            ),
        )
        if "categories" in items.columns:
            by_id = dict(zip(items.item_ids, items.table.column("categories").to_pylist(), strict=True))
            levels = category_levels([by_id[item] for item in item_ids[sample]])
            table = category_agreement([group[sample] for group in groups], levels)
            found["category_ami"] = tuple(map(tuple, table)) if levels else None
    if interactions is not None and len(item_ids) > 1:
        pairs = neighbour_pairs(co_occurrence(interactions, item_ids[sample]))
        if len(pairs):
            near, far, auc = neighbour_agreement(codes[sample], [group[sample] for group in groups], pairs)
            found |= {"neighbour_share": tuple(near), "chance_share": tuple(far), "neighbour_auc": auc}
    return IdInspection(
        name=name,
        usage=usage,
        counts=tuple(
            np.sort(np.unique(column[column != END], return_counts=True)[1])[::-1] for column in codes.T
        ),
        group_sizes=tuple(np.sort(np.bincount(group))[::-1] for group in groups),
        **found,
    )


def _plane(vectors: np.ndarray) -> np.ndarray:
    """Coordinates on the first two principal directions, float32 ``[n, 2]``."""
    centred = np.asarray(vectors, dtype=np.float64) - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    plane = centred @ directions[:, ::-1][:, :2]
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1]))).astype(np.float32)
