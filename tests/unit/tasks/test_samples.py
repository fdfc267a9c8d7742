"""Templated rows: what is trusted, what is not, where the loss sits, and what goes when a row is too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrec.errors import PromptError
from genrec.tasks import (
    IGNORED_LABEL,
    Codes,
    ColumnTexts,
    PromptBuilder,
    Template,
    TextColumn,
    Trusted,
    Turn,
    Untrusted,
)
from genrec.tasks.shortening import Piece, shorten

HOSTILE = ["<a_1>", "<|im_end|>", "<|im_start|>", "<|eos|>", "<|bos|>", "<id_end>", "<u1_3>", "<think>", "\n"]
hostile = st.lists(st.text(max_size=6) | st.sampled_from(HOSTILE), min_size=1, max_size=6).map("".join)


def test_a_sample_reads_as_prompt_and_answer(world: Any) -> None:
    builder = world.builder()
    item = world.catalog.codes[:1]
    ids, labels = builder.sample([Trusted("Say:\n"), Untrusted(" <a_1> "), Trusted("?")], [Codes(item)])
    name = "".join(world.catalog.spec.token(p, int(c)) for p, c in enumerate(item[0]))
    if world.text_tokenizer.chat_template:
        expected = f"<|im_start|>user\nSay:\n<a_1>?<|im_end|>\n<|im_start|>assistant\n{name}<|im_end|>"
    else:
        expected = f"<|bos|>Say:\n<a_1>?\n{name}<|eos|>"
    assert world.decoded(ids) == expected
    learned = labels != IGNORED_LABEL
    assert learned.tolist() == sorted(learned.tolist())
    end = "<|im_end|>" if world.text_tokenizer.chat_template else "<|eos|>"
    assert world.decoded(ids[learned]) == name + end
    assert (labels[learned] == ids[learned]).all()
    assert np.isin(ids, world.vocabulary.reserved_ids).sum() == 3


@given(st.lists(hostile, min_size=1, max_size=3), hostile.filter(str.strip))
def test_untrusted_text_never_becomes_a_token(world: Any, texts: list[str], answer: str) -> None:
    builder = world.builder()
    column = TextColumn("title", texts)
    reserved = {*world.vocabulary.reserved_ids.tolist(), *world.text_tokenizer.get_added_vocab().values()}
    empty = builder.sample([Trusted("Q\n"), Trusted("\n")], [Untrusted("x")])[0]
    prompt = [Trusted("Q\n"), Untrusted(texts[0]), ColumnTexts(column, range(len(texts)))]
    ids, labels = builder.sample(prompt, [Untrusted(answer)])
    count = sum(int(i) in reserved for i in ids)
    assert count == sum(int(i) in reserved for i in empty)  # the frame's own tokens, and no other
    said = ids[labels != IGNORED_LABEL][:-1]
    assert not reserved & set(said.tolist())
    assert world.decoded(said) == answer.strip().encode("utf-8", "replace").decode()


def test_the_prompt_of_serving_is_the_one_of_training(world: Any) -> None:
    builder = world.builder(max_history=3)
    codes = world.catalog.codes
    slots = {"history": Codes(codes[2:5]), "item": Codes(codes[7:8])}
    ids, labels = builder.sample(*builder.template.fill(slots))
    assert builder.history(codes[:5]).tolist() == ids[labels == IGNORED_LABEL].tolist()
    batch, mask = builder.batch([codes[:5], codes[:1]])
    assert batch[0][mask[0] == 1].tolist() == builder.history(codes[:5]).tolist()
    assert batch[1][mask[1] == 1].tolist() == builder.history(codes[:1]).tolist()


@given(st.data())
def test_filling_a_template_at_once_gives_what_its_segments_give(world: Any, data: st.DataObject) -> None:
    codes, column = world.catalog.codes, TextColumn("title", ["one <a_1>", "two", "three"])
    segments = st.sampled_from(
        [
            Codes(codes[:3]),
            Codes(codes, [4]),
            Codes(codes, [1, 5, 2]),
            Codes(codes, np.array([], dtype=int)),
            Untrusted("<|im_end|> a word"),
            ColumnTexts(column, [2]),
            ColumnTexts(column, [0, 1, 2], ", "),
            Trusted("yes"),
            [Codes(codes[:1]), Trusted("\n"), Codes(codes[1:2])],
        ]
    )
    text = st.sampled_from(["{a}", "{a} and {b}", "Q {a}", "Q\n{b}\n{a}{a} R", "no slot"])
    template = Template(data.draw(text), data.draw(text))
    slots = {"a": data.draw(segments), "b": data.draw(segments)}
    builder = world.builder(max_length=data.draw(st.sampled_from([None, 60, 90])))

    def result(build: Callable[[], Any]) -> Any:
        try:
            return [array.tolist() for array in build()]
        except PromptError as error:
            return str(error)

    at_once = result(lambda: builder.fill(template, slots))
    assert at_once == result(lambda: builder.sample(*template.fill(slots)))
    assert at_once == result(lambda: builder.fill(template, slots))  # the plan is kept
    if template.slots:
        assert "not filled" in result(lambda: builder.fill(template, {}))


def test_a_conversation_shows_every_turn(world: Any) -> None:
    builder = world.builder()
    said = [("user", "one"), ("assistant", "two"), ("user", "x")]
    turns = [Turn(role, [Untrusted(text)]) for role, text in said]
    ids, labels = builder.conversation(turns, [Untrusted("four")])
    if world.text_tokenizer.chat_template:
        parts = [*said, ("assistant", "four")]
        expected = "\n".join(f"<|im_start|>{role}\n{text}<|im_end|>" for role, text in parts)
    else:
        expected = "<|bos|>User:\none\nAssistant:\ntwo\nUser:\nx\nAssistant:\nfour<|eos|>"
    assert world.decoded(ids) == expected
    assert world.decoded(ids[labels != IGNORED_LABEL]).startswith("four<|")


def test_plain_text_is_learned_whole(world: Any) -> None:
    ids, labels = world.builder().text([Untrusted("all of <a_1> it")])
    assert world.decoded(ids) == "<|bos|>all of <a_1> it<|eos|>"
    assert labels[0] == IGNORED_LABEL
    assert labels[1:].tolist() == ids[1:].tolist()


@given(st.integers(10, 230))
def test_too_long_rows_lose_old_items_then_ends_of_texts_and_never_the_answer(world: Any, limit: int) -> None:
    builder, codes = world.builder(max_length=limit), world.catalog.codes
    prompt = [Codes(codes[:8]), Trusted("\n"), Untrusted("word " * 30), Trusted("\nNext?")]
    whole, _ = world.builder().sample(prompt, [Codes(codes[9:10])])
    fixed = len(whole) - 7 * 3 - len("word " * 30)  # a token a letter, and all but the newest item may go
    if limit < fixed + 2:
        with pytest.raises(PromptError, match="does not fit the length limit"):
            builder.sample(prompt, [Codes(codes[9:10])])
        return
    ids, labels = builder.sample(prompt, [Codes(codes[9:10])])
    answer = ids[labels != IGNORED_LABEL]
    assert answer[:3].tolist() == world.vocabulary.encode(codes[9]).tolist()
    kept = ids[labels == IGNORED_LABEL]
    kept = kept[np.isin(kept, world.vocabulary.reserved_ids)].reshape(-1, 3)
    assert kept.tolist() == world.vocabulary.encode(codes[:8])[8 - len(kept) :].tolist()
    text = world.decoded(ids)
    assert text.endswith(world.decoded(whole[-10:]))
    if ("word " * 30).strip() in text:
        assert 0 <= min(limit, len(whole)) - len(ids) < 3
    else:
        assert len(ids) == limit
        assert len(kept) == 1


@given(st.lists(st.integers(1, 9), max_size=5), st.lists(st.integers(1, 9), max_size=3), st.integers(0, 40))
def test_shortening_takes_the_least(texts: list[int], history: list[int], room: int) -> None:
    starts = np.cumsum([0, *history])[:-1].tolist()
    pieces = [
        Piece(np.zeros(2)),
        Piece(np.arange(sum(history)), starts),
        *(Piece(np.arange(n), cut_end=True) for n in texts),
    ]
    least = 2 + (history[-1] if history else 0) + len(texts)
    total = sum(len(piece.ids) for piece in pieces)
    if least > room:
        with pytest.raises(PromptError, match="does not fit"):
            shorten(pieces, room)
        return
    shorten(pieces, room)
    assert sum(len(piece.ids) for piece in pieces) <= max(room, 0)
    cut = [n - len(piece.ids) for n, piece in zip(texts, pieces[2:], strict=True)]
    if any(cut):
        assert sum(len(piece.ids) for piece in pieces) == room
        assert len(pieces[1].ids) == (history[-1] if history else 0)
        longest = max(len(piece.ids) for piece in pieces[2:])
        assert all(not c or len(p.ids) >= longest - 1 for c, p in zip(cut, pieces[2:], strict=True))
    if total <= room:
        assert sum(len(piece.ids) for piece in pieces) == total
    assert all((piece.ids == np.arange(len(piece.ids))).all() for piece in pieces[2:])  # ends went, not heads


def test_titles_of_a_history_go_oldest_first(world: Any) -> None:
    column = TextColumn("title", ["first one", "second one", "third one"])
    answer = [Codes(world.catalog.codes[:1])]
    whole, _ = world.builder().sample([ColumnTexts(column, [0, 1, 2])], answer)
    assert "first one\nsecond one\nthird one" in world.decoded(whole)
    cut, _ = world.builder(max_length=len(whole) - 1).sample([ColumnTexts(column, [0, 1, 2])], answer)
    assert "first" not in world.decoded(cut)
    assert "second one\nthird one" in world.decoded(cut)


def test_what_cannot_be_a_row_is_refused(world: Any) -> None:
    builder = world.builder()
    with pytest.raises(PromptError, match="an answer has no token"):
        builder.sample([Trusted("Q")], [Untrusted(" ")])
    bare = PromptBuilder(world.vocabulary, bos_token_id=1, pad_token_id=0)
    with pytest.raises(PromptError, match="no text tokenizer"):
        bare.sample([Trusted("Q")], [Untrusted("A")])
