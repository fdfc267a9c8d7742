"""Every task there is, in one mixture, through the trainer and its loss."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from genrec import AlignmentConfig, AlignmentTrainer, Catalog, SyntheticWorld, TaskMixture
from genrec.data import Dialogues
from genrec.semantic_ids import SemanticIdSpec
from genrec.tasks import TaskInputs, TaskName
from genrec.vocabulary import SemanticIdVocabulary, build_small_model, train_text_tokenizer


@pytest.mark.slow
def test_every_task_trains(tmp_path: Path) -> None:
    world = SyntheticWorld.generate(seed=0, num_items=60, num_users=40)
    items, ids = world.items, world.items.item_ids
    text_tokenizer = train_text_tokenizer(items.texts(["title"]), vocab_size=500)
    spec = SemanticIdSpec((4, 4, 8))
    vocabulary = SemanticIdVocabulary.extend(text_tokenizer, spec)
    model = build_small_model(text_tokenizer, hidden_size=16, num_layers=1, num_heads=2, intermediate_size=24)
    numbers = np.random.default_rng(0).permutation(128)[: len(ids)]
    catalog = Catalog(ids, np.stack(np.unravel_index(numbers, spec.codebook_sizes), axis=1), spec)
    dialogues = Dialogues.from_rows(
        {
            "turns": [
                {"role": "user", "text": f"I have {items.title(one)}.", "item_ids": [one]},
                {"role": "assistant", "text": f"Then {items.title(other)}!", "item_ids": [other]},
            ]
        }
        for one, other in pairwise(ids)
    )
    inputs = TaskInputs(
        catalog,
        items,
        world.interactions.leave_one_out().train,
        pairs=[("something to begin with", ids[0])],
        dialogues=dialogues,
        texts=items.texts(["description"]),
    )
    mixture = TaskMixture.build(dict.fromkeys(get_args(TaskName)), inputs)
    assert len(mixture.tasks) == 14
    arguments = AlignmentConfig(
        str(tmp_path),
        num_train_epochs=1,
        per_device_train_batch_size=32,
        learning_rate=0.01,
        max_length=300,
        logging_steps=4,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )
    trainer = AlignmentTrainer(
        model=model,
        text_tokenizer=text_tokenizer,
        vocabulary=vocabulary,
        train_dataset=mixture,
        args=arguments,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) >= 4
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
