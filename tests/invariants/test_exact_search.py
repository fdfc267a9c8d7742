"""The search against every item's score, over tries and models of all shapes: what it proves is true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genrec.catalog import CatalogTrie
from genrec.decoding import BeamSearchResult, GroupLimit, trie_search
from genrec.decoding.item_constraints import ItemConstraints
from genrec.decoding.trie_levels import TrieLevels
from genrec.decoding.trie_search import TrieSearch
from genrec.decoding.trie_walk import Expansion

NONE = float("-inf")


@pytest.fixture(autouse=True, scope="module")
def _small_rounds() -> Iterator[None]:
    """Few nodes a round, so that prompts are done at different times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trie_search, "ROUND", 3)
        patch.setattr(trie_search, "LIMIT_ROUND", 3)
        yield


@dataclass
class TableWalk:
    """A `TrieWalk` whose log-probabilities stand in a table, and which checks every row it is asked for."""

    levels: TrieLevels
    tables: list[Tensor]  # log-probability of each node after its parent, [prompts, nodes] a level
    tail: Tensor | None = None  # of what follows each leaf, [prompts, leaves]
    normalizer: Tensor | None = None  # subtracted from all children of a prompt's root
    rows: list[list[tuple[int, int]]] = field(default_factory=list)  # (level, node) of every row, by place

    def __post_init__(self) -> None:
        self.prompts = list(range(len(self.tables[0])))
        self.depth = self.levels.length + (self.tail is not None)

    def begin(self, capacity: int) -> tuple[Tensor, Tensor]:
        self.rows = [[(-1, 0)] for _ in self.prompts]
        states = torch.tensor([[[float(prompt), -1.0, 0.0]] for prompt in self.prompts])
        return states, torch.zeros(len(self.prompts))

    def normalizers(self, states: Tensor) -> Tensor | None:
        if self.normalizer is None:
            return None
        at_root = states[:, 1] < 0
        return torch.where(at_root, self.normalizer[states[:, 0].long()], 0.0)

    def expand(
        self, level: int, states: Tensor, nodes: Tensor, scores: Tensor, normalizers: Tensor | None
    ) -> Expansion:
        live = nodes >= 0
        assert (states[live, 1] == level - 1).all()
        assert (states[live, 2] == nodes[live]).all()
        prompt = states[:, 0].long()
        if level == self.levels.length:
            assert self.tail is not None
            owner = torch.arange(len(nodes))
            found = (scores + self.tail[prompt, nodes.clamp(min=0)]).masked_fill(~live, NONE)
            return Expansion(owner, nodes, found, None)
        owner, child, counts = self.levels.expand(level, nodes)
        found = scores[owner] + self.tables[level][prompt[owner], child]
        if self.normalizer is not None and level == 0:
            found = found + self.normalizer[prompt[owner]]  # as logits are: not normalised yet
            if normalizers is not None:
                found = found - normalizers[owner]
        return Expansion(owner, child, found, counts)

    def step(self, levels: Tensor | int, nodes: Tensor, parents: Tensor) -> Tensor:
        levels = torch.as_tensor(levels).expand_as(nodes)
        states = torch.zeros(*nodes.shape, 3)
        for place, (of_prompt, prompt) in enumerate(zip(self.rows, self.prompts, strict=True)):
            before = len(of_prompt)
            for j in range(nodes.shape[1]):
                level, node, parent = int(levels[place, j]), int(nodes[place, j]), int(parents[place, j])
                assert parent < before  # rows of one step do not continue each other
                of_prompt.append((level, node))
                states[place, j] = torch.tensor([prompt, level, node], dtype=torch.float)
        return states

    def keep(self, prompts: Tensor) -> None:
        self.rows = [self.rows[place] for place in prompts.tolist()]
        self.prompts = [self.prompts[place] for place in prompts.tolist()]


@st.composite
def tries(draw: st.DrawFn) -> CatalogTrie:
    """Chains, bushes and everything between, IDs of one length or not, rows with gaps."""
    kind = draw(st.sampled_from(["chain", "wide", "mixed", "uneven"]))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    if kind == "wide":
        sizes = (draw(st.integers(1, 256)), 256)
    else:
        sizes = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=6)))
    if kind == "chain":
        sizes = (*sizes, 1, 1, 3)
    count = draw(st.integers(1, 80))
    codes = generator.integers(sizes, size=(count, len(sizes)))
    if kind == "uneven":
        lengths = generator.integers(1, len(sizes) + 1, size=count)
        codes[np.arange(len(sizes)) >= lengths[:, None]] = -1
    codes = np.unique(codes, axis=0)
    rows = generator.permutation(2 * len(codes))[: len(codes)]
    return CatalogTrie.from_codes(codes, sizes, rows)


