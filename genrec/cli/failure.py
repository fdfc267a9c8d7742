"""How an error ends a command: told once a host, though every process of a launch may meet it.

Does not know commands.
"""

from __future__ import annotations

import os
import sys
import time

from genrec.errors import GenRecError, TrainingInterrupted

PATIENCE = 60.0  # seconds; launchers end the other processes well before, once one has failed


def failed(error: GenRecError | str) -> int:
    """Prints an error and returns the exit status of this process, which is never 0.

    Launchers tell a process its rank in `LOCAL_RANK` and `RANK`, before any of them is connected. The first
    process of a host prints at once. Another one waits: if all meet the same error, the launcher ends it
    meanwhile; if not, it prints what it alone has met. Of training that was asked to stop, which all
    processes do together, only the very first one tells.
    """
    place = int(os.environ.get("LOCAL_RANK", "0"))
    if isinstance(error, TrainingInterrupted):
        if int(os.environ.get("RANK", "0")):
            return 1
    elif place:
        time.sleep(PATIENCE)
    where = f" (process {place} of this host)" if place else ""
    sys.stderr.write(f"error{where}: {error}\n")
    return 1
