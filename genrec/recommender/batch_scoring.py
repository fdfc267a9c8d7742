"""Lists for a file of users: in parts, resumable, shared out among processes, in constant memory.

Does not know what a list is made by, nor how many machines there are.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Container, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tqdm.auto import tqdm

from genrec.artifacts import MANIFEST, file_sha256
from genrec.config import fingerprint
from genrec.errors import ConfigError, DataError, is_count
from genrec.recommender.answer_file import answer_format, write_part
from genrec.recommender.batch_job import BatchJob
from genrec.recommender.recommendations import Recommendation, wanted_items
from genrec.recommender.user_file import User, UserFile

PART_SIZE = 2048  # users of a part: minutes on a CPU, seconds on a GPU
_NOTE_EVERY = 30.0  # seconds between lines of progress where there is no terminal

logger = logging.getLogger(__name__)


class CountedItems(Container[str], Sized, Protocol):
    """Items that can be counted and asked for."""


class BatchRecommender(Protocol):
    """Anything that recommends to many at once."""

    @property
    def catalog(self) -> CountedItems:
        """The items it knows."""
        ...

    def recommend_batch(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        *,
        exclude_history: bool = True,
        unknown: Literal["error", "skip"] = "error",
    ) -> list[list[Recommendation]]:
        """One list a history."""
        ...


@dataclass(frozen=True)
class BatchResult:
    """What a run of batch scoring did.

    Attributes:
        out: The file.
        users: Users of the file of users.
        made: Users whose lists this process made in this run.
        joined: Whether the output is there; if not, other processes are still at work, and the last joins.
        skipped: Whether it was there before.
    """

    out: Path
    users: int
    made: int
    joined: bool
    skipped: bool = False


def score_users(
    recommender: BatchRecommender,
    bundle: str | Path,
    users: str | Path,
    out: str | Path,
    *,
    k: int = 10,
    exclude_history: bool = True,
    unknown: Literal["error", "skip"] = "error",
    part_size: int = PART_SIZE,
    shard: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> BatchResult:
    """Recommends to every user of a file.

    All of the file is read and checked before anything is scored. A run that was killed goes on at the first
    part that is missing, and ends with the same file, byte for byte on the same machine with the same number
    of threads.

    Args:
        recommender: Makes the lists.
        bundle: Where it was loaded from; its manifest says which model the lists are of.
        users: A file as `UserFile` reads it.
        out: The output, `.parquet`, `.jsonl` or `.csv`; see `genrec.recommender.answer_file.join_parts`.
        k: Items a user.
        exclude_history: Leave out what a user's history holds.
        unknown: What to do about ids that are not in the catalog: raise, or leave them out.
        part_size: Users of a part. Lists of one part are searched together, so it is part of what the job is.
        shard: This process's number, from 0, and how many there are; None = as the launcher's environment
            (`RANK`, `WORLD_SIZE`) says. All need the same files.
        overwrite: Whether an output of another job may be replaced.

    Raises:
        DataError: The file of users cannot be used; nothing was scored.
        ArtifactError: The output, or parts of another job, are there already.
        ConfigError: A shard that is none of them, or a part without users.
        DecodingError: k below 1, or above 10,000 in a larger catalog.
    """
    number, count = _checked_shard(shard)
    if not is_count(part_size):
        raise ConfigError(
            "a part needs a user", received=f"part_size={part_size!r}", remedy="set it to 1 or more"
        )
    answer_format(Path(out))
    wanted_items(k, len(recommender.catalog))  # told before there is a job of this k
    file = UserFile(users)
    total = _check(file, recommender.catalog, unknown)
    facts = {
        "bundle": file_sha256(Path(bundle) / MANIFEST),
        "users": file_sha256(file.path),
        "k": k,
        "exclude_history": exclude_history,
        "unknown": unknown,
        "part_size": part_size,
    }
    job = BatchJob(Path(out), facts | {"job": fingerprint(facts)}, -(-total // part_size))
    if job.finished():
        return BatchResult(job.out, total, 0, joined=True, skipped=True)
    missing = {part for part in job.open(overwrite=overwrite) if part % count == number}
    own = sum(min(part_size, total - part * part_size) for part in missing)
    if len(missing) < len(range(number, job.num_parts, count)):
        logger.info("going on: %d of %d parts are done", job.num_parts - len(missing), job.num_parts)
    progress = Progress(own, shown=number == 0)
    for part, chosen in enumerate(file.parts(part_size) if missing else ()):
        if part not in missing:
            continue
        lists = recommender.recommend_batch(
            [user.history for user in chosen], k, exclude_history=exclude_history, unknown=unknown
        )
        answers = [[(found.item_id, found.score) for found in one] for one in lists]
        write_part(job.part(part), [user.user_id for user in chosen], answers)
        progress.add(len(chosen))
    progress.close()
    joined = job.join()
    return BatchResult(job.out, total, own, joined=joined is not None or job.finished())


def own_device(name: str = "auto") -> str:
    """The device of this process: `auto` is its local rank's accelerator where there is one, else the CPU."""
    if name != "auto":
        return name
    import torch

    if not torch.accelerator.is_available():
        return "cpu"
    kind = torch.accelerator.current_accelerator()
    count = torch.accelerator.device_count()
    return f"{kind}:{int(os.environ.get('LOCAL_RANK', '0')) % max(count, 1)}"


def _checked_shard(shard: tuple[int, int] | None) -> tuple[int, int]:
    if shard is None:
        shard = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    number, count = shard
    if not 0 <= number < count:
        raise ConfigError(
            "there is no such shard",
            received=f"shard {number} of {count}",
            remedy=f"shards of {max(count, 1)} are numbered 0 to {max(count, 1) - 1}",
        )
    return number, count


def _check(file: UserFile, catalog: Container[str], unknown: str) -> int:
    """Reads all users once; their number."""
    total, wrong = 0, 0
    first: tuple[User, str] | None = None
    for user in file:
        total += 1
        if unknown == "error":
            stranger = next((item for item in user.history if item not in catalog), None)
            if stranger is not None:
                wrong += 1
                first = first or (user, stranger)
    if not total:
        raise DataError(f"{file.path.name} has no users", received="no row", remedy="write a row a user")
    if first is not None:
        raise DataError(
            f"{file.path.name}: histories name items that are not in the catalog",
            received=f"{wrong:,} of {total:,} users, the first in line {first[0].place}: {first[1]!r}",
            remedy='leave these items out, or pass unknown="skip" (--skip-unknown)',
        )
    return total


class Progress:
    """Users done, the rate and the time that remains: a bar on a terminal, else a line now and then.

    Args:
        total: Users to do.
        shown: Whether this process shows any.
    """

    def __init__(self, total: int, *, shown: bool) -> None:
        self.total = total
        self.done = 0
        self.began = self.noted = time.monotonic()
        on_terminal = sys.stderr.isatty()
        self.noting = shown and not on_terminal
        self.bar = tqdm(total=total, desc="recommending", unit="user", disable=not (shown and on_terminal))

    def add(self, users: int) -> None:
        """Counts users that are done."""
        self.done += users
        self.bar.update(users)
        now = time.monotonic()
        if self.noting and now - self.noted >= _NOTE_EVERY:
            self.noted = now
            rate = self.done / max(now - self.began, 1e-9)
            left = (self.total - self.done) / rate
            logger.info(
                "%s of %s users, %.1f users/s, about %s left",
                f"{self.done:,}",
                f"{self.total:,}",
                rate,
                _duration(left),
            )

    def close(self) -> None:
        """Ends the bar."""
        self.bar.close()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
