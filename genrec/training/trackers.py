"""Which experiment trackers a run reports to, and whether their packages are there.

Does not know what is reported: transformers' callbacks send what the trainer logs.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Sequence

from genrec.errors import TrainingError

# tracker: packages of which one must be installed
PACKAGES = {"trackio": ("trackio",), "tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",)}


def check_trackers(report_to: str | Sequence[str] | None) -> None:
    """Refuses trackers whose package is missing before anything is trained.

    Args:
        report_to: One name or several; "none" and None are no tracker. Names that transformers knows beside
            ours are left to it.

    Raises:
        TrainingError: The package of a tracker is not installed, or a name is mistyped.
    """
    names = [report_to] if isinstance(report_to, str) else list(report_to or ())
    for name in names:
        packages = PACKAGES.get(name)
        if packages is None:
            near = difflib.get_close_matches(name, PACKAGES, n=1)
            if near:
                raise TrainingError(
                    "unknown tracker", received=f"report_to={name!r}", remedy=f"did you mean {near[0]!r}?"
                )
        elif not any(importlib.util.find_spec(package) for package in packages):
            raise TrainingError(
                f"the tracker {name} is not installed",
                received=f"report_to={name!r}",
                remedy=f"pip install {packages[0]}, or set report_to to 'none'",
            )
