"""A process that talks to the stub hub: expressions in on standard input, their values out as JSON.

huggingface_hub reads its endpoint and its cache when it is imported, so tests cannot talk to the stub
themselves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def hub_environment(url: str, home: Path, token: str | None) -> dict[str, str]:
    """The environment of a process that knows no hub but the stub."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    more = {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(ROOT),
    }
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ["PATH"]])
    return kept | more | {"PATH": path} | ({"HF_TOKEN": token} if token else {})


class HubClient:
    """The process, kept for many calls."""

    def __init__(self, url: str, home: Path, token: str | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env=hub_environment(url, home, token),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, expression: str, **names: Any) -> dict[str, Any]:
        """Evaluates an expression there; `value`, or `error`, `problem`, `received` and `remedy`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"expression": expression, "names": names}, default=str) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def __call__(self, expression: str, **names: Any) -> Any:
        """The value of an expression that must not fail."""
        answer = self.ask(expression, **names)
        assert "value" in answer, answer
        return answer["value"]

    def refused(self, expression: str, **names: Any) -> dict[str, Any]:
        """The error of an expression that must raise one of genrec's."""
        answer = self.ask(expression, **names)
        assert "problem" in answer, answer
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def upload_base(folder: str, repo: str) -> str:
    """A base model to the hub, as its makers do it."""
    from huggingface_hub import HfApi

    HfApi().create_repo(repo, exist_ok=True, private=False)
    return str(HfApi().upload_folder(repo_id=repo, folder_path=folder).oid)


def adapter_bundle(base: str, folder: str, **options: Any) -> list[str]:
    """A bundle of adapters whose values are far from their first ones, and what it recommends."""
    import numpy as np
    import torch

    from genrec import Catalog, GenerativeRecommender, ItemTable, SemanticIdSpec, extend_model
    from genrec.recommender.bundle import BundleSettings
    from genrec.training import add_lora

    spec, ids = SemanticIdSpec((5, 4, 6)), [f"i{row}" for row in range(12)]
    model, text_tokenizer, vocabulary = extend_model(base, spec, **options)
    wrapped = add_lora(model, vocabulary, r=4)
    generator = torch.Generator().manual_seed(0)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    numbers = np.random.default_rng(0).choice(120, size=12, replace=False)
    made = GenerativeRecommender(
        wrapped.eval(),
        text_tokenizer,
        vocabulary,
        Catalog(ids, np.stack(np.unravel_index(numbers, (5, 4, 6)), axis=1), spec),
        ItemTable.from_rows({"item_id": item, "title": item} for item in ids),
        settings=BundleSettings(num_beams=12),
    )
    made.save_pretrained(folder)
    return [found.item_id for found in made.recommend(["i1", "i2"], 5)]


def main() -> None:
    import warnings

    warnings.simplefilter("error", UserWarning)
    from genrec import hub, recommender
    from genrec.errors import GenRecError

    known: dict[str, Any] = {
        "hub": hub,
        "recommender": recommender,
        "upload_base": upload_base,
        "adapter_bundle": adapter_bundle,
    }
    out = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            value = eval(asked["expression"], {**known, **asked["names"]})  # the tests' own expressions
            answer = {"value": value}
        except GenRecError as error:
            answer = {
                "error": type(error).__name__,
                "problem": error.problem,
                "received": str(error.received),
                "remedy": error.remedy,
            }
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(answer, default=str) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
