"""Text and items in one reply, against a loop of plain forward passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from genrec.catalog import CatalogTrie
from genrec.decoding import (
    ConstrainedBeamSearch,
    Finished,
    MixedGenerator,
    MixedReply,
    NamedItem,
    TextPiece,
    TextSampling,
)
from genrec.errors import DecodingError

PROMPTS = torch.tensor([[0, 0, 0, 11, 14, 9], [3, 8, 5, 21, 17, 4], [0, 6, 12, 7, 30, 40]])
MASK = torch.tensor([[0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]])
RANDOM = TextSampling(temperature=1.5, seed=3)


@pytest.fixture(scope="module", params=[False, True], ids=["decoder", "encoder_decoder"])
def tiny(request: pytest.FixtureRequest, make_tiny: Callable[..., Any]) -> Any:
    """A model that likes to begin items."""
    made = make_tiny(40, (5, 4, 6), tied=False, encoder_decoder=request.param)
    with torch.no_grad():
        head = made.model.get_output_embeddings().weight
        head[torch.from_numpy(made.vocabulary.token_ids[0])] *= 3
    return made


def prompt(row: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = PROMPTS[row][MASK[row].bool()][None]
    return ids, torch.ones_like(ids)


@torch.no_grad()
def next_logits(tiny: Any, ids: list[int], reply: list[int]) -> torch.Tensor:
    """Of the token after a reply's beginning, from a forward pass over everything."""
    if tiny.model.config.is_encoder_decoder:
        answer = torch.tensor([[tiny.model.config.decoder_start_token_id, *reply]])
        return tiny.model(torch.tensor([ids]), decoder_input_ids=answer).logits[0, -1]
    return tiny.model(torch.tensor([ids + reply])).logits[0, -1]


def greedy(
    tiny: Any, ids: list[int], room: int, closed: set[int]
) -> tuple[list[int], list[tuple[int, float]]]:
    """Token ids and items of a greedy reply, by brute force over the code matrix."""
    reply: list[int] = []
    items: list[tuple[int, float]] = []
    closed = set(closed)
    begun: list[int] = []  # codes of the item in the making
    score = 0.0
    while len(reply) < room:
        logits = next_logits(tiny, ids, reply)
        fits = [
            row
            for row, codes in enumerate(tiny.codes.tolist())
            if row not in closed and codes[: len(begun)] == begun
        ]
        may = {int(tiny.vocabulary.token_ids[len(begun)][tiny.codes[row, len(begun)]]) for row in fits}
        if not begun:
            if room - len(reply) < 3:
                may = set()
            reserved = {*tiny.vocabulary.new_ids.tolist(), tiny.text_tokenizer.pad_token_id}
            may |= set(range(len(tiny.text_tokenizer))) - reserved
        token = max(may, key=lambda i: logits[i])
        if token == tiny.text_tokenizer.eos_token_id:
            return reply, items
        reply.append(token)
        if token < len(tiny.vocabulary.position_of) and tiny.vocabulary.position_of[token] >= 0:
            score += float(logits.log_softmax(-1)[token])
            begun.append(int(tiny.vocabulary.code_of[token]))
        if len(begun) == 3:
            row = tiny.codes.tolist().index(begun)
            items.append((row, score))
            closed.add(row)
            begun, score = [], 0.0
    return reply, items


def test_a_greedy_reply_is_that_of_plain_forward_passes(tiny: Any) -> None:
    generator = MixedGenerator(tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary)
    exclude = [[0, 7], [], [3, 1, 2, 20]]
    found = generator.generate(PROMPTS, MASK, max_new_tokens=20, exclude=exclude)
    named = 0
    for row, reply in enumerate(found):
        tokens, items = greedy(tiny, prompt(row)[0][0].tolist(), 20, set(exclude[row]))
        assert list(reply.token_ids) == tokens
        assert [item.row for item in reply.items] == [item for item, _ in items]
        np.testing.assert_allclose(
            [item.log_prob for item in reply.items], [score for _, score in items], atol=1e-3
        )
        assert all(item.codes == tuple(tiny.codes[item.row]) for item in reply.items)
        named += len(items)
    assert named > 3


