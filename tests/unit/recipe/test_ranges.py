"""Numbers of a recipe that no stage could use are refused before anything is spent, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrec.errors import ConfigError
from genrec.recipe import Recipe, shipped_recipes
from genrec.recipe.ranges import RULES, TASK_RULES

WRONG = """align.epochs=0 align.epochs=.inf align.max_steps=0 align.max_steps=-5 align.learning_rate=-1e-3
align.learning_rate=.inf align.lr_scheduler=cosin align.lr_scheduler=cosine_with_min_lr align.warmup_steps=-5
align.adam_beta2=1 align.weight_decay=-1 align.residual_dropout=1.5 align.ema_decay=1 align.patience=-1
align.keep_checkpoints=0 align.logging_steps=0 align.max_length=0 preference.beta=0 model.num_heads=0
model.num_layers=0 model.dropout=1 item_level.crop=2 item_level.teacher_share=1.5 item_level.channels=[]
evaluate.bootstrap=-1 seed=-1 seed=4294967296 tasks={} tasks.seqrec.weight=-1 tasks.seqrec.weight=.inf
tasks.seqrec.cap=0 decode.num_beams=0""".split()


@pytest.mark.parametrize("override", WRONG)
def test_a_number_out_of_range_is_refused_by_its_name(override: str) -> None:
    with pytest.raises(ConfigError) as told:
        Recipe.load("quickstart", [override])
    assert override.partition("=")[0] in str(told.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        Recipe.load("quickstart", ["align.epochs=0", "model.num_heads=0", "tasks.seqrec.cap=-1"])
    for name in ("align.epochs", "model.num_heads", "tasks.seqrec.cap"):
        assert f"{name} must be" in str(told.value)


def test_every_name_of_a_rule_is_a_field_and_shipped_recipes_hold() -> None:
    recipe = Recipe.load("quickstart", ["tasks.seqrec.cap=1"])
    names = " ".join(RULES.values()).split()
    assert len(names) == len(set(names))
    for name in names:
        section = recipe
        for part in name.split("."):
            section = getattr(section, part)
    for name in " ".join(TASK_RULES.values()).split():
        assert hasattr(recipe.tasks["seqrec"], name)
    for name in shipped_recipes():
        Recipe.load(name)


@pytest.mark.parametrize(
    "override",
    ["align.lora_r=8", "model.base=gpt2", "model.text_epochs=1", "tasks.itemsearch=", "align.max_length=64"],
)
def test_what_an_item_level_generator_would_pass_over_is_refused(override: str) -> None:
    items = "model.architecture=item_level"
    Recipe.load("quickstart", [items])
    with pytest.raises(ConfigError, match="leave out"):
        Recipe.load("quickstart", [items, override])


@pytest.mark.parametrize("name", ["run #2/bundle", "a: b", "2026", "[old]", "null", "'"])
def test_a_bundle_to_go_on_from_is_taken_as_it_is_written(name: str) -> None:
    assert Recipe.load("quickstart", ["start_from=other"], start_from=name).start_from == Path(name)
    assert Recipe.load("quickstart", ["start_from=other"]).start_from == Path("other")
