"""Pictures of an inspection: use of codes, items a prefix, agreement by depth, and a map of the first codes.

Does not know how the numbers were made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from genrec.semantic_ids.inspection import IdInspection
from genrec.semantic_ids.semantic_id_spec import SemanticIdSpec

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
MOST_LINES = 8
MAP_CODES = 7  # first codes with a color of their own on the map


def draw_inspection(inspection: IdInspection, folder: Path) -> list[Path]:
    """Writes `usage.png`, `prefixes.png`, and where there is something to show `agreement.png` and `map.png`.

    Args:
        inspection: What was found.
        folder: Where the pictures go; it is there.

    Returns:
        The files.
    """
    drawn = [_usage(inspection, folder / "usage.png"), _prefixes(inspection, folder / "prefixes.png")]
    if inspection.reconstruction or inspection.category_ami or inspection.neighbour_share:
        drawn.append(_agreement(inspection, folder / "agreement.png"))
    if inspection.points is not None:
        drawn.append(_map(inspection, folder / "map.png"))
    return drawn


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for one in axes:
        one.grid(color="#eeeeee")
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _usage(inspection: IdInspection, path: Path) -> Path:
    """Left: items of each code, most frequent first. Right: codes there, codes used, and perplexity."""
    usage = inspection.usage
    figure, (left, right) = _figure(10, 3.8, 2)
    for position, counts in enumerate(inspection.counts[:MOST_LINES]):
        label = f"{SemanticIdSpec.position_letter(position)}  (Gini {usage.gini[position]:.2f})"
        left.plot(np.arange(1, len(counts) + 1), counts, color=COLORS[position], label=label, linewidth=1.6)
        if len(counts) == 1:
            left.plot([1], counts, "o", color=COLORS[position])
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlabel("codes, most frequent first")
    left.set_ylabel("items")
    left.set_title("Items of each code", loc="left", fontsize=10)
    left.legend(title="position", fontsize=8, title_fontsize=8, frameon=False)
    letters = [SemanticIdSpec.position_letter(p) for p in range(len(usage.codebook_sizes))]
    places = np.arange(len(letters))
    right.bar(places, usage.codebook_sizes, 0.8, color="#e8e8e8", label="codes")
    right.bar(places, usage.codes_used, 0.56, color="#56b4e9", label="used")
    right.bar(places, usage.perplexity, 0.3, color="#0072b2", label="perplexity")
    right.set_xticks(places, letters)
    if max(usage.codebook_sizes) > 50 * min(usage.codebook_sizes):
        right.set_yscale("log")
    right.set_xlabel("position")
    right.set_title("Codes that there are, that are used, and as if used evenly", loc="left", fontsize=10)
    right.grid(axis="x", visible=False)
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside lower right", ncols=3, fontsize=8, frameon=False
    )
    figure.savefig(path, dpi=130)
    return path


def _prefixes(inspection: IdInspection, path: Path) -> Path:
    """For each depth, how many items stand under a prefix of so many others."""
    figure, (axes,) = _figure(10, 3.6)
    for depth, sizes in enumerate(inspection.group_sizes[:MOST_LINES]):
        steps = np.unique(sizes)  # ascending
        share = np.array([sizes[sizes >= step].sum() for step in steps]) / sizes.sum()
        label = f"{depth + 1}: {len(sizes):,} prefixes, at most {int(sizes[0]):,} items"
        axes.step(steps, 100 * share, where="pre", color=COLORS[depth], label=label, linewidth=1.6)
        if len(steps) == 1:
            axes.plot(steps, [100], "o", color=COLORS[depth])
    axes.set_xscale("log")
    axes.set_ylim(0, 104)
    axes.set_xlabel("items under one prefix, at least")
    axes.set_ylabel("% of all items")
    axes.set_title("How crowded prefixes are", loc="left", fontsize=10)
    axes.legend(
        title="first codes",
        fontsize=8,
        title_fontsize=8,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    figure.savefig(path, dpi=130)
    return path


def _agreement(inspection: IdInspection, path: Path) -> Path:
    """Beside each other: what is not told of the vectors, categories, and neighbours, by depth."""
    panels = [
        (inspection.reconstruction, _draw_reconstruction),
        (inspection.category_ami, _draw_categories),
        (inspection.neighbour_share, _draw_neighbours),
    ]
    there = [draw for values, draw in panels if values]
    figure, axes = _figure(max(3.6 * len(there), 5), 3.4, len(there))
    depths = np.arange(1, len(inspection.group_sizes) + 1)
    for one, draw in zip(axes, there, strict=True):
        draw(inspection, one, depths)
        one.set_xlabel("first codes")
        if len(depths) <= 12:
            one.set_xticks(depths)
        one.set_xlim(0.7, len(depths) + 0.3)
    figure.savefig(path, dpi=130)
    return path


def _draw_reconstruction(inspection: IdInspection, axes: Any, depths: np.ndarray) -> None:
    axes.plot(depths, inspection.reconstruction, "o-", color=COLORS[0])
    axes.axhline(1, color="#999999", linestyle=":", linewidth=1)
    axes.set_ylim(0, max(1.08, 1.05 * max(inspection.reconstruction or (1,))))
    axes.set_title("Variance of the vectors not told", loc="left", fontsize=10)


def _draw_categories(inspection: IdInspection, axes: Any, depths: np.ndarray) -> None:
    table = inspection.category_ami or ()
    for level in range(min(len(table[0]), MOST_LINES)):
        values = [np.nan if row[level] is None else row[level] for row in table]
        axes.plot(depths, values, "o-", color=COLORS[level], label=f"level {level + 1}")
    axes.axhline(0, color="#999999", linestyle=":", linewidth=1)
    highest = inspection.best_ami or 0.0
    axes.set_ylim(-0.03, max(0.1, 1.15 * highest))
    axes.set_title("Agreement with categories (AMI)", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def _draw_neighbours(inspection: IdInspection, axes: Any, depths: np.ndarray) -> None:
    near, far = np.array(inspection.neighbour_share), np.array(inspection.chance_share)
    axes.plot(depths, 100 * near, "o-", color=COLORS[2], label="neighbours by co-occurrence")
    axes.plot(depths, 100 * far, "s--", color="#999999", label="any two items")
    axes.set_ylim(0, max(1.0, 130 * max(near.max(), far.max())))
    axes.set_title(f"% with the same prefix (AUC {inspection.neighbour_auc:.3f})", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def _map(inspection: IdInspection, path: Path) -> Path:
    """Items on two principal directions of their vectors; the most frequent first codes have colors."""
    figure, (axes,) = _figure(8, 5.2)
    points, codes = inspection.points, inspection.point_codes
    if points is None or codes is None:
        return path
    values, counts = np.unique(codes, return_counts=True)
    frequent = values[np.argsort(-counts, kind="stable")][:MAP_CODES]
    other = ~np.isin(codes, frequent)
    axes.scatter(*points[other].T, s=5, color="#d8d8d8", label="other codes", linewidths=0)
    words = {meaning.codes: meaning.words for meaning in inspection.meanings}
    for number, code in enumerate(frequent.tolist()):
        chosen = codes == code
        told = ", ".join(words.get((code,), ())[:3])
        label = f"<a_{code}>" + (f"  {told}" if told else "")
        axes.scatter(*points[chosen].T, s=9, color=COLORS[number], label=label, linewidths=0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_title(
        "Items on two principal directions of their vectors, by first code", loc="left", fontsize=10
    )
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2)
    figure.savefig(path, dpi=130)
    return path