@pytest.mark.parametrize("item_beams", [1, 4])
def test_a_reply_alone_and_in_a_batch_is_the_same(tiny: Any, item_beams: int) -> None:
    generator = MixedGenerator(
        tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary, item_beams=item_beams, sampling=RANDOM
    )
    together = generator.generate(PROMPTS, MASK, max_new_tokens=25)
    for row in range(3):
        alone = generator.generate(*prompt(row), max_new_tokens=25)[0]
        assert alone.token_ids == together[row].token_ids
        assert [item.row for item in alone.items] == [item.row for item in together[row].items]
    assert len({reply.token_ids for reply in together}) == 3
    assert sum(len(reply.items) for reply in together) > 3


def test_events_are_whole_and_in_order(tiny: Any) -> None:
    generator = MixedGenerator(
        tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary, sampling=RANDOM, item_beams=2
    )
    events = list(generator.stream(PROMPTS, MASK, max_new_tokens=30))
    for row, reply in enumerate(generator.generate(PROMPTS, MASK, max_new_tokens=30)):
        own = [event for event in events if event.prompt == row]
        assert isinstance(own[-1], Finished)
        assert not any(isinstance(event, Finished) for event in own[:-1])
        assert own[-1].token_ids == reply.token_ids
        assert all(event.text for event in own if isinstance(event, TextPiece))
        position = tiny.vocabulary.position_of[
            np.minimum(reply.token_ids, len(tiny.vocabulary.position_of) - 1)
        ]
        in_items = [i for i in reply.token_ids if i in set(tiny.vocabulary.new_ids.tolist())]
        assert len(in_items) == 3 * len(reply.items)
        assert [p for p in position if p >= 0] == [0, 1, 2] * len(reply.items)
        text = [i for i in reply.token_ids if i not in set(tiny.vocabulary.new_ids.tolist())]
        assert reply.text.replace("\ufffd", "") == "".join(
            part.text for part in reply.parts if isinstance(part, TextPiece)
        ).replace("\ufffd", "")
        assert bool(text) == bool(reply.text)


def test_a_beam_names_the_best_item_after_the_text(tiny: Any) -> None:
    generator = MixedGenerator(
        tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary, item_beams=6, sampling=RANDOM
    )
    search = ConstrainedBeamSearch(tiny.model, tiny.trie, tiny.vocabulary, num_beams=6)
    reply = generator.generate(*prompt(1), max_new_tokens=40, max_items=1)[0]
    assert len(reply.items) == 1
    item = reply.items[0]
    place = next(i for i, token in enumerate(reply.token_ids) if token in tiny.vocabulary.token_ids[0])
    if tiny.model.config.is_encoder_decoder:
        assert item.codes == tuple(tiny.codes[item.row])
        return
    ids = torch.cat([prompt(1)[0], torch.tensor([reply.token_ids[:place]], dtype=torch.long)], dim=1)
    found = search.search(ids, torch.ones_like(ids), 1)
    assert int(found.rows[0, 0]) == item.row
    assert float(found.scores[0, 0]) == pytest.approx(item.log_prob, abs=1e-3)


