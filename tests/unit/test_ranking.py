"""The `Ranker` protocol: what keeps to it, and that it stays light."""

from __future__ import annotations

import inspect
import subprocess
import sys

from genrec import baselines
from genrec.ranking import QueryRanker, Ranker


def test_every_baseline_has_the_protocols_parameters() -> None:
    histories = list(inspect.signature(Ranker.rank).parameters)
    queries = list(inspect.signature(QueryRanker.rank_queries).parameters)
    classes = [value for value in vars(baselines).values() if inspect.isclass(value)]
    rankers = [value for value in classes if {"rank", "rank_queries"} & vars(value).keys()]
    assert {ranker.__name__ for ranker in rankers} >= {"Popularity", "ItemKNN", "ContentKNN", "RandomRanker"}
    for ranker in rankers:
        methods = vars(ranker)
        if "rank" in methods:
            assert list(inspect.signature(methods["rank"]).parameters) == histories, ranker
        if "rank_queries" in methods:
            assert list(inspect.signature(methods["rank_queries"]).parameters) == queries, ranker


def test_importing_the_protocol_loads_neither_torch_nor_scipy() -> None:
    code = "import sys, genrec.ranking; sys.exit(any(name in sys.modules for name in ('torch', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
