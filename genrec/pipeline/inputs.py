"""The inputs of a recipe: items, log, split, and the world behind them where they are synthetic.

Does not know IDs or models.
"""

from __future__ import annotations

from dataclasses import dataclass

from genrec.artifacts import has_artifact, saved_artifact
from genrec.config import fingerprint
from genrec.data import InteractionLog, ItemTable, Split, SyntheticWorld
from genrec.errors import ConfigError
from genrec.recipe import DataSection, Recipe


@dataclass(frozen=True)
class Inputs:
    """What all stages start from.

    Attributes:
        items: The item table.
        log: The whole interaction log, after filtering.
        split: Train, validation and test.
        world: The synthetic world, None for files.
    """

    items: ItemTable
    log: InteractionLog
    split: Split
    world: SyntheticWorld | None

    def fingerprint(self) -> str:
        """Digest of items, log and the rule of the split; independent of the order of rows."""
        return fingerprint([self.items.fingerprint(), self.log.fingerprint(), self.split.rule])


def load_inputs(recipe: Recipe) -> Inputs:
    """Reads or generates the data of a recipe and splits it.

    The synthetic world is written to `output_dir/data` once, for people to look at and as an example of the
    formats.

    Raises:
        DataError: Anything wrong with the files, named with file, line and column.
    """
    data = recipe.data
    world = None
    if data.source == "synthetic":
        world = SyntheticWorld.generate(seed=recipe.seed, num_items=data.num_items, num_users=data.num_users)
        items, log = world.items, world.interactions
        _write_world(recipe, items, log)
    else:
        if data.items is None or data.interactions is None:
            raise ConfigError("the recipe names no data files", remedy="set data.items and data.interactions")
        items = ItemTable.read(data.items, columns=data.item_columns or None)
        log = InteractionLog.read(
            data.interactions,
            columns=data.interaction_columns or None,
            time=data.time,
            items=items,
            unknown=data.unknown_items,
        )
    if data.k_core:
        log = log.k_core(data.k_core)
    return Inputs(items, log, split_log(log, data), world)


def split_log(log: InteractionLog, data: DataSection) -> Split:
    """The parts of a log, as a recipe cuts it."""
    if data.split == "time":
        return log.time_split(validation_share=data.validation_share, test_share=data.test_share)
    if data.split == "cold_items":
        return log.cold_item_split(data.cold_share)
    return log.leave_one_out()


def _write_world(recipe: Recipe, items: ItemTable, log: InteractionLog) -> None:
    folder = recipe.output_dir / "data"
    facts = {"items": items.fingerprint(), "log": log.fingerprint()}
    if not has_artifact(folder, kind="synthetic_world", facts=facts):
        with saved_artifact(folder, kind="synthetic_world", facts=facts) as temporary:
            items.write(temporary / "items.jsonl.gz")
            log.write(temporary / "interactions.csv.gz")
