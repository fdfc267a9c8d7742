"""The card says what is in the bundle, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import EvalResultEntry, ModelCard, ModelCardData

from genrec.catalog import Catalog
from genrec.config import read_yaml
from genrec.hub import LANGUAGE_MODEL, open_bundle
from genrec.hub.base_terms import base_terms
from genrec.hub.model_card import CardFacts, eval_results, model_card, num_parameters
from genrec.hub.publication import without_paths


@pytest.fixture(scope="module")
def facts(make_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> CardFacts:
    folder = make_bundle(tmp_path_factory.mktemp("card") / "bundle")
    import json

    return CardFacts(
        repo_id="me/mine",
        kind=LANGUAGE_MODEL,
        facts=open_bundle(folder, kind=LANGUAGE_MODEL),
        settings=read_yaml(folder / "settings.yaml"),
        recipe=read_yaml(folder / "recipe.yaml"),
        metrics=json.loads((folder / "metrics.json").read_text()),
        catalog=Catalog.load(folder / "catalog"),
        model_folder=folder / "model",
    )


def test_it_tells_use_metrics_recipe_catalog_limits_and_licence(facts: CardFacts) -> None:
    text = model_card(facts)
    for part in ("## Use", "## Metrics", "## Training", "## Catalog", "## Limits", "## Licence"):
        assert part in text
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    assert len([line for line in code[1].splitlines() if line]) <= 6
    compile(code[1], "card", "exec")
    assert 'from_pretrained("me/mine")' in code[1]
    assert "| **this model** | 0.4000 [0.3900, 0.4100] | 0.2000 [0.1900, 0.2100] |" in text
    assert "| item-knn | 0.2200" in text
    assert "history masked: no" in text
    assert "2 x86 cores, 24 GiB" in text
    assert "12 items" in text.replace("items: 12 on", "12 items")
    assert "newest 4 items count" in text
    assert f"{num_parameters(facts.model_folder):,} weights" in text
    assert "did better" not in text


def test_retired_items_are_not_counted(facts: CardFacts) -> None:
    gone = facts.catalog.item_ids[:3]
    later = model_card(replace(facts, catalog=facts.catalog.retire(gone)))
    assert "the next item of a catalog of 12 items" in model_card(facts)
    assert "the next item of a catalog of 9 items" in later
    assert "items: 9 on" in later
    again = model_card(replace(facts, catalog=facts.catalog.retire(gone).restore(gone[:1])))
    assert "the next item of a catalog of 10 items" in again


def test_its_metadata_is_read_by_the_hubs_own_library(facts: CardFacts) -> None:
    data = ModelCard(model_card(facts)).data
    assert isinstance(data, ModelCardData)
    assert data.library_name == "genrec"
    assert data.license is None
    assert {(r.metric_type, r.metric_value) for r in data.eval_results} == {
        ("recall_10", 0.4),
        ("ndcg_10", 0.2),
    }
    assert data.eval_results[0].metric_args == {"interval_95": [0.39, 0.41], "cases": 300}
    assert ModelCard(model_card(replace(facts, chosen_license="mit"))).data.license == "mit"


def test_results_are_written_for_a_data_set_that_is_named(facts: CardFacts) -> None:
    assert eval_results(facts) is None
    text = eval_results(replace(facts, dataset="me/shop"))
    assert text is not None
    entries = yaml.safe_load(text)
    assert [entry["dataset"] for entry in entries] == [
        {"id": "me/shop", "task_id": "recall_10"},
        {"id": "me/shop", "task_id": "ndcg_10"},
    ]
    assert "[0.3900, 0.4100]" in entries[0]["notes"]
    from huggingface_hub import parse_eval_result_entries

    assert all(isinstance(entry, EvalResultEntry) for entry in parse_eval_result_entries(entries))


def test_a_better_baseline_is_named(facts: CardFacts) -> None:
    report = dict(facts.metrics["test"])
    better = {**report["rankers"][1], "metrics": {"recall@10": 0.3, "ndcg@10": 0.6}}
    worse = replace(facts, metrics={"test": {**report, "rankers": [report["rankers"][0], better]}})
    assert "By ndcg@10 these did better than this model: item-knn." in model_card(worse)


def test_without_results_it_says_so(facts: CardFacts) -> None:
    text = model_card(replace(facts, metrics={"validation": {"ndcg@10": 0.5}}, recipe={}))
    assert "not evaluated on test cases" in text
    assert "model-index" not in text
    assert "no recipe is kept" in text


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.2-1B", "google/gemma-3-270m"])
def test_terms_of_the_base_are_on_the_card(facts: CardFacts, name: str) -> None:
    terms = base_terms(name, revision="a" * 40)
    text = model_card(replace(facts, terms=terms))
    data = ModelCard(text).data
    assert data.license == terms.license
    assert data.base_model == name
    assert terms.notice in text
    assert "a" * 40 in text
    assert ("**Built with Llama**" in text) == terms.is_llama
    assert "apache" not in text.lower()


def test_paths_become_names() -> None:
    recipe = {
        "output_dir": "/home/me/out/mine",
        "data": {"items": "C:\\Users\\me\\items.csv", "fields": ["title", "~/x/y.npy"], "n": 3},
        "model": {"base": "Qwen/Qwen3-0.6B"},
        "rel": "../up/there.csv",
        "out": "outputs/mine",
        "texts": {"base_url": "https://inside.example.org/v1"},
    }
    assert without_paths(recipe) == {
        "output_dir": "mine",
        "data": {"items": "items.csv", "fields": ["title", "y.npy"], "n": 3},
        "model": {"base": "Qwen/Qwen3-0.6B"},
        "rel": "there.csv",
        "out": "outputs/mine",
        "texts": {"base_url": "http://localhost:8000/v1"},
    }
