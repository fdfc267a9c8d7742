"""Times the building of training rows against the chat template and the text tokenizer for every sample.

    python scripts/benchmark_samples.py items.jsonl.gz interactions.csv.gz

Rows come from `TaskMixture.lc_rec` with prompted `seqrec`. The other side gets every row's messages ready
as texts, so that it does nothing but render the chat template and tokenise: once, where one call on the whole
row is enough, and twice, as a trainer does that needs to know where the prompt ends (prompt alone, prompt and
answer). With `--users N` the rows of N made-up users of 10 interactions are built too, for their memory.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec import (
    Catalog,
    GenRecError,
    InteractionLog,
    ItemTable,
    SemanticIdSpec,
    SemanticIdVocabulary,
    TaskMixture,
)
from genrec.tasks import PromptBuilder, PromptedSeqRec, Sequences, TaskOptions
from genrec.vocabulary import train_text_tokenizer

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MESSAGES = re.compile(
    r"<\|im_start\|>user\n(.*)<\|im_end\|>\n<\|im_start\|>assistant\n(.*)<\|im_end\|>", re.S
)
SIZES = (256, 256, 256)


def text_tokenizer_of(items: ItemTable) -> Any:
    """A byte-level text tokenizer of the items' texts with a chat template."""
    text_tokenizer = train_text_tokenizer(items.texts(("title", "brand", "description")), 16384)
    text_tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    text_tokenizer.chat_template = CHAT_TEMPLATE
    return text_tokenizer


def seconds(work: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """CPU seconds a call, the least of five passes; other programs on the machine do not count."""
    took = []
    for _ in range(5):
        began = time.process_time()
        for argument in arguments:
            work(argument)
        took.append((time.process_time() - began) / len(arguments))
    return min(took)


def compare(mixture: TaskMixture, builder: PromptBuilder, rows: int) -> None:
    """Prints CPU microseconds a row for every task, and for the whole mixture."""
    text_tokenizer: Any = builder.text_tokenizer
    ends = np.cumsum([0, *mixture.counts])
    sys.stdout.write("task               tokens  genrec us  template us  twice us  ratio  ratio twice\n")
    total = np.zeros(3)
    for number, task in enumerate(mixture.tasks):
        chosen = np.random.default_rng(0).integers(ends[number], ends[number + 1], rows).tolist()
        built = [mixture.row(index, 0, builder)["input_ids"] for index in chosen]
        talks = []
        for ids in built:
            user, assistant = MESSAGES.match(builder.decode(ids)).groups()  # type: ignore[union-attr]
            talks.append([{"role": "user", "content": user}, {"role": "assistant", "content": assistant}])

        def rendered(messages: list[dict[str, str]], prompt_only: bool = False) -> object:
            text = text_tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=prompt_only
            )
            return text_tokenizer(text, add_special_tokens=False)["input_ids"]

        ours = seconds(lambda index: mixture.row(index, 0, builder), chosen)
        once = seconds(rendered, talks)
        twice = seconds(lambda talk: (rendered(talk[:1], True), rendered(talk)), talks)
        total += mixture.counts[number] * np.array([ours, once, twice])
        tokens = sum(map(len, built)) / rows
        sys.stdout.write(
            f"{task.name:18} {tokens:6.0f} {ours * 1e6:10.1f} {once * 1e6:12.1f} {twice * 1e6:9.1f} "
            f"{once / ours:6.1f} {twice / ours:12.1f}\n"
        )
    sys.stdout.write(
        f"all rows of an epoch: {total[1] / total[0]:.1f} times as fast as one call a row, "
        f"{total[2] / total[0]:.1f} times as fast as two\n"
    )


def many_users(catalog: Catalog, builder: PromptBuilder, users: int) -> None:
    """Prints what the rows of many users take."""
    rows = np.random.default_rng(0).integers(len(catalog), size=10 * users).astype(np.int32)
    sequences = Sequences(rows, np.arange(0, 10 * users + 1, 10), np.arange(len(rows)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    task = PromptedSeqRec(catalog.codes, sequences)
    mixture = TaskMixture(catalog, [task], caps={"seqrec": users // 2})
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(0, len(mixture), max(1, len(mixture) // 20000)):
        mixture.row(index, 3, builder)
    read = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(
        f"{users} users, {len(rows)} interactions: {(made - before) / 1024:.0f} MiB at most to set up, "
        f"{(read - made) / 1024:.1f} MiB more after 20,000 rows\n"
    )


def main() -> int:
    """Reads the data, makes IDs up, compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("items", type=Path)
    parser.add_argument("interactions", type=Path)
    parser.add_argument("--rows", type=int, default=2000, help="rows timed of every task")
    parser.add_argument("--users", type=int, default=0, help="made-up users whose rows are built too")
    arguments = parser.parse_args()
    try:
        items = ItemTable.read(arguments.items)
        split = InteractionLog.read(arguments.interactions, time="order").leave_one_out()
        numbers = np.random.default_rng(0).choice(np.prod(SIZES), len(items), replace=False)
        codes = np.stack(np.unravel_index(numbers, SIZES), axis=1)  # [items, 3]
        catalog = Catalog(items.item_ids, codes, SemanticIdSpec(SIZES))
        text_tokenizer = text_tokenizer_of(items)
        vocabulary = SemanticIdVocabulary.extend(text_tokenizer, catalog.spec)
        mixture = TaskMixture.lc_rec(
            catalog, items, split.train, options={"seqrec": TaskOptions(form="prompted")}
        )
        builder = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary, template=mixture.template)
        compare(mixture, builder, arguments.rows)
        if arguments.users:
            many_users(catalog, builder, arguments.users)
    except GenRecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
