"""Between which bounds the numbers of a recipe lie.

Does not know what a stage does with a value, nor how values go together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import attrgetter
from typing import Any

Rule = tuple[str, Callable[[float], bool]]

AT_LEAST_ONE: Rule = ("must be at least 1", lambda value: value >= 1)
FROM_ZERO: Rule = ("must be a number from 0 on", lambda value: 0 <= value < math.inf)
ABOVE_ZERO: Rule = ("must be a number above 0", lambda value: 0 < value < math.inf)
SHARE: Rule = ("must be 0 or more, and below 1", lambda value: 0 <= value < 1)

RULES: dict[Rule, str] = {
    AT_LEAST_ONE: "data.num_items data.num_users embeddings.dim embeddings.batch_size embeddings.max_length "
    "embeddings.fusion_dim model.hidden_size model.num_layers model.num_heads model.head_dim "
    "model.intermediate_size model.text_vocab_size texts.max_new_tokens texts.num_queries texts.parallel "
    "item_level.channel_dim align.batch_size align.gradient_accumulation align.max_history align.max_length "
    "align.evaluate_every align.keep_checkpoints align.logging_steps preference.num_rejected "
    "preference.steps preference.batch_size preference.evaluate_every decode.num_beams decode.batch_size",
    FROM_ZERO: "data.k_core model.text_epochs item_level.node_levels align.learning_rate align.warmup_steps "
    "align.weight_decay align.embedding_weight_decay align.lora_r align.rows_first_steps "
    "align.max_grad_norm align.patience align.validation_users align.threads preference.learning_rate "
    "preference.lora_r preference.patience evaluate.bootstrap",
    ABOVE_ZERO: "model.initializer_range align.epochs align.lora_alpha preference.beta preference.lora_alpha",
    SHARE: "model.dropout item_level.label_smoothing item_level.crop item_level.reverse "
    "item_level.item_dropout item_level.far_targets item_level.soft_targets item_level.soft_inputs "
    "align.adam_beta2 align.residual_dropout align.lora_dropout align.ema_decay",
    ("must lie between 0 and 1", lambda value: 0 <= value <= 1): "item_level.teacher_share",
    ("must be -1 or at least 1", lambda value: value == -1 or value >= 1): "align.max_steps",
    ("must have 32 bits", lambda value: 0 <= value < 1 << 32): "seed",
}
TASK_RULES: dict[Rule, str] = {ABOVE_ZERO: "weight", AT_LEAST_ONE: "cap max_characters num_candidates"}


def out_of_range(recipe: Any) -> list[str]:
    """What is wrong with the numbers of a recipe, a line each; null is never wrong.

    Args:
        recipe: A `Recipe`.
    """
    problems = _wrong(recipe, RULES, "")
    for task, section in recipe.tasks.items():
        problems += [] if section is None else _wrong(section, TASK_RULES, f"tasks.{task}.")
    return problems


def _wrong(section: Any, rules: dict[Rule, str], place: str) -> list[str]:
    return [
        f"{place}{name} {wording}, not {value}"
        for (wording, holds), names in rules.items()
        for name in names.split()
        if (value := attrgetter(name)(section)) is not None and not holds(value)
    ]