def walk_over(trie: CatalogTrie, prompts: int, seed: int, *, tail: bool, flat: bool) -> TableWalk:
    """Random log-probabilities: sharp or nearly all equal."""
    generator = torch.Generator().manual_seed(seed)
    levels = TrieLevels.of(trie)
    scale = 0.01 if flat else 3.0

    def table(size: int) -> Tensor:
        return -scale * torch.rand(prompts, size, generator=generator).abs()

    tables = [table(len(codes)) for codes in trie.codes]
    for level in range(1, len(tables)):
        if levels.ends:  # below a terminator nothing is scored
            nodes = torch.arange(len(trie.codes[level - 1]))
            owner, child, _ = levels.expand(level, nodes)
            tables[level][:, child[levels.ended(level - 1, nodes)[owner]]] = 0.0
    return TableWalk(levels, tables, table(trie.num_items) if tail else None, 5 * torch.randn(prompts))


def all_scores(trie: CatalogTrie, walk: TableWalk) -> np.ndarray:
    """Score of every row, float64 `[prompts, rows]`, minus infinity for rows without an ID."""
    total = np.zeros((len(walk.tables[0]), trie.num_items))
    for level, table in enumerate(walk.tables):
        bounds = trie.first_leaves(level)
        total += np.repeat(table.double().numpy(), np.diff(bounds), axis=1)
    if walk.tail is not None:
        total += walk.tail.double().numpy()
    found = np.full((len(total), trie.num_rows), NONE)
    found[:, trie.rows] = total
    return found


def check(found: BeamSearchResult, scores: np.ndarray, k: int, limited: bool) -> None:
    """Every item once, with its score, best first; and what is certified is in its true place."""
    for place, rows in enumerate(found.rows.tolist()):
        real = [row for row in rows if row >= 0]
        assert len(set(real)) == len(real)
        assert rows == real + [-1] * (k - len(real))
        np.testing.assert_allclose(found.scores[place, : len(real)], scores[place, real], atol=1e-4)
        assert all(a >= b for a, b in itertools.pairwise(found.scores[place].tolist()))
        others = np.delete(scores[place], real) if not limited else np.array([NONE])
        for column in range(len(real)):
            if found.certified[place, column]:
                assert others.max(initial=NONE) <= scores[place, real[column]] + 1e-4


@settings(max_examples=150)
@given(tries(), st.integers(0, 2**32 - 1), st.data())
def test_what_the_search_proves_is_true(trie: CatalogTrie, seed: int, data: Any) -> None:
    prompts, k = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 12))
    width, budget = data.draw(st.sampled_from([1, 2, 5, 300])), data.draw(st.sampled_from([0, 3, 10**6]))
    exact, tail = data.draw(st.booleans()), data.draw(st.booleans())
    walk = walk_over(trie, prompts, seed, tail=tail, flat=data.draw(st.booleans()))
    scores = all_scores(trie, walk)
    generator = np.random.default_rng(seed)
    wishes: dict[str, Any] = {}
    if data.draw(st.booleans()):
        share = generator.choice([0.0, 0.05, 0.5, 1.0])
        wishes["allowed"] = generator.random((prompts, trie.num_rows)) < share
        scores[~wishes["allowed"]] = NONE
    if data.draw(st.booleans()):
        wishes["bonus"] = generator.normal(size=trie.num_rows).astype(np.float32)
        scores += wishes["bonus"]
    if data.draw(st.booleans()):
        wishes["exclude"] = [generator.integers(trie.num_rows + 3, size=5).tolist() for _ in range(prompts)]
        for place, rows in enumerate(wishes["exclude"]):
            scores[place, [row for row in rows if row < trie.num_rows]] = NONE
    labels = generator.integers(-1, 3, size=trie.num_rows)
    limited = data.draw(st.booleans())
    if limited:
        wishes["limit"] = GroupLimit(labels, 2)
    constraints = ItemConstraints(trie, walk.levels, prompts, **wishes)
    search = TrieSearch(walk, constraints, prompts, k, width=width, exact=exact, budget=budget)
    found = search.run()
    check(found, scores, k, limited)
    for place in range(prompts):
        counts: dict[int, int] = {}
        best = []
        for row in np.argsort(-scores[place], kind="stable").tolist():
            label = int(labels[row]) if limited else -1
            if scores[place, row] > NONE and (label < 0 or counts.get(label, 0) < 2) and len(best) < k:
                counts[label] = counts.get(label, 0) + 1
                best.append(row)
        assert (found.rows[place] >= 0).sum() == len(best) or (exact and budget < 10**6 and limited)
        if bool(found.proven[place]):  # equal to brute force, up to items whose scores are equal
            expected = scores[place, best]
            np.testing.assert_allclose(found.scores[place, : len(best)], expected, atol=1e-4)
            assert found.gap[place] == 0
    if exact and budget == 10**6:
        assert found.proven.all()


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("rare", [1, 3])
def test_rare_values_are_found_without_a_look_at_the_whole_trie(rare: int, tail: bool) -> None:
    generator = np.random.default_rng(rare)
    codes = np.unique(generator.integers(20, size=(3000, 3)), axis=0)
    trie = CatalogTrie.from_codes(codes, (20, 20, 20))
    labels = np.zeros(len(codes), dtype=np.int64)  # nearly all items have one value
    chosen = generator.choice(len(codes), size=rare, replace=False)
    labels[chosen] = 1 + np.arange(rare)
    walk = walk_over(trie, 2, rare, tail=tail, flat=False)
    scores = all_scores(trie, walk)
    constraints = ItemConstraints(trie, walk.levels, 2, limit=GroupLimit(labels, 2))
    k = 2 + rare
    found = TrieSearch(walk, constraints, 2, k, width=2).run()
    check(found, scores, k, limited=True)
    for rows in found.rows.tolist():
        assert set(chosen.tolist()) <= set(rows)
        assert sorted(labels[rows].tolist())[:2] == [0, 0]
    beams = 1 + k * (walk.depth - 1)
    most = beams + rare * (walk.depth - 1)  # of the 420 inner nodes: the ways to the rare items
    assert (found.expanded <= most).all()
    assert max(map(len, walk.rows)) <= most + 2 * rare
    free = walk_over(trie, 2, rare, tail=tail, flat=False)
    proof = ItemConstraints(trie, free.levels, 2, limit=GroupLimit(labels, 2))
    exact = TrieSearch(free, proof, 2, k, width=2, exact=True, budget=10**6).run()
    assert exact.proven.all()
    for place in range(2):  # what is certified is what the proof finds
        sure = int(found.certified[place].sum())
        assert found.rows[place, :sure].tolist() == exact.rows[place, :sure].tolist()


