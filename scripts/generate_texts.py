"""Has a language model write search requests and preferences: what it takes first, the texts with --go.

Does not know recipes. Run it again after whatever stopped it: texts that are there are kept. Example:

    python scripts/generate_texts.py --items items.jsonl.gz --interactions interactions.csv.gz \
        --cache outputs/texts.jsonl --endpoint http://localhost:8000/v1 --model my-model

Then, in Python: `GeneratedTexts(items, model, "outputs/texts.jsonl")` as `queries` and `preferences` of
`TaskMixture.lc_rec`.
"""

from __future__ import annotations

import argparse
import sys

from genrec import GenRecError, InteractionLog, ItemTable
from genrec.tasks import ChatEndpoint, GeneratedTexts, LocalGenerator


def main() -> int:
    """Parses the command line, says what it takes, and has the texts written where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", required=True, help="item table; each item gets search requests")
    parser.add_argument(
        "--interactions",
        help="interaction log; users get preferences, of all but their last two interactions",
    )
    parser.add_argument("--cache", required=True, help="file that keeps the texts")
    parser.add_argument(
        "--model", required=True, help="name at the endpoint, or a folder or name of a local model"
    )
    parser.add_argument(
        "--endpoint", help="base of an OpenAI-compatible interface; without it the model is local"
    )
    parser.add_argument("--key-variable", help="environment variable that holds the endpoint's key")
    parser.add_argument("--num-queries", type=int, default=3, help="search requests of an item")
    parser.add_argument(
        "--prices", type=float, nargs=2, metavar=("ASKED", "SAID"), help="price of a million tokens each way"
    )
    parser.add_argument("--go", action="store_true", help="have the texts written")
    args = parser.parse_args()
    try:
        run(args)
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def run(args: argparse.Namespace) -> None:
    """Estimates and generates."""
    items = ItemTable.read(args.items)
    log = None
    if args.interactions:
        log = InteractionLog.read(args.interactions, items=items).leave_one_out().train
    if args.endpoint:
        model = ChatEndpoint(args.endpoint, args.model, api_key_variable=args.key_variable)
    else:
        model = LocalGenerator(args.model)
    source = GeneratedTexts(items, model, args.cache, num_queries=args.num_queries)
    prices = tuple(args.prices) if args.prices else None
    estimate = source.estimate(items.item_ids, log, price_per_million=prices)
    print(
        f"{estimate.calls} texts to write, {estimate.kept} are there: about {estimate.prompt_tokens} tokens "
        f"to ask, {estimate.answer_tokens} in answer"
        + (f", cost {estimate.cost:.2f}" if estimate.cost is not None else "")
    )
    if args.go:
        source.generate(items.item_ids, log)
    elif estimate.calls:
        print("nothing was asked yet; add --go to have them written")


if __name__ == "__main__":
    sys.exit(main())
