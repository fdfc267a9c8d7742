"""Revisions of a model on the hub: asked for, kept, and a key of their own for what they made."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoImageProcessor, AutoTokenizer

from genrec.embeddings import ImageItemEncoder, TextItemEncoder, load_encoder
from genrec.errors import ConfigError, GenerationError
from genrec.tasks import LocalGenerator

# keys of encoders without a revision, by which vectors lie in caches there are
TEXT_KEY = "7b1b74ff3544866c3a2b6e5a4fd855a082612260dafcff505776f3c5d4c10066"
IMAGE_KEY = "2ab05b5086fc2f91a46c0fa57f12ff377fb6fa0aa6504ca41b43352dd8493c68"


@pytest.mark.parametrize(("kind", "key"), [(TextItemEncoder, TEXT_KEY), (ImageItemEncoder, IMAGE_KEY)])
def test_a_revision_has_a_key_of_its_own_and_none_the_key_there_was(
    tmp_path: Path, kind: type[TextItemEncoder] | type[ImageItemEncoder], key: str
) -> None:
    encoders = [kind("owner/name", revision=revision) for revision in (None, "v1", "v2")]
    assert encoders[0].fingerprint() == key
    assert len({encoder.fingerprint() for encoder in encoders}) == 3
    for number, encoder in enumerate(encoders):
        encoder.save(tmp_path / str(number))
        assert load_encoder(tmp_path / str(number)).fingerprint() == encoder.fingerprint()


def test_texts_of_a_revision_have_keys_of_their_own() -> None:
    models = [LocalGenerator("owner/name", revision=revision) for revision in (None, "v1", "v2")]
    assert models[0].settings == {"model": "owner/name", "max_new_tokens": 150, "temperature": 0.0}
    assert [model.settings.get("revision") for model in models] == [None, "v1", "v2"]


def test_the_revision_is_what_the_hub_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def loaded(*_: Any, revision: str | None = None, **__: Any) -> None:
        asked.append(revision)
        raise OSError("not there")

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=loaded))
    for kind in (AutoImageProcessor, AutoTokenizer):
        monkeypatch.setattr(kind, "from_pretrained", loaded)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        TextItemEncoder("owner/name", revision="v1")._load()
    with pytest.raises(ConfigError, match="cannot be loaded"):
        ImageItemEncoder("owner/name", revision="v2")._load()
    with pytest.raises(GenerationError, match="cannot be loaded"):
        LocalGenerator("owner/name", revision="v3").count_tokens("a")
    assert asked == ["v1", "v2", "v3"]


def test_what_does_not_come_from_the_hub_has_no_revision(tmp_path: Path) -> None:
    for kind in (TextItemEncoder, ImageItemEncoder, LocalGenerator):
        with pytest.raises(ConfigError, match="has a revision"):
            kind(str(tmp_path), revision="v1")
    with pytest.raises(ConfigError, match="has a revision"):
        TextItemEncoder("minilm", revision="v1")
