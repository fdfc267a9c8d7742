"""An item-level model for a catalog that has changed, without any training.

Does not know who gave the new items their Semantic IDs.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from genrec.catalog import CatalogTrie
from genrec.errors import DataError
from genrec.models.item_level import ItemLevelModel

CATALOG_FIELDS = ("codebook_sizes", "num_nodes", "max_children", "num_items", "terminated", "content_dim")


@torch.no_grad()
def grown(model: ItemLevelModel, trie: CatalogTrie, content: np.ndarray | None = None) -> ItemLevelModel:
    """The same weights over another set of items: added, retired, or both.

    Codes and content speak for a new item; a trie node that the model was not trained with gets the mean
    embedding of its level's trained nodes, so that it is neither favoured nor held back.

    Args:
        model: The trained model.
        trie: The items as they are now, in Semantic IDs of the same spec.
        content: float `[items, d]` in catalog order, in the space of the model's content (one
            `PrincipalComponents` for both); None for a model without content.

    Returns:
        A new model in evaluation mode.

    Raises:
        DataError: Another spec, or content of another width.
    """
    config = model.config
    width = 0 if content is None else content.shape[1]
    if tuple(config.codebook_sizes) != trie.level_sizes or width != config.content_dim:
        raise DataError(
            "the model cannot take over these items",
            received=f"codebooks {trie.level_sizes} and content of width {width}, the model has "
            f"{tuple(config.codebook_sizes)} and {config.content_dim}",
            remedy="give IDs of the model's item tokenizer and content of its principal components",
        )
    sizes = {name: value for name, value in config.to_diff_dict().items() if name not in CATALOG_FIELDS}
    fresh = ItemLevelModel.for_catalog(trie, content, **sizes)
    kept = dict(model.named_parameters())
    old, new = _prefixes(model), _prefixes(fresh)
    for name, parameter in fresh.named_parameters():
        if not name.startswith("node_embeddings."):
            parameter.copy_(kept[name])
            continue
        level, trained = int(name.split(".")[1]), kept[name]
        node_of = {prefix: node for node, prefix in enumerate(old[level])}
        rows = torch.tensor([node_of.get(prefix, -1) for prefix in new[level]], device=trained.device)
        known = (rows >= 0).unsqueeze(1)
        parameter.copy_(torch.where(known, trained[rows.clamp(min=0)], trained.mean(dim=0)))
    cast(nn.Module, fresh).to(model.device).eval()
    return fresh


def _prefixes(model: ItemLevelModel) -> list[list[tuple[int, ...]]]:
    """Codes of the path to each node, level by level."""
    codes, paths = model.trie.item_codes().tolist(), model.trie.paths.tolist()
    found: list[list[tuple[int, ...]]] = [[()] * size for size in model.config.num_nodes]
    for row, path in zip(codes, paths, strict=True):
        for level, node in enumerate(path):
            found[level][node] = tuple(row[: level + 1])
    return found
