"""The tree of beginnings against a comparison with every text, and how much of it a question goes through."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec.decoding import PromptCache
from genrec.decoding import prompt_cache as module
from genrec.decoding.prefix_index import PrefixIndex
from genrec.decoding.slot_cache import SlotLayer

texts = st.lists(st.integers(0, 2), min_size=1, max_size=9).map(lambda ids: np.array(ids, dtype=np.int64))


def common(one: np.ndarray, other: np.ndarray) -> int:
    """Tokens that two texts begin with."""
    shorter = min(len(one), len(other))
    return next((i for i in range(shorter) if one[i] != other[i]), shorter)


class Scan:
    """What a prompt cache does, by going through all it keeps."""

    def __init__(self, room: int) -> None:
        self.room = room  # tokens
        self.kept: list[np.ndarray] = []  # the one used last at the end

    def fetch(self, ids: np.ndarray) -> int:
        lengths = [common(kept, ids[:-1]) for kept in self.kept]
        best = max(lengths, default=0)
        if best:
            self.kept.append(self.kept.pop(lengths.index(best)))
        return best

    def keep(self, ids: np.ndarray) -> None:
        if any(common(kept, ids) == len(ids) for kept in self.kept) or len(ids) > self.room:
            return
        self.kept = [kept for kept in self.kept if common(kept, ids) < len(kept)]
        self.kept.append(ids)
        while sum(map(len, self.kept)) > self.room:
            self.kept.pop(0)


def layer(tokens: int) -> SlotLayer:
    """One head of one float a token, eight bytes with keys and values."""
    made = SlotLayer(0)
    made.keys = made.values = torch.zeros(1, 1, tokens, 1)
    return made


@settings(max_examples=200)
@given(st.lists(texts, max_size=40), st.integers(5, 40))
def test_a_prompt_cache_keeps_and_finds_what_a_scan_would(asked: list[np.ndarray], room: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MIN_TOKENS", 1)
        cache, scan = PromptCache(8 * room), Scan(room)
        for ids in asked:
            batch, lengths = ids[None], np.array([len(ids)])
            found, pairs = cache.fetch("state", batch, lengths)
            assert found == scan.fetch(ids)
            assert len(pairs) == (found > 0)
            cache.keep("state", batch, lengths, [layer(len(ids))])
            scan.keep(ids)
            assert [kept.ids.tolist() for kept in cache._kept.values()] == [k.tolist() for k in scan.kept]
            assert cache.bytes == 8 * sum(map(len, scan.kept))
        assert len(cache._index) == len(scan.kept)
        cache.clear()
        assert len(cache._index) == 0


@given(st.lists(texts, max_size=30), texts)
def test_no_text_leaves_anything_behind(asked: list[np.ndarray], ids: np.ndarray) -> None:
    index, there = PrefixIndex(), []
    for text in asked:
        if index.longest(text)[0] < len(text) and index.beginning(text) is None:
            index.add(text, text.tobytes())
            there.append(text)
    assert index.longest(ids)[0] == max((common(text, ids) for text in there), default=0)
    for text in there:
        index.remove(text, text.tobytes())
    assert index.longest(ids) == (0, None)
    assert not index._root.children


@pytest.mark.parametrize("number", [10, 1000])
def test_a_question_takes_as_long_among_many_texts_as_among_few(number: int) -> None:
    generator = np.random.default_rng(0)
    instruction = generator.integers(50, size=30)
    index = PrefixIndex()
    for user in range(number):  # all begin alike
        text = np.concatenate([instruction, generator.integers(50, size=20), [user]])
        index.add(text, text.tobytes())
    before = index.compared
    prompt = np.concatenate([instruction, generator.integers(50, size=25)])
    assert index.longest(prompt)[0] >= 30
    assert index.compared - before <= len(prompt)  # tokens; a scan compares `number` times as many
