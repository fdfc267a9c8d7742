"""The page of an inspection: one HTML file with its pictures inside, readable without a network.

Does not know how the numbers were made. Texts of items are in it where meanings are.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from genrec.semantic_ids.code_meanings import CodeMeaning
from genrec.semantic_ids.inspection import IdInspection
from genrec.semantic_ids.semantic_id_spec import SemanticIdSpec

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222 }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { margin-bottom: .2rem } h2 { margin-top: 2.2rem }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .7rem; text-align: right; vertical-align: top }
th:first-child, td:first-child { text-align: left } th { background: #f4f4f4; font-weight: 600 }
img { max-width: 100% } .note { color: #666; max-width: 50rem }
.facts { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0 }
.facts div { background: #f4f7fa; border-radius: .5rem; padding: .6rem 1rem; min-width: 8rem }
.facts b { display: block; font-size: 1.5rem; line-height: 1.3 } .facts .bad b { color: #b23b00 }
.meanings td { text-align: left } .meanings td:nth-child(2) { text-align: right }
.meanings small { color: #777 } code { background: #f4f4f4; padding: 0 .25rem; white-space: nowrap }
input { font: inherit; padding: .3rem .6rem; width: 22rem; max-width: 100% }
"""

FILTER = """
const field = document.getElementById("filter");
if (field) field.addEventListener("input", () => {
  const wanted = field.value.toLowerCase();
  for (const row of document.querySelectorAll(".meanings tbody tr"))
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
"""

PICTURES = {
    "usage": "A flat line, and a perplexity near the number of codes, mean that a position is used evenly.",
    "prefixes": "Read: so many percent of the items stand under a prefix with at least so many items.",
    "agreement": "Variance is measured on items held out from a linear decoder of the codes: codes that say "
    "nothing stay near 1. AMI is 0 by chance, 1 for the same partition, and left out where most prefixes "
    "(or categories) have one item. AUC: how often a neighbour shares a longer prefix than a random item, "
    "0.5 by chance.",
    "map": "First codes that mean something lie together.",
}


def inspection_page(inspection: IdInspection, pictures: Sequence[Path]) -> str:
    """Returns the page.

    Args:
        inspection: What was found.
        pictures: PNG files that are put inside.
    """
    parts = [
        f"<h1>{escape(inspection.name)}</h1>",
        _facts(inspection),
        "<h2>Positions</h2>",
        _positions(inspection),
        "<h2>Prefixes</h2>",
        _prefixes(inspection),
    ]
    for path in pictures:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        parts.append(f'<p><img alt="{escape(path.stem)}" src="data:image/png;base64,{data}"></p>')
        parts.append(f'<p class="note">{PICTURES.get(path.stem, "")}</p>')
    if inspection.meanings:
        parts.append(_meanings(inspection.meanings))
    head = f'<meta charset="utf-8"><title>{escape(inspection.name)}</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n'
        f"<script>{FILTER}</script>\n</body></html>\n"
    )


def _facts(inspection: IdInspection) -> str:
    usage = inspection.usage
    used = sum(usage.codes_used) / sum(usage.codebook_sizes)
    tiles = [("items", f"{usage.num_items:,}", False), ("codes used", f"{used:.0%}", used < 0.5)]
    shared = f"{usage.shared_after:.1%}"
    tiles.append(("share an ID", shared, usage.shared_after > 0))
    if usage.shared_before is not None:
        tiles.append(("shared one before", f"{usage.shared_before:.1%}", False))
    tiles.append(("largest group", f"{usage.largest_group_after:,}", usage.largest_group_after > 1))
    if inspection.best_ami is not None:
        tiles.append(("best AMI with categories", f"{inspection.best_ami:.2f}", False))
    if inspection.neighbour_auc is not None:
        tiles.append(("neighbours' AUC", f"{inspection.neighbour_auc:.3f}", inspection.neighbour_auc < 0.55))
    if inspection.reconstruction:
        tiles.append(("variance not told", f"{inspection.reconstruction[-1]:.2f}", False))
    shown = [f"<div{' class=bad' if bad else ''}><b>{value}</b>{label}</div>" for label, value, bad in tiles]
    return f'<div class="facts">{"".join(shown)}</div>'


def _positions(inspection: IdInspection) -> str:
    usage = inspection.usage
    rows = [
        [
            SemanticIdSpec.position_letter(position),
            f"{size:,}",
            f"{usage.codes_used[position]:,} ({usage.codes_used[position] / size:.0%})",
            f"{usage.perplexity[position]:.1f}",
            f"{usage.gini[position]:.2f}",
            f"{int(inspection.counts[position].max(initial=0)):,}",
        ]
        for position, size in enumerate(usage.codebook_sizes)
    ]
    return _table(["position", "codes", "used", "perplexity", "Gini", "items of the largest"], rows)


def _prefixes(inspection: IdInspection) -> str:
    levels = len(inspection.category_ami[0]) if inspection.category_ami else 0
    head = ["first codes", "prefixes", "largest"]
    head += ["variance not told"] if inspection.reconstruction else []
    head += [f"AMI, level {level + 1}" for level in range(levels)]
    head += ["neighbours with the same", "by chance"] if inspection.neighbour_share else []
    rows = []
    for depth, sizes in enumerate(inspection.group_sizes):
        row = [str(depth + 1), f"{len(sizes):,}", f"{int(sizes[0]):,}"]
        row += [f"{inspection.reconstruction[depth]:.3f}"] if inspection.reconstruction else []
        if inspection.category_ami:
            row += ["" if value is None else f"{value:.3f}" for value in inspection.category_ami[depth]]
        if inspection.neighbour_share and inspection.chance_share:
            row += [f"{inspection.neighbour_share[depth]:.1%}", f"{inspection.chance_share[depth]:.1%}"]
        rows.append(row)
    return _table(head, rows)


def _meanings(meanings: Sequence[CodeMeaning]) -> str:
    rows = []
    for meaning in meanings:
        categories = ", ".join(
            f"{escape(name)} <small>{share:.0%}</small>" for name, share in meaning.categories
        )
        tokens = " ".join(f"<code>{escape(token)}</code>" for token in meaning.tokens)
        titles = "<br>".join(escape(title[:90]) for title in meaning.titles if title)
        words = escape(", ".join(meaning.words))
        rows.append([tokens, f"{meaning.num_items:,}", words, categories, f"<small>{titles}</small>"])
    table = _table(["code", "items", "distinctive words", "categories", "items such as"], rows)
    return (
        "<h2>What codes mean</h2>"
        '<p class="note">First codes, then the most frequent prefixes of two. Words tell the items of a code '
        "from all others; categories that nearly all items have are left out.</p>"
        '<p><input id="filter" type="search" placeholder="filter by word, category or code"></p>'
        f'<div class="meanings">{table}</div>'
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"
