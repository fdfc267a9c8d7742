"""The `Ranker` protocol: what keeps to it, and that it stays light."""

from __future__ import annotations

import inspect
import subprocess
import sys

from genrec import baselines
from genrec.ranking import Ranker


def test_every_baseline_has_the_protocols_parameters() -> None:
    wanted = list(inspect.signature(Ranker.rank).parameters)
    rankers = [value for name, value in vars(baselines).items() if inspect.isclass(value)]
    assert {ranker.__name__ for ranker in rankers} >= {"Popularity", "ItemKNN", "ContentKNN", "RandomRanker"}
    for ranker in rankers:
        assert list(inspect.signature(ranker.rank).parameters) == wanted, ranker


def test_importing_the_protocol_loads_neither_torch_nor_scipy() -> None:
    code = "import sys, genrec.ranking; sys.exit(any(name in sys.modules for name in ('torch', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