@pytest.mark.parametrize("item_beams", [1, 5])
def test_ids_of_unequal_length(tiny: Any, item_beams: int) -> None:
    codes = np.unique(np.where(tiny.codes % [5, 4, 3] == 0, -1, tiny.codes), axis=0)
    codes = codes[codes[:, 0] >= 0]
    codes[codes[:, 1] < 0, 2] = -1
    codes = np.unique(codes, axis=0)
    trie = CatalogTrie.from_codes(codes, (5, 4, 6))
    assert trie.terminated
    generator = MixedGenerator(
        tiny.model, tiny.text_tokenizer, trie, tiny.vocabulary, item_beams=item_beams, sampling=RANDOM
    )
    search = ConstrainedBeamSearch(tiny.model, trie, tiny.vocabulary)
    lengths = set()
    for row, reply in enumerate(generator.generate(PROMPTS, MASK, max_new_tokens=30)):
        place = 0  # in the reply's tokens
        for item in reply.items:
            spelled = [c for c in codes[item.row] if c >= 0]
            assert item.codes == tuple(codes[item.row])
            tokens = [int(tiny.vocabulary.token_ids[p][c]) for p, c in enumerate(spelled)]
            tokens.append(tiny.vocabulary.terminator_id)
            while list(reply.token_ids[place : place + len(tokens)]) != tokens:
                place += 1
                assert place < len(reply.token_ids)
            if not tiny.model.config.is_encoder_decoder:
                ids = torch.cat([prompt(row)[0], torch.tensor([reply.token_ids[:place]]).long()], dim=1)
                score = search.score(ids, torch.ones_like(ids), torch.tensor([[item.row]]))
                assert item.log_prob == pytest.approx(score.item(), abs=1e-3)
            place += len(tokens)
            lengths.add(len(spelled))
    assert len(lengths) > 1


@pytest.mark.parametrize("item_beams", [1, 3])
def test_only_open_items_come_and_none_twice(tiny: Any, item_beams: int) -> None:
    generator = MixedGenerator(
        tiny.model,
        tiny.text_tokenizer,
        tiny.trie,
        tiny.vocabulary,
        item_beams=item_beams,
        sampling=TextSampling(temperature=3.0, top_k=60, top_p=0.95, seed=1),
    )
    allowed = torch.zeros(40, dtype=torch.bool)
    allowed[[4, 5, 30]] = True
    found = generator.generate(
        PROMPTS, MASK, max_new_tokens=60, allowed=[allowed, None, torch.zeros(40, dtype=torch.bool)]
    )
    assert {item.row for item in found[0].items} <= {4, 5, 30}
    assert found[2].items == ()
    for reply in found:
        assert len({item.row for item in reply.items}) == len(reply.items)
        assert len(reply.token_ids) <= 60
    again = generator.generate(PROMPTS, MASK, max_new_tokens=60, allowed=allowed, repeat_items=True)
    assert any(len({item.row for item in reply.items}) < len(reply.items) for reply in again)
    one = generator.generate(PROMPTS, MASK, max_new_tokens=60, max_items=1)
    assert max(len(reply.items) for reply in one) == 1


@pytest.mark.parametrize("normalize", ["full", "level", "allowed"])
def test_a_filter_changes_no_score(tiny: Any, normalize: Any) -> None:
    parts = (tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary)
    generator = MixedGenerator(*parts, normalize=normalize, item_beams=40)
    compared = 0
    for row, reply in enumerate(generator.generate(PROMPTS, MASK, max_new_tokens=20, max_items=1)):
        only = torch.zeros(40, dtype=torch.bool)
        only[[item.row for item in reply.items]] = True
        held = generator.generate(*prompt(row), max_new_tokens=20, max_items=1, allowed=only)[0]
        place = [part.text if isinstance(part, TextPiece) else "" for part in (held.parts[0], reply.parts[0])]
        if held.items and place[0] == place[1]:  # after the same text
            assert held.items[0].row == reply.items[0].row
            assert held.items[0].log_prob == pytest.approx(reply.items[0].log_prob, abs=1e-4)
            compared += 1
    assert compared


def test_stop_tokens_and_limits(tiny: Any) -> None:
    generator = MixedGenerator(tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary, sampling=RANDOM)
    free = generator.generate(PROMPTS, MASK, max_new_tokens=12)
    texts = [next((i for i in reply.token_ids if i < 200), None) for reply in free]
    stop = next(token for token in texts if token is not None)
    stopping = MixedGenerator(
        tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary, sampling=RANDOM, stop_ids=[stop]
    )
    for before, reply in zip(free, stopping.generate(PROMPTS, MASK, max_new_tokens=12), strict=True):
        assert stop not in reply.token_ids
        assert reply.reason == ("stop" if stop in before.token_ids else "length") or before.reason == "stop"
    short = generator.generate(PROMPTS, MASK, max_new_tokens=2)
    assert all(not reply.items and len(reply.token_ids) <= 2 for reply in short)


