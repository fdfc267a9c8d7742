"""Stages in one process: inputs, splits, skipping, and rows of the item table in any order."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from genrec import GenerativeRecommender, GenRecError, ItemTable, ItemTokenizer, Recipe, SyntheticWorld
from genrec.pipeline import align, build_ids, check, evaluate, load_inputs
from genrec.pipeline.alignment import align_fingerprint
from genrec.pipeline.semantic_ids import content_vectors, load_catalog
from genrec.recommender import load_recommender

SMALL = [
    "data.num_items=80",
    "data.num_users=250",
    "embeddings.dim=12",
    "model.hidden_size=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.intermediate_size=16",
    "model.text_vocab_size=280",
    "align.max_steps=6",
    "align.evaluate_every=3",
    "align.batch_size=16",
    "align.validation_users=50",
    "align.threads=1",
    "decode.num_beams=5",
    "evaluate.bootstrap=0",
    "evaluate.tune_baselines=false",
]


def recipe(folder: Path, *more: str) -> Recipe:
    return Recipe.load("quickstart", [*SMALL, f"output_dir={folder}", *more])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up shop as files, and the same one with the rows of its item table in another order."""
    folder = tmp_path_factory.mktemp("shop")
    world = SyntheticWorld.generate(seed=4, num_items=80, num_users=250)
    world.items.write(folder / "items.jsonl")
    world.interactions.write(folder / "log.csv")
    order = np.random.default_rng(0).permutation(80)
    world.items.subset([world.items.item_ids[row] for row in order]).write(folder / "shuffled.jsonl")
    return folder


def test_shuffling_the_item_table_changes_no_id_and_no_result(shop: Path, tmp_path: Path) -> None:
    reports, bundles = [], []
    for items in ("items.jsonl", "shuffled.jsonl"):
        files = ["data.source=files", f"data.items={shop / items}", f"data.interactions={shop / 'log.csv'}"]
        chosen = recipe(tmp_path / items, *files)
        align(chosen)
        report = json.loads((evaluate(chosen).folder / "report.json").read_text())
        reports.append([{k: v for k, v in row.items() if k != "seconds"} for row in report["rankers"]])
        bundles.append((tmp_path / items / "bundle" / "model" / "model.safetensors").read_bytes())
        index = json.loads((tmp_path / items / "ids" / "index.json").read_text())
        bundles.append(json.dumps(index))
    assert reports[0] == reports[1]
    assert bundles[:2] == bundles[2:]


def test_a_stage_is_done_once_for_the_same_inputs(tmp_path: Path) -> None:
    first = build_ids(recipe(tmp_path))
    again = build_ids(recipe(tmp_path, "align.epochs=99"))  # nothing the IDs depend on
    other = build_ids(recipe(tmp_path, "item_tokenizer.definition=rkmeans-3x256"))
    assert [r.skipped for r in (first, again, other)] == [False, True, False]
    assert "skipped" in again.message
    assert load_catalog(recipe(tmp_path)).spec.codebook_sizes == (256, 256, 256)


def test_the_training_depends_on_what_it_should(tmp_path: Path) -> None:
    base = recipe(tmp_path)
    inputs = load_inputs(base)
    for change in (
        "evaluate.bootstrap=7",
        "align.keep_checkpoints=1",
        "align.logging_steps=3",
        "align.report_to=trackio",
        "align.activation_checkpointing=true",
    ):
        assert align_fingerprint(recipe(tmp_path, change), inputs) == align_fingerprint(base, inputs)
    for change in ("seed=1", "align.learning_rate=0.1", "model.num_layers=2", "embeddings.dim=11"):
        assert align_fingerprint(recipe(tmp_path, change), inputs) != align_fingerprint(base, inputs)


def test_the_splits_of_a_recipe(tmp_path: Path) -> None:
    by_time = load_inputs(recipe(tmp_path / "a", "data.split=time"))
    assert "time split" in by_time.split.rule
    cold = load_inputs(recipe(tmp_path / "b", "data.split=cold_items", "data.cold_share=0.2"))
    trained = set(cold.split.train.item_ids)
    assert not trained & set(cold.split.test.targets)
    core = load_inputs(recipe(tmp_path / "c", "data.k_core=8"))
    assert min(np.diff(core.log.offsets)) >= 8


def test_a_time_split_of_order_only_data_is_refused(shop: Path, tmp_path: Path) -> None:
    files = [
        "data.source=files",
        f"data.items={shop / 'items.jsonl'}",
        f"data.interactions={shop / 'log.csv'}",
    ]
    with pytest.raises(GenRecError, match="needs absolute times"):
        load_inputs(recipe(tmp_path, *files, "data.split=time", "data.time=order"))


def test_vectors_of_the_users_own_are_taken_by_item_id(tmp_path: Path) -> None:
    world = SyntheticWorld.generate(seed=0, num_items=80, num_users=250)
    vectors = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    (tmp_path / "ids.txt").write_text("\n".join(world.items.item_ids))
    own = [f"embeddings.vectors={tmp_path / 'v.npy'}", f"embeddings.vector_ids={tmp_path / 'ids.txt'}"]
    chosen = recipe(tmp_path / "out", "embeddings.encoder=files", *own)
    table = content_vectors(chosen, world.items)
    assert table.vectors_for([world.items.item_ids[3]])[0].tolist() == vectors[3].tolist()
    assert not build_ids(chosen).skipped
    assert build_ids(chosen).skipped
    (tmp_path / "ids.txt").write_text("\n".join(reversed(world.items.item_ids)))
    assert not build_ids(chosen).skipped  # the same matrix, but the rows are other items'
    align(chosen)  # IDs from them, and a bundle that says it cannot make vectors itself
    items: ItemTable = world.items
    item_tokenizer = ItemTokenizer.load(tmp_path / "out" / "bundle" / "item_tokenizer")
    with pytest.raises(GenRecError, match="hand in embeddings"):
        item_tokenizer.encode(items)


