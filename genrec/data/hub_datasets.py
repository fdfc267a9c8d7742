"""Tables from Hugging Face `datasets`: a name on the hub, or a folder that `save_to_disk` made.

Does not know what a column means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genrec.data.column import Place
from genrec.data.source import Source
from genrec.errors import DataError


def read_dataset(source: str | Path, split: str | None) -> Source:
    """Reads a saved folder, or loads a data set of that name.

    Args:
        source: A folder, or a name such as "user/name".
        split: Which split; not needed where there is one only.

    Raises:
        DataError: It cannot be loaded, or has several splits and none was chosen.
    """
    import datasets

    try:
        if Path(source).is_dir():
            return dataset_source(datasets.load_from_disk(str(source)), split, name=Path(source).name)
        return dataset_source(datasets.load_dataset(str(source)), split, name=str(source))
    except DataError:
        raise
    except Exception as error:  # each builder and the network raise what they like
        raise DataError(
            f"{source} cannot be loaded with datasets: {type(error).__name__}: {error}",
            received=str(source),
            remedy="give a folder made by save_to_disk, a name on the hub, or a file such as items.jsonl.gz",
        ) from error


def dataset_source(dataset: Any, split: str | None = None, *, name: str = "data set") -> Source:
    """Takes the rows of a `datasets.Dataset`, or of one split of a `DatasetDict`.

    Raises:
        DataError: Several splits and none chosen, no such split, or an object of another class.
    """
    import datasets

    if isinstance(dataset, datasets.DatasetDict):
        chosen = next(iter(dataset)) if split is None and len(dataset) == 1 else split
        if chosen not in dataset:
            raise DataError(
                f"{name} has the splits {', '.join(dataset)}",
                received=f"split={split!r}",
                remedy=f'choose one, such as split="{next(iter(dataset), "train")}"',
            )
        return dataset_source(dataset[chosen], name=f"{name}[{chosen}]")
    if not isinstance(dataset, datasets.Dataset) or split is not None:
        raise DataError(
            f"{name} is no data set with {'such a split' if split else 'rows'}",
            received=f"{type(dataset).__name__}, split={split!r}",
            remedy="pass a datasets.Dataset, or a DatasetDict and the name of a split",
        )
    return Source.of_table(dataset.with_format("arrow")[:], Place(name))
