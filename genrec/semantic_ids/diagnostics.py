"""`diagnose`: how well a set of Semantic IDs tells items apart and uses its codes.

Does not know items, vectors or quantizers: plain arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.config import to_mapping
from genrec.errors import SemanticIdError
from genrec.quantization import perplexity
from genrec.semantic_ids.code_groups import shared_rows, sort_rows
from genrec.semantic_ids.semantic_id_spec import END, SemanticIdSpec, checked_ids


@dataclass(frozen=True)
class IdDiagnostics:
    """Facts about the IDs of a catalog.

    Attributes:
        num_items: Items.
        codebook_sizes: Codes of each position.
        shared_before: Share of items whose native ID another item has too; None where native codes are not
            known.
        shared_after: The same for the IDs as they are; 0 in a catalog.
        largest_group_before: Items on the most crowded native ID; None where native codes are not known.
        largest_group_after: The same for the IDs as they are.
        moved: Share of items whose ID is not (or does not begin with) the native one; None where it is not
            known.
        codes_used: Codes of each position that some item has.
        perplexity: Exponential of the entropy of each position's codes; equal to the size when used evenly.
        gini: How unevenly the items of each position fall on all of its codes: 0 = evenly, near 1 = on one.
        terminated: Whether an ID may end before the last position.
    """

    num_items: int
    codebook_sizes: tuple[int, ...]
    shared_before: float | None
    shared_after: float
    largest_group_before: int | None
    largest_group_after: int
    moved: float | None
    codes_used: tuple[int, ...]
    perplexity: tuple[float, ...]
    gini: tuple[float, ...]
    terminated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        facts: dict[str, Any] = to_mapping(self)
        return facts

    def to_markdown(self) -> str:
        """A short report with one table row a position."""
        spec = SemanticIdSpec(self.codebook_sizes, self.terminated)
        length = f"{'1 to ' if self.terminated and spec.length > 1 else ''}{spec.length} codes"
        before = "not known" if self.shared_before is None else f"{self.shared_before:.1%}"
        crowd = (
            "" if self.largest_group_before is None else f" (at most {self.largest_group_before} on one ID)"
        )
        after = f"{self.shared_after:.1%} (at most {self.largest_group_after} on one ID)"
        moved = "" if self.moved is None else f"- IDs changed to make them unique: {self.moved:.1%}\n"
        lines = [
            f"- items: {self.num_items:,} on {spec.capacity:,} possible IDs of {length}",
            f"- items sharing an ID before: {before}{crowd}",
            f"- items sharing an ID after: {after}",
        ]
        table = ["| position | codes | used | perplexity | Gini |", "|---|---|---|---|---|"]
        for position, size in enumerate(self.codebook_sizes):
            letter = SemanticIdSpec.position_letter(position)
            table.append(
                f"| {letter} | {size} | {self.codes_used[position]} | {self.perplexity[position]:.1f} "
                f"| {self.gini[position]:.2f} |"
            )
        return "\n".join(lines) + "\n" + moved + "\n" + "\n".join(table) + "\n"

    def __str__(self) -> str:
        """The markdown report."""
        return self.to_markdown()


def diagnose(
    codes: np.ndarray,
    codebook_sizes: Sequence[int],
    native_codes: np.ndarray | None = None,
    *,
    terminated: bool = False,
) -> IdDiagnostics:
    """Measures IDs.

    Args:
        codes: int ``[n, L]``, one row an item.
        codebook_sizes: Codes of each position.
        native_codes: int ``[n, l]``, the codes before collisions were resolved, rows in the same order; they
            may be shorter.
        terminated: Whether -1 may stand behind the end of an ID; it counts as no code.

    Raises:
        SemanticIdError: Codes that are no matrix of the sizes' length, or that are out of range; native codes
            of other items.
    """
    spec = SemanticIdSpec(tuple(codebook_sizes), terminated)
    sizes, checked = spec.codebook_sizes, checked_ids(codes, spec)
    counts = [np.bincount(column[column != END], minlength=1) for column in checked.T]
    shared_before = largest_before = moved = None
    if native_codes is not None:
        native = np.asarray(native_codes)
        if native.ndim != 2 or len(native) != len(checked) or native.shape[1] > checked.shape[1]:
            raise SemanticIdError(
                "native codes must have a row for each ID, and no more positions than the IDs",
                received=f"native codes of shape {native.shape}, IDs of shape {checked.shape}",
                remedy="give the codes the quantizer gave to the same items, in the same order",
            )
        shared_before, largest_before = _crowding(native)
        moved = float((native != checked[:, : native.shape[1]]).any(axis=1).mean()) if len(native) else 0.0
    shared_after, largest_after = _crowding(checked)
    return IdDiagnostics(
        num_items=len(checked),
        codebook_sizes=sizes,
        shared_before=shared_before,
        shared_after=shared_after,
        largest_group_before=largest_before,
        largest_group_after=largest_after,
        moved=moved,
        codes_used=tuple(int((count > 0).sum()) for count in counts),
        perplexity=tuple(perplexity(count) for count in counts),
        gini=tuple(gini(count, size) for count, size in zip(counts, sizes, strict=True)),
        terminated=terminated,
    )


def gini(counts: np.ndarray, size: int) -> float:
    """Gini coefficient of how items fall on `size` codes, given the counts of the first of them."""
    ordered = np.sort(np.concatenate([counts, np.zeros(max(size - len(counts), 0))]))  # [size]
    total = float(ordered.sum())
    if total == 0:
        return 0.0
    ranks = np.arange(1, len(ordered) + 1)
    return float((2 * ranks - len(ordered) - 1) @ ordered / (len(ordered) * total))


def _crowding(codes: np.ndarray) -> tuple[float, int]:
    if not len(codes):
        return 0.0, 0
    order, starts = sort_rows(codes)
    return float(shared_rows(codes).mean()), int(np.diff(np.append(starts, len(order))).max())
