"""Licences of base models: Llama's and Gemma's always carried, nothing unknown taken for free."""

from __future__ import annotations

import pytest

from genrec.errors import HubError
from genrec.hub.base_terms import base_terms, license_fields

APACHE = {"license": "apache-2.0"}


@pytest.mark.parametrize(
    ("name", "model_type", "card", "expected"),
    [
        ("meta-llama/Llama-3.2-1B", "llama", None, "llama3.2"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama", None, "llama3"),
        ("meta-llama/Meta-Llama-3.1-8B", "llama", APACHE, "llama3.1"),
        ("somebody/llama-2-7b-copy", "llama", APACHE, "llama2"),
        ("somebody/my-Llama-3.3-70B", "llama", APACHE, "llama3.3"),
        ("google/gemma-3-270m", "gemma3_text", None, "gemma"),
        ("somebody/tuned", "gemma2", APACHE, "gemma"),
        ("google/gemma-2b", "gemma", APACHE, "gemma"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "llama", APACHE, "apache-2.0"),
        ("Qwen/Qwen3-0.6B", "qwen3", APACHE, "apache-2.0"),
        ("Qwen/Qwen3-0.6B", "qwen3", None, "other"),
        ("somebody/odd", "qwen2", {"license": "other", "license_name": "qwen"}, "other"),
        ("somebody/none", "phi", {}, "other"),
    ],
)
def test_terms_follow_name_architecture_or_card(
    name: str, model_type: str, card: dict[str, str] | None, expected: str
) -> None:
    terms = base_terms(name, model_type=model_type, card=card)
    fields = license_fields(terms, None)
    assert terms.license == fields["license"] == expected
    if expected.startswith(("llama", "gemma")):
        assert terms.notice
        assert terms.license_link == fields["license_link"]
        for wrong in ("apache-2.0", "mit"):
            with pytest.raises(HubError, match="stays under its licence"):
                license_fields(terms, wrong)
    if expected == "other":
        assert fields["license_link"] == f"https://huggingface.co/{name}"
        assert fields["license_name"]
        with pytest.raises(HubError, match=name):
            license_fields(terms, "apache-2.0")


def test_what_is_free_may_be_published_under_another_licence_and_scratch_under_any() -> None:
    apache = base_terms("Qwen/Qwen3-0.6B", card=APACHE)
    assert license_fields(apache, "mit") == {"license": "mit"}
    assert license_fields(None, None) == {}
    assert license_fields(None, "cc-by-4.0") == {"license": "cc-by-4.0"}


def test_llamas_terms_ask_to_be_named() -> None:
    terms = base_terms("meta-llama/Llama-3.2-1B", revision="a" * 40)
    assert terms.is_llama
    assert "Llama 3.2 Community License" in terms.notice
    assert "Meta Platforms" in terms.notice
