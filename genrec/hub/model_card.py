"""The model card of a bundle, made from what the bundle holds: nothing in it is written by hand.

Does not know how anything was measured or trained.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from genrec.catalog import Catalog
from genrec.hub.base_terms import BaseTerms, license_fields
from genrec.hub.bundle_facts import ITEM_LEVEL

TAGS = ("recommender-system", "generative-retrieval", "semantic-ids", "genrec")
EVAL_FILE = ".eval_results/genrec.yaml"
KEPT = {
    "all": "the item table with every column",
    "titles": "item ids and titles; the other columns were left out",
    "ids": "item ids only; titles and the other columns were left out",
}


@dataclass(frozen=True)
class CardFacts:
    """What a card is made from.

    Attributes:
        repo_id: Where it is published.
        kind: Kind of the bundle.
        facts: Of its manifest.
        settings: `settings.yaml`.
        recipe: `recipe.yaml`, as it is published.
        metrics: `metrics.json`.
        catalog: Its catalog.
        model_folder: Where the weights lie.
        terms: Of the base model, None for a model from scratch.
        chosen_license: The publisher's choice, None = none.
        dataset: Name on the hub of the data the metrics were measured on, where there is one.
    """

    repo_id: str
    kind: str
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    recipe: Mapping[str, Any]
    metrics: Mapping[str, Any]
    catalog: Catalog
    model_folder: Path
    terms: BaseTerms | None = None
    chosen_license: str | None = None
    dataset: str | None = None

    @property
    def report(self) -> Mapping[str, Any] | None:
        """The evaluation report on the test cases, None where there is none."""
        found = self.metrics.get("test")
        return found if isinstance(found, Mapping) and found.get("rankers") else None

    @property
    def own_row(self) -> Mapping[str, Any] | None:
        """The bundle's own row of the report."""
        rows = [] if self.report is None else self.report["rankers"]
        return next((row for row in rows if row["name"] == "genrec"), None)


def model_card(card: CardFacts) -> str:
    """The card as markdown with its metadata on top."""
    header = yaml.safe_dump(_metadata(card), sort_keys=False, allow_unicode=True, width=110)
    parts = [
        _opening(card),
        _usage(card),
        _metrics(card),
        _recipe(card),
        _catalog(card),
        _limits(card),
        _license(card),
        _made_with(card),
    ]
    return f"---\n{header}---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def eval_results(card: CardFacts) -> str | None:
    """The hub's file of evaluation results; None without results, or without a data set to name."""
    row = card.own_row
    if row is None or card.dataset is None or card.report is None:
        return None
    entries = []
    for metric, value in row["metrics"].items():
        lower, upper = row["intervals_95"].get(metric, (None, None))
        interval = "" if lower is None else f"95 % bootstrap interval over users [{lower:.4f}, {upper:.4f}], "
        entry = {
            "dataset": {"id": card.dataset, "task_id": _plain_name(metric)},
            "value": round(value, 6),
            "notes": f"{interval}{row['cases']} cases, full catalog, {card.report['masking']}",
        }
        date = card.report.get("facts", {}).get("date")
        entries.append(entry | ({"date": str(date)} if date else {}))
    return yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)


def _metadata(card: CardFacts) -> dict[str, Any]:
    fields: dict[str, Any] = license_fields(card.terms, card.chosen_license)
    fields |= {"library_name": "genrec", "tags": list(TAGS)}
    if card.terms is not None:
        fields["base_model"] = card.terms.name
        fields["base_model_relation"] = "adapter" if card.facts.get("base") else "finetune"
    row, report = card.own_row, card.report
    if row is None or report is None:
        return fields
    name = str(report.get("facts", {}).get("recipe") or card.recipe.get("name") or "test")
    results = []
    for metric, value in row["metrics"].items():
        results.append({"type": _plain_name(metric), "name": metric, "value": round(value, 6)})
        if metric in row["intervals_95"]:
            lower, upper = row["intervals_95"][metric]
            results[-1]["args"] = {"interval_95": [round(lower, 6), round(upper, 6)], "cases": row["cases"]}
    fields["model-index"] = [
        {
            "name": card.repo_id.rpartition("/")[2],
            "results": [
                {
                    "task": {"type": "sequential-recommendation", "name": "Sequential recommendation"},
                    "dataset": {
                        "type": card.dataset or _plain_name(name),
                        "name": card.dataset or name,
                        "split": "test",
                    },
                    "metrics": results,
                }
            ],
        }
    ]
    return fields


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"


def _opening(card: CardFacts) -> str:
    sizes = " x ".join(map(str, card.catalog.spec.codebook_sizes))
    what = "An item-level generator" if card.kind == ITEM_LEVEL else "A language model"
    if card.facts.get("base"):
        what = f"LoRA adapters and new token rows on [{card.facts['base']['name']}](https://huggingface.co/{card.facts['base']['name']})"
    elif card.terms is not None:
        what = f"A language model tuned from [{card.terms.name}](https://huggingface.co/{card.terms.name})"
    built = "\n\n**Built with Llama**" if card.terms is not None and card.terms.is_llama else ""
    parameters = num_parameters(card.model_folder)
    size = f" {parameters:,} weights are stored here." if parameters else ""
    return (
        f"# {card.repo_id.rpartition('/')[2]}\n\n"
        f"{what} that names the next item of a catalog of {card.catalog.num_active:,} items by its "
        f"Semantic ID ({sizes} codes), found by search along the catalog's trie: only items of the catalog "
        "come out, each at "
        f"most once.{size} Made with genrec.{built}"
    )