def test_content_counts_where_ids_are_read_from_a_file(tmp_path: Path) -> None:
    build_ids(recipe(tmp_path))
    given = f"item_tokenizer.index={tmp_path / 'ids' / 'index.json'}"
    chosen = [recipe(tmp_path / "out", given, dim) for dim in ("embeddings.dim=12", "embeddings.dim=6")]
    inputs = load_inputs(chosen[0])
    one, other = (align_fingerprint(one, inputs) for one in chosen)
    assert one == other  # a language model does not see the vectors
    item_level = [
        dataclasses.replace(c, model=dataclasses.replace(c.model, architecture="item_level")) for c in chosen
    ]
    one, other = (align_fingerprint(one, inputs) for one in item_level)
    assert one != other


def test_check_estimates_with_and_without_built_ids(tmp_path: Path) -> None:
    before = check(recipe(tmp_path))
    build_ids(recipe(tmp_path))
    after = check(recipe(tmp_path))
    timed = {"seconds_per_step", "training_minutes", "memory_gib"}
    facts = [{k: v for k, v in dataclasses.asdict(e).items() if k not in timed} for e in (before, after)]
    assert facts[0] == facts[1]
    assert before.items == 80
    assert before.codebook_sizes == (64, 64, 64)
    assert before.steps == 6
    assert before.seconds_per_step > 0


def test_check_counts_the_steps_that_training_takes(tmp_path: Path) -> None:
    passes = ["align.max_steps=-1", "align.epochs=2", "align.batch_size=96"]
    whole = check(recipe(tmp_path, *passes))
    assert whole.training_rows == 250
    assert whole.steps == 2 * (250 // 96)
    parts = check(recipe(tmp_path, *passes, "align.gradient_accumulation=4"))
    assert parts.steps == 2 * 3  # the passes left over are a step of their own


def test_check_estimates_the_item_level_generator_and_no_other_model(tmp_path: Path) -> None:
    chosen = recipe(
        tmp_path,
        "model.architecture=item_level",
        "align.max_steps=-1",
        "align.epochs=2",
        "align.batch_size=96",
    )
    found = check(chosen)
    align(chosen)
    trained = load_recommender(tmp_path / "bundle").model
    assert found.trained_parameters == sum(p.numel() for p in trained.parameters())
    assert found.steps == json.loads((tmp_path / "align" / "loss_curve.json").read_text())[-1]["step"]
    assert found.reserved_tokens == 0
    rows = load_inputs(chosen).split.train
    kept = np.minimum(np.diff(rows.offsets) - 1, chosen.align.max_history)
    assert found.tokens_per_epoch == found.targets_per_epoch == kept.clip(min=0).sum()


def test_check_makes_up_ids_for_any_shape(tmp_path: Path) -> None:
    for definition in ("fsq-4x15360", "rqvae-4x256"):
        chosen = recipe(
            tmp_path / definition, f"item_tokenizer.definition={definition}", "model.hidden_size=8"
        )
        assert check(chosen).items == 80


def test_ids_of_an_index_method_are_made_of_the_training_part_alone(shop: Path, tmp_path: Path) -> None:
    files = [
        "data.source=files",
        f"data.items={shop / 'items.jsonl'}",
        f"data.interactions={shop / 'log.csv'}",
    ]
    chosen = recipe(tmp_path / "out", *files, "item_tokenizer.definition=p5-collaborative")
    inputs = load_inputs(chosen)
    first = build_ids(chosen, inputs)
    assert not first.skipped
    catalog = load_catalog(chosen)
    assert len({catalog.tokens(item) for item in inputs.items.item_ids}) == 80
    # another test part changes nothing; another training part does
    test = dataclasses.replace(inputs.split, test=inputs.split.validation)
    assert build_ids(chosen, dataclasses.replace(inputs, split=test)).skipped
    fewer = inputs.split.train.take(np.arange(len(inputs.split.train) - 30))
    train = dataclasses.replace(inputs.split, train=fewer)
    assert not build_ids(chosen, dataclasses.replace(inputs, split=train)).skipped


def test_user_codes_go_from_training_into_the_bundle_and_back(shop: Path, tmp_path: Path) -> None:
    files = [f"data.items={shop / 'items.jsonl'}", f"data.interactions={shop / 'log.csv'}"]
    asked = ["item_tokenizer.user_codes=true", "tasks.seqrec.form=prefixes", "data.source=files"]
    chosen = recipe(tmp_path / "out", *asked, *files)
    with pytest.raises(GenRecError, match=r"user_codes needs tasks\.seqrec\.form=prefixes"):
        recipe(tmp_path / "out", "item_tokenizer.user_codes=true")
    bundle = align(chosen).folder
    recommender = GenerativeRecommender.from_pretrained(bundle)
    assert recommender.user_tokenizer is not None
    history = recommender.items.item_ids[:3]
    prompt = recommender.ranker.builder.history(recommender.catalog.codes[recommender.catalog.rows(history)])
    names = recommender.text_tokenizer.convert_ids_to_tokens(prompt.tolist())
    assert [name[:3] for name in names[1:4]] == ["<u1", "<u2", "<u3"]
    found = recommender.recommend(history, k=4)
    assert len(found) == 4
    recommender.save_pretrained(tmp_path / "again")
    again = GenerativeRecommender.from_pretrained(tmp_path / "again").recommend(history, k=4)
    assert [r.item_id for r in again] == [r.item_id for r in found]
