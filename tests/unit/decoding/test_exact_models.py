"""Exact search with language models and with the item-level model: brute force over every item."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrec.catalog import CatalogTrie
from genrec.decoding import NORMALIZATIONS, ConstrainedBeamSearch, GroupLimit, ItemLevelSearch
from genrec.errors import DecodingError
from genrec.models import ItemLevelModel


@pytest.mark.parametrize("encoder_decoder", [False, True])
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_exact_is_brute_force_and_narrow_beams_certify_truly(
    make_tiny: Callable[..., Any], make_prompts: Callable[..., Any], normalize: Any, encoder_decoder: bool
) -> None:
    tiny = make_tiny(100, (5, 4, 6), encoder_decoder=encoder_decoder)
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, normalize=normalize, num_beams=3)
    ids, mask = make_prompts(tiny, [5, 2, 9])
    best = search.score(ids, mask).sort(dim=1, descending=True, stable=True)
    found = search.search(ids, mask, 8, exact=True)
    assert found.proven.all()
    assert torch.equal(found.rows, best.indices[:, :8])
    torch.testing.assert_close(found.scores, best.values[:, :8], atol=1e-4, rtol=0)
    beams = search.search(ids, mask, 8)
    assert (beams.expanded <= found.expanded).all()
    for place in range(3):
        for column in range(8):
            if beams.certified[place, column]:  # then the true list has it in the same place
                assert beams.rows[place, column] == best.indices[place, column]
    none = search.search(ids, mask, 8, exact=True, budget=0)
    assert torch.equal(none.rows, beams.rows)
    assert torch.equal(none.certified, beams.certified)
    assert ((none.gap > 0) == ~none.proven).all()


def test_one_search_and_one_trie_serve_many_threads(
    make_tiny: Callable[..., Any], make_prompts: Callable[..., Any], tmp_path: Path
) -> None:
    tiny = make_tiny(100)
    tiny.trie.save(tmp_path / "trie")
    trie = CatalogTrie.load(tmp_path / "trie")
    search = ConstrainedBeamSearch(tiny.model, trie, tiny.vocabulary, num_beams=4)
    cases = [make_prompts(tiny, [1 + seed % 5, 3], seed) for seed in range(12)]
    mask = np.random.default_rng(0).random(100) < 0.5
    wishes: list[dict[str, Any]] = [{}, {"exact": True}, {"allowed": mask}, {"exclude": [[1, 2], [3]]}]

    def run(place: int) -> Any:
        return search.search(*cases[place], 5, **wishes[place % 4])

    alone = [run(place) for place in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, [*range(12)] * 3))
    for place, found in enumerate(together):
        assert torch.equal(found.rows, alone[place % 12].rows)
        torch.testing.assert_close(found.scores, alone[place % 12].scores)


SIZES = (4, 3, 5)
HISTORIES = torch.tensor([[3, 1, 4, 1], [9, 0, 0, 0], [24, 8, 0, 0]])
LENGTHS = torch.tensor([4, 1, 2])


@pytest.fixture(scope="module")
def item_model() -> ItemLevelModel:
    generator = np.random.default_rng(0)
    numbers = generator.choice(60, size=40, replace=False)
    trie = CatalogTrie.from_codes(np.stack(np.unravel_index(numbers, SIZES), axis=1), SIZES)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "max_positions": 8}
    model = ItemLevelModel.for_catalog(
        trie, generator.normal(size=(40, 6)), seed=1, initializer_range=0.5, **sizes
    )
    return model.eval()


@torch.no_grad()
def test_the_item_level_model_has_the_same_search(
    item_model: ItemLevelModel, best_rows: Callable[..., list[int]]
) -> None:
    search = ItemLevelSearch(item_model, num_beams=2)
    states = item_model.encode(HISTORIES)[torch.arange(3), LENGTHS - 1]
    scores = torch.stack(
        [-item_model.item_losses(state.expand(40, -1), torch.arange(40)) for state in states]
    ).numpy()
    np.testing.assert_allclose(search.score(HISTORIES, LENGTHS).numpy(), scores, atol=1e-4)
    rows = torch.tensor([[5, -1], [0, 39], [7, 7]])
    some = search.score(HISTORIES, LENGTHS, rows)
    assert some[0, 1] == float("-inf")
    assert some[2].tolist() == pytest.approx([scores[2, 7]] * 2, abs=1e-4)
    generator = np.random.default_rng(5)
    mask, labels, bonus = (
        generator.random(40) < 0.6,
        generator.integers(3, size=40),
        generator.normal(size=40),
    )
    exclude = [[3, 1], [9], [24, 8]]
    found = search.search(HISTORIES, LENGTHS, 6, exact=True)
    chosen = search.search(
        HISTORIES,
        LENGTHS,
        5,
        exact=True,
        allowed=mask,
        bonus=bonus,
        exclude=exclude,
        limit=GroupLimit(labels, 2),
    )
    for place in range(3):
        assert found.rows[place].tolist() == best_rows(scores[place], 6)
        total = np.where(mask, scores[place] + bonus, -np.inf)
        total[exclude[place]] = -np.inf
        assert chosen.rows[place].tolist() == best_rows(total, 5, labels, 2)
    assert found.proven.all()
    assert chosen.proven.all()
    with pytest.raises(DecodingError, match="a budget of at least 0"):
        search.search(HISTORIES, LENGTHS, 5, exact=True, budget=-1)