def _usage(card: CardFacts) -> str:
    item_level = card.kind == ITEM_LEVEL
    name = "ItemLevelRecommender" if item_level else "GenerativeRecommender"
    extra = "; adapters need `genrec-toolkit[train]`" if card.facts.get("base") else ""
    return "\n".join(
        [
            "## Use",
            "",
            "```python",
            f"from {'genrec.recommender' if item_level else 'genrec'} import {name}",
            "",
            f'recommender = {name}.from_pretrained("{card.repo_id}")',
            "history = recommender.items.item_ids[:3]  # what someone used, oldest first",
            "for item in recommender.recommend(history, k=5):",
            "    print(item.item_id, round(item.score, 2), item.title)",
            "```",
            "",
            f"Installed by `pip install genrec-toolkit`{extra}. Every file is checked against the manifest's "
            "sha256 when it is loaded.",
        ]
    )


def _metrics(card: CardFacts) -> str:
    report = card.report
    if report is None:
        return "## Metrics\n\nNone: this bundle was not evaluated on test cases before it was published."
    rows = report["rankers"]
    names = list(rows[0]["metrics"])
    lines = ["| ranker | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = []
        for metric in names:
            cell = f"{row['metrics'][metric]:.4f}"
            if metric in row["intervals_95"]:
                lower, upper = row["intervals_95"][metric]
                cell += f" [{lower:.4f}, {upper:.4f}]"
            cells.append(cell)
        title = "**this model**" if row["name"] == "genrec" else row["name"]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    facts = ", ".join(f"{name} {value}" for name, value in report.get("facts", {}).items())
    return (
        f"## Metrics\n\n{rows[0]['cases']:,} test cases, full catalog, hits counted per item, "
        f"{report['masking']}. "
        "In brackets: 95 % bootstrap intervals over users.\n\n"
        + "\n".join(lines)
        + f"\n\n{facts}.{_verdict(card, names)}"
    )


def _verdict(card: CardFacts, names: Sequence[str]) -> str:
    """Whether a baseline did better, by NDCG@10 where it was measured."""
    own, report = card.own_row, card.report
    if own is None or report is None:
        return ""
    metric = "ndcg@10" if "ndcg@10" in names else names[-1]
    others = [row for row in report["rankers"] if row is not own and row["name"] not in ("oracle",)]
    better = [row["name"] for row in others if row["metrics"][metric] > own["metrics"][metric]]
    if not others or not better:
        return ""
    return f" By {metric} these did better than this model: {', '.join(better)}."


def _recipe(card: CardFacts) -> str:
    if not card.recipe:
        return "## Training\n\nTrained from Python: no recipe is kept with it."
    shown = yaml.safe_dump(dict(card.recipe), sort_keys=False, allow_unicode=True, width=100).rstrip()
    name = card.recipe.get("name", "")
    return (
        f"## Training\n\nThe resolved recipe{f' `{name}`' if name else ''}; `genrec align` runs it again "
        f"(`recipe.yaml`).\n\n<details><summary>recipe</summary>\n\n```yaml\n{shown}\n```\n\n</details>"
    )


def _catalog(card: CardFacts) -> str:
    kept = KEPT[card.facts.get("items_kept", "all")]
    return (
        f"## Catalog\n\n{card.catalog.diagnostics().to_markdown().rstrip()}\n\nPublished with it: {kept}. "
        "User ids and histories are not in it."
    )


def _limits(card: CardFacts) -> str:
    lines = [
        "It knows the items of this revision's catalog and no others; an item that is taken up later has "
        "an ID, but the "
        "weights have not seen it.",
        "Scores are for ranking; they are no probabilities that someone will buy.",
        "It learned what people did before, with the biases of the shop they did it in.",
        "Histories are not stored, but weights are learned from them: publish no model of data you may "
        "not share.",
    ]
    longest = card.settings.get("max_history")
    if longest:
        lines.insert(1, f"Of a history the newest {longest} items count.")
    if card.report is None:
        lines.append("It was not evaluated on test cases.")
    if card.facts.get("items_kept") == "ids":
        lines.append(
            "Without titles `Recommendation.title` is empty, and without the item tokenizer no items can "
            "be added."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _license(card: CardFacts) -> str:
    fields = license_fields(card.terms, card.chosen_license)
    if card.terms is None:
        if card.chosen_license is None:
            return (
                "## Licence\n\nThe publisher has named none. genrec itself is Apache-2.0; that says nothing "
                "of these weights."
            )
        return f"## Licence\n\n{card.chosen_license}, the publisher's choice for weights from scratch."
    at = f" at revision `{card.terms.revision}`" if card.terms.revision else ""
    title = card.terms.license_name or fields["license"]
    link = f" ([text]({card.terms.license_link}))" if card.terms.license_link else ""
    notice = f"\n\n{card.terms.notice}" if card.terms.notice else ""
    return (
        f"## Licence\n\nTuned from [{card.terms.name}](https://huggingface.co/{card.terms.name}){at}, "
        f"whose terms go with it: {title}{link}.{notice}"
    )


def _made_with(card: CardFacts) -> str:
    found = card.facts.get("versions") or {}
    return (
        "Made with " + ", ".join(f"{name} {version}" for name, version in found.items()) + "."
        if found
        else ""
    )


def num_parameters(model_folder: Path) -> int:
    """Numbers stored in a folder's safetensors files, read from their headers."""
    total = 0
    for path in sorted(model_folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        total += sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    return total
