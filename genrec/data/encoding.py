"""Texts as integer codes: the compact columns of a log.

Does not know users from items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa


def encoded(
    texts: pa.ChunkedArray, order: Callable[[Iterable[str]], list[str]] | None = None
) -> pa.DictionaryArray:
    """Returns texts as one dictionary array with int32 codes and no unused or repeated entry.

    Args:
        texts: Texts, or a dictionary column of texts; none missing.
        order: Orders the distinct texts; None = by first appearance.
    """
    if not pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_encode()
    array = texts.unify_dictionaries().combine_chunks()
    codes, ids = array.indices.to_numpy(), array.dictionary.to_pylist()
    first = np.full(len(ids), len(codes), dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # the last assignment stands: the first appearance
    appearance = [ids[code] for code in np.argsort(first, kind="stable")[: int((first < len(codes)).sum())]]
    ordered = list(dict.fromkeys(appearance)) if order is None else order(appearance)
    rank = {text: code for code, text in enumerate(ordered)}
    new = np.array([rank.get(text, -1) for text in ids], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(new[codes]), pa.array(ordered, pa.string()))


def narrowed(array: pa.Array) -> pa.Array:
    """Returns a dictionary array without the entries it does not use; any other array as it is."""
    if not pa.types.is_dictionary(array.type):
        return array
    codes = array.indices.to_numpy()
    used = np.bincount(codes, minlength=len(array.dictionary)) > 0
    if used.all():
        return array
    codes = (np.cumsum(used) - 1).astype(np.int32)[codes]
    return pa.DictionaryArray.from_arrays(pa.array(codes), array.dictionary.filter(pa.array(used)))