def test_wrong_calls_get_a_clear_error(tiny: Any) -> None:
    parts = (tiny.model, tiny.text_tokenizer, tiny.trie, tiny.vocabulary)
    with pytest.raises(DecodingError, match="unknown normaliser"):
        MixedGenerator(*parts, normalize="fully")  # type: ignore[arg-type]
    with pytest.raises(DecodingError, match="no token ends"):
        MixedGenerator(*parts, stop_ids=[])
    wrong: list[dict[str, Any]] = [{"temperature": t} for t in (-1, float("nan"), float("inf"))]
    for options in (*wrong, {"top_k": -1}, {"top_k": 1.5}, {"top_p": 0}, {"top_p": float("nan")}):
        with pytest.raises(DecodingError, match="out of range"):
            TextSampling(**options)
    generator = MixedGenerator(*parts)
    with pytest.raises(DecodingError, match="at least a token"):
        generator.stream(PROMPTS, torch.zeros_like(MASK))
    for tokens in (0, -1, 2.5, True):
        with pytest.raises(DecodingError, match="room for a token"):
            generator.stream(PROMPTS, MASK, max_new_tokens=tokens)  # type: ignore[arg-type]
    for items in (-1, 1.5, True):
        with pytest.raises(DecodingError, match="a limit of a reply's items"):
            generator.stream(PROMPTS, MASK, max_items=items)  # type: ignore[arg-type]
    with pytest.raises(DecodingError, match="for each prompt"):
        generator.stream(PROMPTS, MASK, exclude=[[1]])
    with pytest.raises(DecodingError, match="every row of the catalog"):
        generator.stream(PROMPTS, MASK, allowed=torch.ones(3, dtype=torch.bool))


def test_the_choice_follows_the_settings() -> None:
    logits = torch.tensor([[0.0, 3.0, 2.0, -torch.inf, 1.0]]).expand(4000, -1)
    uniform = torch.rand(4000, generator=torch.Generator().manual_seed(0))

    def shares(**options: Any) -> list[float]:
        chosen = TextSampling(**options).choose(logits, uniform)
        return (chosen.bincount(minlength=5) / 4000).tolist()

    assert shares() == [0, 1, 0, 0, 0]
    expected = logits[0].softmax(-1).tolist()
    np.testing.assert_allclose(shares(temperature=1.0), expected, atol=0.03)
    np.testing.assert_allclose(shares(temperature=2.0), (logits[0] / 2).softmax(-1).tolist(), atol=0.03)
    two = logits[0, 1:3].softmax(-1).tolist()
    np.testing.assert_allclose(shares(temperature=1.0, top_k=2), [0, *two, 0, 0], atol=0.03)
    np.testing.assert_allclose(shares(temperature=1.0, top_p=0.7), [0, *two, 0, 0], atol=0.03)
    assert shares(temperature=1.0, top_p=0.1) == [0, 1, 0, 0, 0]


def test_pieces_come_in_whole_characters(tiny: Any) -> None:
    from genrec.decoding.text_pieces import TextPieces

    text = "Für dich: 香水 und 🌹 mehr"
    ids = tiny.text_tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = TextPieces(tiny.text_tokenizer)
    out = [pieces.add(i) for i in ids]
    assert "".join(out) + pieces.end() == tiny.text_tokenizer.decode(ids)
    assert not any("\ufffd" in piece for piece in out)


def test_a_reply_puts_its_parts_together() -> None:
    reply = MixedReply((TextPiece(0, "a "), NamedItem(0, 3, (1, 2), -1.0), TextPiece(0, "b")), (1, 2), "stop")
    assert reply.text == "a b"
    assert [item.row for item in reply.items] == [3]
