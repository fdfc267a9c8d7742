"""Launch target of `accelerate launch`: trains a recipe in as many processes as the launcher starts.

accelerate launch --config_file recipes/accelerate/cpu2.yaml scripts/align.py quickstart [KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import logging
import sys

from genrec.cli.failure import failed
from genrec.errors import GenRecError
from genrec.pipeline import align
from genrec.recipe import Recipe
from genrec.training import process_state


def main() -> int:
    """Parses the command line, trains, and reports from the first process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="shipped recipe's name, recipe folder or recipe file")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as align.max_steps=8")
    parser.add_argument("--from", dest="start_from", metavar="BUNDLE", help="go on from this bundle")
    arguments = parser.parse_intermixed_args()
    state = process_state()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("genrec").setLevel(logging.INFO if state.is_main_process else logging.ERROR)
    try:
        result = align(Recipe.load(arguments.recipe, arguments.overrides, start_from=arguments.start_from))
    except GenRecError as error:
        return failed(error)
    if state.is_main_process:
        sys.stdout.write(f"[{result.stage}] {result.message}\nworld size: {state.num_processes}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
