"""Texts of a language model: asked once, kept, gone on with, and clear about what went wrong."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrec.data import InteractionLog, ItemTable
from genrec.errors import ConfigError, DataError, GenerationError
from genrec.tasks import (
    AttributeTexts,
    ChatEndpoint,
    GeneratedTexts,
    ItemSearch,
    LocalGenerator,
    PreferenceObtain,
    Sequences,
)
from genrec.tasks.text_cache import TextCache

ITEMS = ItemTable.from_rows(
    {"item_id": f"i{n}", "title": f"Hat {n}", "brand": "Ada", "categories": ["Hats"], "price": 5.0 + n}
    for n in range(12)
)
LOG = InteractionLog.from_rows(
    {"user_id": f"u{user}", "item_id": f"i{(5 * user + time) % 12}", "timestamp": time}
    for user in range(3)
    for time in range(1 + 6 * user)
)


class Stub(ThreadingHTTPServer):
    """A chat endpoint that answers with a list of what to do next, then always well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.planned: list[Any] = []  # status codes, or bytes of an answer
        self.questions: list[str] = []
        self.keys: list[str | None] = []
        self.answered = 0
        self.delay = 0.0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        stub: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stub.questions.append(body["messages"][0]["content"])
        stub.keys.append(self.headers.get("Authorization"))
        if self.path != "/v1/chat/completions" or body["model"] != "m":
            return self.send(404, b"no such model")
        time.sleep(stub.delay)
        step = stub.planned.pop(0) if stub.planned else 200
        if step == "drop":
            self.close_connection = True
            return None
        if isinstance(step, bytes):
            return self.send(200, step)
        if step != 200:
            return self.send(step, f"error {step}".encode())
        stub.answered += 1
        question = body["messages"][0]["content"]
        if question.startswith("Below is an item"):
            name = question.rsplit("title: ", 1)[1].split("\n")[0]
            text = f'<think>hm</think>1. "something like {name}"\n2) warm {name}\n\n- no i3 please\n* third'
        else:
            text = f"Likes\n {question.count('title:')} hats."
        return self.send(200, json.dumps({"choices": [{"message": {"content": text}}]}).encode())

    def send(self, code: int, data: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        if code == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def endpoint(stub: Stub, **options: Any) -> ChatEndpoint:
    return ChatEndpoint(stub.base, "m", **({"backoff": 0.0, "parallel": 2} | options))


def texts(stub: Stub, tmp_path: Path, **options: Any) -> GeneratedTexts:
    return GeneratedTexts(ITEMS, endpoint(stub), tmp_path / "kept" / "texts.jsonl", **options)


def test_queries_are_cleaned_and_never_name_the_id(stub: Stub, tmp_path: Path) -> None:
    source = texts(stub, tmp_path)
    source.generate(ITEMS.item_ids, progress=False)
    assert source.queries("i5") == ("something like Hat 5", "warm Hat 5", "no i3 please")
    assert source.queries("i3") == ("something like Hat 3", "warm Hat 3", "third")
    assert "brand: Ada" in stub.questions[0]
    assert stub.keys == [None] * 12


def test_every_question_is_asked_once_and_never_again(stub: Stub, tmp_path: Path) -> None:
    source = texts(stub, tmp_path)
    source.generate(["i1", "i2", "i1"], LOG, progress=False)
    asked = len(stub.questions)
    # Histories of 1, 7 and 13 items: nothing, then at 2 and 5, then at 2, 5 and 10.
    assert asked == len(set(stub.questions)) == 2 + 5
    again = texts(stub, tmp_path)
    again.generate(["i1", "i2"], LOG, progress=False)
    assert len(stub.questions) == asked
    assert again.queries("i1") == source.queries("i1") != ()
    other = texts(stub, tmp_path, num_queries=2)  # another question
    with pytest.raises(GenerationError, match="no queries were generated"):
        other.queries("i1")


def test_a_preference_is_made_of_older_items_only(stub: Stub, tmp_path: Path) -> None:
    source = texts(stub, tmp_path, max_items=4, stride=5)
    source.generate((), LOG, progress=False)
    whole = LOG.history("u2")
    assert len(whole) == 13
    said = {end: source.preference(whole[:end]) for end in range(14)}
    assert said[0] == said[1] == ""
    assert {said[end] for end in (2, 3, 4)} == {"Likes 2 hats."}
    assert {said[end] for end in range(5, 14)} == {"Likes 4 hats."}
    windows = {end: source.preference(whole[end - 9 : end]) for end in (10, 12, 13)}
    assert set(windows.values()) == {"Likes 4 hats."}
    assert source.preference(["i9", "i1"]) == ""  # nobody's history
    backed = texts(stub, tmp_path, max_items=4, fallback=AttributeTexts(ITEMS))
    assert "Ada" in backed.preference(["i9", "i1"])
    assert backed.preference(whole) == "Likes 4 hats."


def test_the_estimate_counts_what_is_left_and_what_it_costs(stub: Stub, tmp_path: Path) -> None:
    source = texts(stub, tmp_path)
    before = source.estimate(["i1", "i2", "i3"], price_per_million=(1.0, 10.0))
    assert (before.calls, before.kept) == (3, 0)
    assert before.answer_tokens == 3 * 150
    assert before.cost == pytest.approx((before.prompt_tokens + 10 * before.answer_tokens) / 1e6)
    assert stub.questions == []
    source.generate(["i1"], progress=False)
    after = source.estimate(["i1", "i2", "i3"])
    assert (after.calls, after.kept) == (2, 1)
    characters = sum(-(-len(source._query_question(item)) // 4) for item in ("i2", "i3"))
    assert after.prompt_tokens == characters
    assert 0 < after.answer_tokens < 2 * 40  # as long as the answer that came
    assert after.cost is None
    source.generate(["i1", "i2", "i3"], progress=False)
    assert source.estimate(["i1", "i2", "i3"], price_per_million=(1, 1)).cost == 0


@pytest.mark.parametrize("trouble", [[500, 503, 429], ["drop", 502], [529]])
def test_trouble_that_passes_is_waited_for(stub: Stub, tmp_path: Path, trouble: list[Any]) -> None:
    stub.planned = trouble.copy()
    source = texts(stub, tmp_path)
    source.generate(["i1", "i2"], progress=False)
    assert len(stub.questions) == 2 + len(trouble)
    assert source.queries("i2")


def test_trouble_that_stays_is_told_and_what_came_is_kept(stub: Stub, tmp_path: Path) -> None:
    stub.planned = [200, 200, *[500] * 50]
    source = GeneratedTexts(ITEMS, endpoint(stub, parallel=1, attempts=3), tmp_path / "t.jsonl")
    with pytest.raises(GenerationError, match="gave no answer in 3 attempts") as caught:
        source.generate(ITEMS.item_ids, progress=False)
    assert "HTTP 500: error 500" in str(caught.value)
    assert "what came so far is kept" in str(caught.value)
    assert len(stub.questions) <= 2 + 2 * 3  # one may have been under way
    stub.planned = []
    again = GeneratedTexts(ITEMS, endpoint(stub), tmp_path / "t.jsonl")
    assert again.estimate(ITEMS.item_ids).kept == 2
    again.generate(ITEMS.item_ids, progress=False)
    assert stub.answered == 12


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(401, "check the key: the key in MY_KEY"), (403, "rights"), (404, "the model's name")],
)
def test_refusals_are_told_at_once(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-42")
    stub.planned = [code] * 20
    source = GeneratedTexts(
        ITEMS, endpoint(stub, api_key_variable="MY_KEY", parallel=1), tmp_path / "t.jsonl"
    )
    with pytest.raises(GenerationError, match=rf"refuses the question \(HTTP {code}\)") as caught:
        source.generate(ITEMS.item_ids, progress=False)
    assert remedy in str(caught.value)
    assert "secret-42" not in str(caught.value)
    assert stub.keys[0] == "Bearer secret-42"
    assert len(stub.questions) <= 2
    assert "secret-42" not in "".join(p.read_text() for p in tmp_path.rglob("*.jsonl"))


def test_one_refused_question_does_not_stop_the_others(
    stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stub.planned = [200, 400]
    source = GeneratedTexts(ITEMS, endpoint(stub, parallel=1), tmp_path / "t.jsonl")
    source.generate(ITEMS.item_ids, progress=False)
    assert [item for item in ITEMS.item_ids if not source.queries(item)] == [ITEMS.item_ids[1]]
    assert "refused" in caplog.text
    stub.planned = [400] * 40
    with pytest.raises(GenerationError, match="HTTP 400"):
        GeneratedTexts(ITEMS, endpoint(stub), tmp_path / "u.jsonl").generate(ITEMS.item_ids, progress=False)


@pytest.mark.parametrize(
    "answer", [b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": 5}}]}', b"[1]"]
)
def test_what_is_no_chat_completion_is_told(stub: Stub, tmp_path: Path, answer: bytes) -> None:
    stub.planned = [answer] * 30
    with pytest.raises(GenerationError, match="but not as chat completions do") as caught:
        texts(stub, tmp_path).generate(["i1"], progress=False)
    assert answer.decode()[:5] in str(caught.value)


def test_an_answer_without_content_is_an_empty_one(stub: Stub, tmp_path: Path) -> None:
    stub.planned = [b'{"choices": [{"message": {"content": null}}]}']
    source = texts(stub, tmp_path)
    source.generate(["i1"], progress=False)
    assert source.queries("i1") == ()


def test_nobody_at_home_is_told(tmp_path: Path) -> None:
    model = ChatEndpoint("http://127.0.0.1:9", "m", attempts=2, backoff=0.0)
    with pytest.raises(GenerationError, match="no answer in 2 attempts") as caught:
        GeneratedTexts(ITEMS, model, tmp_path / "t.jsonl").generate(["i1"], progress=False)
    assert "refused" in str(caught.value)


def test_settings_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_KEY_HERE", raising=False)
    with pytest.raises(ConfigError, match="NO_KEY_HERE holds no key"):
        ChatEndpoint("http://localhost", "m", api_key_variable="NO_KEY_HERE")
    with pytest.raises(ConfigError, match="no address of a chat endpoint"):
        ChatEndpoint("localhost:80", "m")
    with pytest.raises(ConfigError, match="out of range"):
        ChatEndpoint("http://localhost", "m", attempts=0)
    with pytest.raises(ConfigError, match="out of range"):
        LocalGenerator("x", batch_size=0)
    with pytest.raises(ConfigError, match="cannot be generated"):
        GeneratedTexts(ITEMS, LocalGenerator("x"), tmp_path / "t.jsonl", stride=0)


RUN = """
import sys
from genrec.data import ItemTable
from genrec.tasks import ChatEndpoint, GeneratedTexts
items = ItemTable.from_rows({"item_id": f"i{n}", "title": f"Hat {n}"} for n in range(60))
source = GeneratedTexts(items, ChatEndpoint(sys.argv[1], "m", parallel=2), sys.argv[2])
source.generate(items.item_ids, progress=False)
print(sum(bool(source.queries(item)) for item in items.item_ids))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(stub: Stub, tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    command = [sys.executable, "-c", RUN, stub.base, str(path)]
    stub.delay = 0.02
    process = subprocess.Popen(command)
    while not path.exists() or path.read_bytes().count(b"\n") < 7:
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = path.read_bytes()
    assert 7 <= kept.count(b"\n") < 60
    path.write_bytes(kept + kept[:40])  # as if the disk had taken half a line
    stub.delay = 0.0
    before = stub.answered
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "60"
    # the two requests under way when the first run died may be answered to nobody
    assert 0 <= stub.answered - before - (60 - kept.count(b"\n")) <= 2
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines) == 60
    assert path.read_bytes().startswith(kept)


def test_the_cache_takes_half_lines_off_and_refuses_others(tmp_path: Path, caplog: Any) -> None:
    path = tmp_path / "c.jsonl"
    cache = TextCache(path)
    cache.add("a", "one\n\u2028two")
    cache.add("a", "other")
    cache.add("b", "")
    whole = path.read_bytes()
    for cut in range(1, len(whole) - whole.rfind(b"\n", 0, -1) - 1):
        path.write_bytes(whole[:-cut])
        again = TextCache(path)
        assert (len(again), again["a"]) == (1 + (cut == 1), "one\n\u2028two")  # its end alone is put back
        assert path.read_bytes().endswith(b"\n")
        again.add("b", "")
        assert path.read_bytes() == whole
    assert "half a line" in caplog.text
    path.write_bytes(whole + b'{"key": 1}\n' + whole)
    with pytest.raises(DataError, match=r"c\.jsonl, line 3: not a text"):
        TextCache(path)
    with pytest.raises(DataError, match="cannot be read"):
        TextCache(tmp_path)


@pytest.mark.parametrize("taken", [0, 1, 30, OSError(errno.ENOSPC, "No space left on device")])
def test_a_line_that_the_disk_took_half_of_does_not_run_into_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int | OSError
) -> None:
    path = tmp_path / "c.jsonl"
    cache = TextCache(path)
    cache.add("a", "one")

    class FullDisk(io.FileIO):
        """Takes a part of what is written, or a part and then an error."""

        def write(self, data: Any) -> int:
            super().write(data[: taken if isinstance(taken, int) else 7])
            if isinstance(taken, OSError):
                raise taken
            return taken

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda self, *_, **__: FullDisk(self, "ab"))
        with pytest.raises(DataError, match=r"could not be kept(.|\n)*all texts before it are kept"):
            cache.add("b", "two")
    assert "b" not in cache
    assert path.read_bytes().count(b"\n") == 1
    cache.add("c", "three")
    again = TextCache(path)
    assert (len(again), again["a"], again["c"]) == (2, "one", "three")


def test_threads_may_add_at_once(tmp_path: Path) -> None:
    cache = TextCache(tmp_path / "c.jsonl")
    threads = [
        threading.Thread(target=lambda k=k: [cache.add(f"{k} {n}", "x" * 500) for n in range(40)])
        for k in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(TextCache(tmp_path / "c.jsonl")) == 240


def test_a_local_model_writes_too(tiny: Any, tmp_path: Path) -> None:
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.text_tokenizer.save_pretrained(tmp_path / "model")
    model = LocalGenerator(str(tmp_path / "model"), max_new_tokens=5, batch_size=2, device="cpu")
    questions = ["a", "a longer question", "b"]
    answers = dict(model.answers(questions))
    assert list(answers) == [0, 1, 2]
    alone = LocalGenerator(str(tmp_path / "model"), max_new_tokens=5, batch_size=1, device="cpu")
    assert dict(alone.answers(questions)) == answers  # padding changes nothing
    counter = LocalGenerator(str(tmp_path / "model"))
    (tmp_path / "model" / "model.safetensors").unlink()
    assert counter.count_tokens("abc") > 0  # no weights are loaded to estimate
    with pytest.raises(GenerationError, match="cannot be loaded"):
        list(counter.answers(["a"]))
    source = GeneratedTexts(ITEMS, model, tmp_path / "t.jsonl")
    assert source.estimate(["i1"]).answer_tokens == 5
    source.generate(["i1"], progress=False)
    assert source.estimate(["i1"]).calls == 0
    with pytest.raises(GenerationError, match="cannot be loaded"):
        LocalGenerator(str(tmp_path / "nothing")).count_tokens("a")


def test_the_tasks_take_the_words(make_world: Any, stub: Stub, tmp_path: Path) -> None:
    world = make_world(items=ITEMS)
    source = texts(stub, tmp_path, fallback=AttributeTexts(ITEMS))
    source.generate(world.items.item_ids, world.log, progress=False)
    sequences = Sequences.from_log(world.catalog, world.log)
    search = ItemSearch(world.catalog, sequences, source, source)
    obtain = PreferenceObtain(world.catalog, sequences, source)

    def shown(task: Any) -> str:
        rows: Sequence[int] = range(len(task))
        return "".join(world.decoded(task.row(i, np.random.default_rng(i), world.builder())[0]) for i in rows)

    assert "something like Hat" in shown(search)
    assert "hats." in shown(obtain)
