"""Every shipped recipe, whole but scaled down, on files in the layout that its data come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genrec import Recipe, SyntheticWorld
from genrec.recipe import shipped_recipes

SCALED = [
    "model.num_layers=1",
    "model.hidden_size=64",  # bitsandbytes quantises blocks of 64
    "model.intermediate_size=64",
    "data.num_items=120",
    "data.num_users=400",
    "model.text_vocab_size=300",
    "align.max_steps=8",
    "align.evaluate_every=4",
    "align.batch_size=32",
    "align.threads=1",
    "evaluate.bootstrap=20",
    "evaluate.tune_baselines=false",
]

CHAT_TEMPLATE = """{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}"""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A made-up shop as files, and the overrides that name them."""
    folder = tmp_path_factory.mktemp("files")
    world = SyntheticWorld.generate(seed=3, num_items=100, num_users=300)
    world.items.write(folder / "items.jsonl.gz")
    lines = ["user_id,item_id,timestamp"]
    for user in world.interactions.user_ids:  # positions in place of times, as in the Amazon files
        lines += [f"{user},{item},{place}" for place, item in enumerate(world.interactions.history(user))]
    (folder / "interactions.csv").write_text("\n".join(lines) + "\n")
    return [f"data.items={folder / 'items.jsonl.gz'}", f"data.interactions={folder / 'interactions.csv'}"]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random model of Qwen3's shape with a chat template, in the place of pretrained weights."""
    from genrec.vocabulary import build_small_model, train_text_tokenizer

    folder = tmp_path_factory.mktemp("base")
    world = SyntheticWorld.generate(seed=3, num_items=100, num_users=100)
    text_tokenizer = train_text_tokenizer(world.items.texts(("title", "description")), 400)
    text_tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    text_tokenizer.eos_token = "<|im_end|>"
    text_tokenizer.chat_template = CHAT_TEMPLATE
    model = build_small_model(text_tokenizer, hidden_size=64, intermediate_size=64, num_layers=1, num_heads=2)
    model.save_pretrained(folder)
    text_tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_recipe_says_how_to_run_it_and_can_be_read(name: str) -> None:
    path = shipped_recipes()[name]
    assert Recipe.load(name).name == name == path.parent.name
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any(f"{name}" in line and "genrec" in line for line in header)
    assert (path.parent / "README.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(set(shipped_recipes()) - {"quickstart", "redial-dialogue"})
)  # these have tests of their own
def test_a_recipe_runs_whole(name: str, genrec: Any, files: list[str], base: str, tmp_path: Path) -> None:
    overrides = [*files, *SCALED, f"output_dir={tmp_path / 'out'}"]
    if Recipe.load(name).model.base is not None:
        overrides.append(f"model.base={base}")
    for command in ("build-ids", "align", "evaluate"):
        genrec(command, name, *overrides)
    report = json.loads((tmp_path / "out" / "evaluation" / "report.json").read_text())
    assert report["facts"]["recipe"] == name
    assert all(row["invalid_rate"] == 0 and row["duplicate_rate"] == 0 for row in report["rankers"])


@pytest.mark.slow
def test_ids_from_an_index_are_trained_on(
    genrec: Any, files: list[str], quickstart: Any, tmp_path: Path
) -> None:
    overrides = [*SCALED, f"output_dir={tmp_path / 'out'}"]
    index = f"item_tokenizer.index={quickstart.folder / 'ids' / 'index.json'}"
    genrec("align", "quickstart", *overrides, index)
    bundle = tmp_path / "out" / "bundle"
    assert (bundle / "catalog" / "catalog.parquet").is_file()
    assert not (bundle / "item_tokenizer").exists()
    known = json.loads((quickstart.folder / "ids" / "index.json").read_text())
    item = sorted(known)[0]
    answer = json.loads(genrec("recommend", str(bundle), "--history", item, "--json").stdout)
    assert all(row["semantic_id"] == known[row["item_id"]] for row in answer)


@pytest.mark.slow
def test_an_index_whose_items_share_ids_needs_a_decision(genrec: Any, tmp_path: Path) -> None:
    world = SyntheticWorld.generate(seed=0, num_items=120, num_users=400)
    shared = {item: [f"<a_{row % 7}>", f"<b_{row % 5}>"] for row, item in enumerate(world.items.item_ids)}
    (tmp_path / "index.json").write_text(json.dumps(shared))
    overrides = [*SCALED, f"output_dir={tmp_path / 'out'}"]
    index = f"item_tokenizer.index={tmp_path / 'index.json'}"
    refused = genrec("build-ids", "quickstart", *overrides, index, status=1)
    assert "items share Semantic IDs" in refused.stderr
    assert "index_collisions=extra_code" in refused.stderr
    genrec("align", "quickstart", *overrides, index, "item_tokenizer.index_collisions=extra_code")
