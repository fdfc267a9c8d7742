"""Items held out of all training, and the generator of the others: part of `benchmark_cold_items.py`.

Does not know what is measured.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass

import numpy as np

from genrec.catalog import Catalog
from genrec.data import InteractionLog, ItemTable, Split
from genrec.embeddings import EmbeddingTable, LsaItemEncoder, PrincipalComponents
from genrec.models import ItemLevelModel
from genrec.pipeline.item_models import train_item_model
from genrec.recommender import ItemLevelRanker
from genrec.semantic_ids import ItemTokenizer
from genrec.training import ItemTrainingConfig, on_cpu

# name -> levels with an embedding per trie node (None = all, the leaves included), content
FORMS: dict[str, tuple[int | None, bool]] = {
    "pure codes": (0, True),
    "codes and nodes": (None, True),
    "codes without content": (0, False),
}


@dataclass
class World:
    """One seed's split and what its warm items taught."""

    split: Split  # cases are those of the cold items
    warm: Split  # leave-one-out within its training log
    catalog: Catalog  # warm items
    grown: Catalog  # all items
    content: np.ndarray  # float32 [warm items, width]
    grown_content: np.ndarray  # float32 [items, width]
    vectors: EmbeddingTable
    items: ItemTable


def world_of(arguments: argparse.Namespace, items: ItemTable, vectors: EmbeddingTable, seed: int) -> World:
    """Holds items out, gives the others IDs, then adds the held-out ones."""
    log = InteractionLog.read(arguments.interactions, time="order", items=items)
    split = log.cold_item_split(arguments.share, seed)
    held_out = set(split.held_out)
    warm_items = items.subset([item for item in items.canonical_ids if item not in held_out])
    tokenizer = ItemTokenizer.from_definition(arguments.definition, seed=seed)
    tokenizer.fit(warm_items, embeddings=vectors)
    catalog = Catalog.build(tokenizer, warm_items, embeddings=vectors)
    everything = catalog.add(items, tokenizer, embeddings=vectors)
    file = arguments.output / f"words-{seed}.npy"
    if not file.exists():
        encoder = LsaItemEncoder(arguments.fields, dim=arguments.content_dim, seed=seed).fit(warm_items)
        np.save(file, encoder.encode(items).vectors_for(items.canonical_ids))
    words = EmbeddingTable(items.canonical_ids, np.load(file))
    channels = []
    for table in (vectors, words):
        known = EmbeddingTable(catalog.item_ids, table.vectors_for(catalog.item_ids))
        components = PrincipalComponents(min(arguments.content_dim, table.dim)).fit(known)
        channels.append(components.apply(table).vectors_for(everything.item_ids))
    content = np.concatenate(channels, axis=1)
    return World(
        split,
        split.train.leave_one_out(),
        catalog,
        everything,
        content[: len(catalog)],
        content,
        vectors,
        items,
    )


def trained(arguments: argparse.Namespace, world: World, form: str, seed: int) -> ItemLevelModel:
    """The generator of the warm items alone, its best weights kept."""
    levels, with_content = FORMS[form]
    folder = arguments.output / f"{form.replace(' ', '-')}-{seed}"
    if (folder / "model").exists():
        return ItemLevelModel.from_pretrained(folder / "model").eval()
    model = ItemLevelModel.for_catalog(
        world.catalog.trie,
        world.content if with_content else None,
        node_levels=world.catalog.trie.length if levels is None else levels,
        seed=seed,
    )
    best, callback = train_item_model(
        model,
        lambda so_far: ItemLevelRanker(so_far, world.catalog, num_beams=20, batch_size=512),
        world.warm,
        world.catalog.item_ids,
        ItemTrainingConfig(
            str(folder / "training"),
            max_steps=arguments.steps,
            seed=seed,
            data_seed=seed,
            use_cpu=on_cpu(),
            disable_tqdm=not sys.stderr.isatty(),
            save_total_limit=1,
            logging_steps=1000,
        ),
        evaluate_every=arguments.evaluate_every,
        patience=arguments.patience,
        validation_users=1500,
    )
    print(f"{form} {seed}: best of {callback.last_step} steps: {callback.best_step}", flush=True)
    best.save_pretrained(folder / "model")
    shutil.rmtree(folder / "training")
    return best.to(model.device)
