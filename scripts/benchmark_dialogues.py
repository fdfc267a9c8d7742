"""Item recall per turn: a trained dialogue recipe beside BM25 and popularity, on dialogues it has not seen.

  python scripts/benchmark_dialogues.py redial-dialogue data/redial [KEY=VALUE ...] [--dialogues N] [--json F]

Every new item that the assistant names is one case, asked with what was said before the turn; items mentioned
before are masked, for every row alike. `dialogue` takes the first item of the reply, `dialogue + lead` the
one behind "Have you seen", `mentions` asks the same model with the mentioned items alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from genrec import GenerativeRecommender, GenRecError, InteractionLog, ItemTable, Recipe, RetrievalEvaluator
from genrec.baselines import BM25, Popularity
from genrec.data import Dialogues
from genrec.evaluation import DialogueCases, EvaluationResult, SearchEvaluator
from genrec.recommender import DialogueRanker

KS = (1, 10, 50)
TURNS = {"turn 1-3": (0, 3), "turn 4-7": (3, 7), "turn 8+": (7, 1000)}


def measured(recipe: Recipe, data: Path, most: int | None) -> tuple[DialogueCases, list[EvaluationResult]]:
    """The rows of the table on the same cases."""
    items = ItemTable.read(data / "items.jsonl.gz")
    train, test = (Dialogues.read(data / f"{name}.jsonl.gz", items=items) for name in ("train", "test"))
    recommender = GenerativeRecommender.from_pretrained(recipe.output_dir / "bundle")
    ids = recommender.catalog.item_ids
    cases = DialogueCases.of(Dialogues(test.dialogues[:most]), train=train, item_ids=ids)
    by_text = SearchEvaluator.of_dialogues(cases, ids, ks=KS)
    by_items = RetrievalEvaluator(cases.cases, item_ids=ids, ks=KS, mask_history=True)
    log = InteractionLog.read(data / "interactions.csv.gz", time="order")
    ranker, prompts = recommender.ranker, recommender.conversation.dialogue_prompts
    rows = [
        by_text.evaluate(DialogueRanker(ranker, prompts)),
        by_text.evaluate(DialogueRanker(ranker, prompts, lead="Have you seen", name="dialogue + lead")),
        by_items.evaluate(ranker),
        by_text.evaluate(BM25(items, ids)),
        by_items.evaluate(Popularity(log, ids)),
    ]
    return cases, rows


def main() -> int:
    """Parses the command line, measures, prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="a recipe whose bundle is trained")
    parser.add_argument("data", type=Path, help="what prepare_dialogues.py wrote")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--dialogues", type=int, help="so many of the test dialogues, the first ones")
    parser.add_argument("--quick", action="store_const", const=100, dest="dialogues", help="--dialogues 100")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_intermixed_args()
    try:
        recipe = Recipe.load(arguments.recipe, arguments.overrides)
        cases, results = measured(recipe, arguments.data, arguments.dialogues)
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    rows = []
    for result in results:
        name = {recipe.name: "mentions", "genrec": "mentions"}.get(result.name, result.name)
        values = {metric: result.metrics[metric] for metric in (f"recall@{k}" for k in KS)}
        hits = result.per_user["recall@10"]
        for part, (low, high) in TURNS.items():
            chosen = (cases.turns >= low) & (cases.turns < high)
            values[f"recall@10, {part} ({int(chosen.sum())} cases)"] = float(hits[chosen].mean())
        for metric, value in values.items():
            interval = [float(end) for end in result.intervals.get(metric, ())]
            shown = f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
            sys.stdout.write(f"{name:16} {metric:36} {value:.4f}{shown}\n")
            row = {"name": f"{name} {metric}", "value": value, "unit": "share", "goal": None, "met": None}
            rows.append({**row, "interval": interval})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
