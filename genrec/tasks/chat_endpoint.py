"""`ChatEndpoint`: any server that speaks OpenAI's chat completions, asked with patience.

Does not know what is asked, nor where answers are kept.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from genrec.errors import ConfigError, GenerationError

PATIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # answers that may change
LONGEST_WAIT = 60.0  # seconds between two attempts
CHARACTERS_A_TOKEN = 4
REFUSALS = 10  # questions refused at the start, after which no more are asked

logger = logging.getLogger(__name__)


class _QuestionRefusedError(GenerationError):
    """The question is at fault, not the endpoint or the key."""


class ChatEndpoint:
    """A model behind `POST <base_url>/chat/completions`.

    Args:
        base_url: Such as `https://api.openai.com/v1` or `http://localhost:8000/v1`.
        model: Name of the model there.
        api_key_variable: Environment variable that holds the key; None = no key is sent.
        max_new_tokens: Most tokens of an answer.
        temperature: 0 = the likeliest answer.
        parallel: Questions under way at once.
        timeout: Seconds to wait for an answer.
        attempts: How often a question is asked when the server is busy (429), fails (5xx), is silent or
            cannot be reached.
        backoff: Seconds before the second attempt, twice as many before each further one; what the server
            asks for (`Retry-After`) counts if it is more.

    Raises:
        ConfigError: No address, an unset variable, or a number out of range.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_variable: str | None = None,
        max_new_tokens: int = 150,
        temperature: float = 0.0,
        parallel: int = 4,
        timeout: float = 120.0,
        attempts: int = 6,
        backoff: float = 1.0,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(
                "this is no address of a chat endpoint",
                received=repr(base_url),
                remedy="give its base, such as http://localhost:8000/v1",
            )
        if min(max_new_tokens, parallel, attempts) < 1 or timeout <= 0 or backoff < 0:
            raise ConfigError(
                "a setting of the chat endpoint is out of range",
                received=f"max_new_tokens={max_new_tokens}, parallel={parallel}, attempts={attempts}, "
                f"timeout={timeout}, backoff={backoff}",
                remedy="use 1 or more of each, and seconds above 0",
            )
        self.url = base_url.rstrip("/") + "/chat/completions"
        self.model = model
        self.max_new_tokens = max_new_tokens
        self.settings = {"model": model, "max_new_tokens": max_new_tokens, "temperature": temperature}
        self.temperature = temperature
        self.parallel = parallel
        self.timeout = timeout
        self.attempts = attempts
        self.backoff = backoff
        self.api_key_variable = api_key_variable
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key_variable is not None:
            key = os.environ.get(api_key_variable, "").strip()
            if not key:
                raise ConfigError(
                    f"the environment variable {api_key_variable} holds no key",
                    received="nothing",
                    remedy=f"export {api_key_variable}=..., or leave api_key_variable out",
                )
            self._headers["Authorization"] = f"Bearer {key}"

    def count_tokens(self, text: str) -> int:
        """About how many tokens a text has: one for four characters, as the model's own are not known."""
        return -(-len(text) // CHARACTERS_A_TOKEN)

    def answers(self, questions: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Asks all questions, several at once.

        Yields:
            Number of a question and its answer, in the order in which answers come.

        A single question that is refused (HTTP 400, 413 or 422) among others that are not has the answer "".

        Raises:
            GenerationError: The endpoint refuses, is not there, or answers with something else; answers that
                are under way by then are yielded first.
        """
        refused: list[tuple[int, GenerationError]] = []
        failure: GenerationError | None = None
        answered = 0
        pool = ThreadPoolExecutor(self.parallel)
        try:
            futures = {pool.submit(self._ask, question): n for n, question in enumerate(questions)}
            for future in as_completed(futures):
                if future.cancelled():
                    continue
                error = future.exception()
                if error is None:
                    answered += 1
                    yield futures[future], future.result()
                elif isinstance(error, _QuestionRefusedError):
                    refused.append((futures[future], error))
                elif isinstance(error, GenerationError):
                    failure = failure or error
                else:
                    raise error
                if failure is not None or (len(refused) >= REFUSALS and not answered):
                    for waiting in futures:
                        waiting.cancel()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if failure is not None or (refused and not answered):
            raise failure or refused[0][1]
        for number, error in refused:
            logger.warning("a question was refused and has no answer: %s", error.received)
            yield number, ""

    def _ask(self, question: str) -> str:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": self.max_new_tokens,
            "temperature": self.temperature,
        }
        for attempt in range(1, self.attempts + 1):
            wait, problem = self.backoff * 2 ** (attempt - 1), ""
            request = urllib.request.Request(self.url, json.dumps(body).encode(), self._headers)
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    return self._content(response.read())
            except urllib.error.HTTPError as error:
                said = error.read(500).decode("utf-8", "replace")
                if error.code not in PATIENT:
                    raise self._refusal(error.code, said) from None
                problem = f"HTTP {error.code}: {said[:200]}"
                wait = max(wait, _seconds(error.headers.get("Retry-After")))
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                problem = f"{type(error).__name__}: {getattr(error, 'reason', None) or error}"
            if attempt < self.attempts:
                time.sleep(min(wait, LONGEST_WAIT))
        raise GenerationError(
            f"the endpoint {self.url} gave no answer in {self.attempts} attempts",
            received=problem,
            remedy="check that it runs and can be reached, and start again: what came so far is kept",
        )

    def _content(self, data: bytes) -> str:
        try:
            content: Any = json.loads(data)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            content = 0
        if content is None:
            return ""
        if not isinstance(content, str):
            raise GenerationError(
                f"the endpoint {self.url} answers, but not as chat completions do",
                received=data[:200].decode("utf-8", "replace"),
                remedy="give the base of an OpenAI-compatible interface; most end in /v1",
            )
        return content

    def _refusal(self, code: int, said: str) -> GenerationError:
        kind = _QuestionRefusedError if code in (400, 413, 422) else GenerationError
        key = f"the key in {self.api_key_variable}" if self.api_key_variable else "no key"
        remedies = {
            401: f"check the key: {key} was sent",
            403: f"check the key's rights: {key} was sent",
            404: f"check base_url and the model's name, {self.model!r}",
        }
        return kind(
            f"the endpoint {self.url} refuses the question (HTTP {code})",
            received=said[:200],
            remedy=remedies.get(code, "see what the endpoint says, and change the settings"),
        )


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, float(retry_after or 0))
    except ValueError:  # a date
        return 0.0