@settings(max_examples=60)
@given(tries(), st.integers(0, 2**32 - 1), st.booleans())
def test_a_prompt_finds_the_same_in_any_batch(trie: CatalogTrie, seed: int, exact: bool) -> None:
    walk = walk_over(trie, 4, seed, tail=False, flat=False)

    def run(prompts: list[int]) -> BeamSearchResult:
        assert walk.normalizer is not None
        tables = [table[prompts] for table in walk.tables]
        part = TableWalk(walk.levels, tables, None, walk.normalizer[prompts])
        constraints = ItemConstraints(trie, part.levels, len(prompts))
        return TrieSearch(part, constraints, len(prompts), 5, width=3, exact=exact, budget=7).run()

    together = run([0, 1, 2, 3])
    for prompts in ([2], [3, 1], [1, 3, 0, 2]):
        found = run(prompts)
        for name in ("rows", "codes", "certified", "expanded", "proven"):
            assert torch.equal(getattr(found, name), getattr(together, name)[prompts]), name
        torch.testing.assert_close(found.scores, together.scores[prompts], atol=1e-5, rtol=0)


@pytest.mark.parametrize("width", [1, 3])
def test_certificates_of_narrow_beams_are_true(width: int) -> None:
    certified = 0
    for seed in range(60):
        codes = np.unique(np.random.default_rng(seed).integers((9, 5, 4), size=(60, 3)), axis=0)
        trie = CatalogTrie.from_codes(codes, (9, 5, 4))
        walk = walk_over(trie, 3, seed, tail=False, flat=False)
        constraints = ItemConstraints(trie, walk.levels, 3)
        found = TrieSearch(walk, constraints, 3, 1, width=width).run()
        check(found, all_scores(trie, walk), 1, limited=False)
        certified += int(found.certified.sum())
    assert 0 < certified < 180  # some are, some are not


def test_prompts_that_are_done_drop_out_one_after_the_other() -> None:
    codes = np.unique(np.random.default_rng(0).integers((9, 5, 4), size=(90, 3)), axis=0)
    trie = CatalogTrie.from_codes(codes, (9, 5, 4))
    walk = walk_over(trie, 8, 0, tail=False, flat=False)
    for prompt in range(8):  # ever flatter, so that each has more to look at than the one before
        for table in walk.tables:
            table[prompt] *= 2.0 ** (3 - prompt)
    kept: list[list[int]] = []
    keep = walk.keep
    walk.keep = lambda prompts: (keep(prompts), kept.append(list(walk.prompts)))[0]  # type: ignore[method-assign]
    found = TrieSearch(walk, ItemConstraints(trie, walk.levels, 8), 8, 5, width=2, exact=True).run()
    assert found.proven.all()
    check(found, all_scores(trie, walk), 5, limited=False)
    assert len(kept) >= 2
    assert all(set(after) < set(before) for before, after in itertools.pairwise(kept))
