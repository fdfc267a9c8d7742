"""The search where sizes may not depend on the data, as on an accelerator, and on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.catalog import CatalogTrie
from genrec.decoding import (
    NORMALIZATIONS,
    ConstrainedBeamSearch,
    GroupLimit,
    TrieTables,
    trie_walk,
)

SIZES = (5, 4, 300)  # codes of one byte and of two


@pytest.fixture(scope="module", params=[False, True], ids=["even", "uneven"])
def setting(
    request: pytest.FixtureRequest, make_tiny: Callable[..., Any], make_prompts: Callable[..., Any]
) -> Any:
    tiny = make_tiny(90, SIZES)
    codes = tiny.codes.copy()
    if request.param:
        codes[:20, 2], codes[3:6, 1] = -1, -1
        codes = np.unique(codes, axis=0)
    return tiny, CatalogTrie.from_codes(codes, SIZES), make_prompts(tiny, [6, 1, 4])


def answers(setting: Any, device: str) -> list[Any]:
    """Beams and exact lists of all kinds."""
    tiny, trie, (ids, mask) = setting
    generator = np.random.default_rng(0)
    allowed = generator.random((3, trie.num_rows)) < 0.4
    wishes: list[dict[str, Any]] = [
        {},
        {"exact": True},
        {"allowed": allowed, "exclude": [[1, 2, 3], [], [5]], "exact": True},
        {"allowed": np.zeros(trie.num_rows, dtype=bool)},
        {
            "bonus": generator.normal(size=trie.num_rows),
            "limit": GroupLimit(generator.integers(3, size=trie.num_rows), 2),
        },
    ]
    found: list[Any] = []
    model = tiny.model.to(device)
    try:
        for normalize in NORMALIZATIONS:
            search = ConstrainedBeamSearch(
                model, trie, tiny.vocabulary, normalize=normalize, num_beams=5, eos="score"
            )
            found += [search.search(ids, mask, 6, **wish) for wish in wishes]
            search = ConstrainedBeamSearch(model, trie, tiny.vocabulary, normalize=normalize, num_beams=5)
            found += [search.search(ids, mask, 6, **wish) for wish in wishes]
            assert search.score(ids, mask).device.type == torch.device(device).type
    finally:
        tiny.model.to("cpu")
    return found


def same(one: list[Any], other: list[Any], tolerance: float) -> None:
    for a, b in zip(one, other, strict=True):
        for name in ("rows", "codes", "certified", "expanded"):
            assert torch.equal(getattr(a, name).cpu(), getattr(b, name).cpu()), name
        for name in ("scores", "log_probs"):
            torch.testing.assert_close(getattr(a, name).cpu(), getattr(b, name).cpu(), atol=tolerance, rtol=0)


def test_padded_and_ragged_children_give_the_same(setting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ragged = answers(setting, "cpu")
    monkeypatch.setattr(trie_walk, "RAGGED_DEVICES", frozenset())
    same(ragged, answers(setting, "cpu"), 1e-4)


@pytest.mark.gpu
def test_a_gpu_gives_the_same(setting: Any) -> None:
    same(answers(setting, "cpu"), answers(setting, "cuda"), 1e-3)


@pytest.mark.gpu
def test_wide_codes_live_on_a_gpu(setting: Any) -> None:
    tiny, trie, _ = setting
    tables = TrieTables(trie, tiny.vocabulary, "cuda")
    nodes = torch.arange(len(trie.codes[2]), device="cuda")
    assert np.array_equal(tables.code(2, nodes).cpu().numpy(), trie.codes[2])
