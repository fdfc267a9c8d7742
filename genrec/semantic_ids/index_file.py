"""`read_index`: Semantic IDs from an `index.json` of your own or of a published repository.

Does not know how the IDs were made.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.data import canonical_order
from genrec.errors import DataError, SemanticIdError
from genrec.semantic_ids.semantic_id_spec import END, SemanticIdSpec, token_position

logger = logging.getLogger(__name__)

_SHAPE = '{"item id": ["<a_1>", "<b_20>", …], …}'


def read_index(
    path: str | Path, codebook_sizes: Sequence[int] | None = None, *, words: bool = False
) -> tuple[list[str], np.ndarray, SemanticIdSpec]:
    """Reads item → tokens, plain or gzip: ``{item: tokens}``, or the same under the key ``sids``.

    Whether two items share an ID is not looked at; a catalog refuses that.

    Args:
        path: The file.
        codebook_sizes: Codes of each position; None = each position's highest code + 1, rounded up to the
            next power of two.
        words: The IDs are words, as IDGenRec (arXiv 2403.19021) makes them: the words of each position are
            numbered in alphabetical order. An item whose list is empty is left out and counted in the log.

    Returns:
        Item ids in canonical order, codes int32 ``[n, L]``, and the spec. Where IDs are of unequal length, -1
        stands behind the end of a shorter one and the spec is a terminated one.

    Raises:
        DataError: The file cannot be read, is no JSON of that shape, or names an item twice.
        SemanticIdError: A token is none, stands at another position than its letter says, or is out of the
            range of the sizes given.
    """
    path = Path(path)
    index = _read(path, words)
    item_ids = canonical_order(index)
    lengths = [len(index[item]) for item in item_ids]
    codes = np.full((len(item_ids), max(lengths)), END, dtype=np.int32)
    numbers = _numbers_of_words(index, max(lengths), path) if words else None
    for row, item in enumerate(item_ids):
        for place, token in enumerate(index[item]):
            if numbers is not None:
                codes[row, place] = numbers[place][token]
            else:
                codes[row, place] = _code(token, place, item, path)
    highest = codes.max(axis=0).tolist()
    sizes = (
        [1 << int(code).bit_length() for code in highest] if codebook_sizes is None else list(codebook_sizes)
    )
    spec = SemanticIdSpec(tuple(sizes), terminated=min(lengths) < max(lengths))
    if spec.length != len(highest) or any(
        code >= size for code, size in zip(highest, spec.codebook_sizes, strict=True)
    ):
        raise SemanticIdError(
            f"{path}: the IDs do not fit the codebook sizes given",
            received=f"{len(highest)} positions with highest codes {tuple(highest)}, sizes "
            f"{spec.codebook_sizes}",
            remedy="give larger sizes, or none",
        )
    return item_ids, codes, spec


def _numbers_of_words(index: Mapping[str, list[Any]], length: int, path: Path) -> list[dict[str, int]]:
    """Number of each word of each position."""
    found = []
    for place in range(length):
        there = [tokens[place] for tokens in index.values() if len(tokens) > place]
        strange = [word for word in there if not isinstance(word, str) or not word]
        if strange:
            raise SemanticIdError(
                f"{path}: an ID of words holds something that is no word",
                received=repr(strange[0]),
                remedy='write JSON of the form {"item id": ["red", "kettle"], …}',
            )
        found.append({word: number for number, word in enumerate(sorted(set(there)))})
    return found


def _code(token: Any, place: int | None, item: str, path: Path) -> int:
    try:
        position, code = token_position(token)
    except SemanticIdError as error:
        raise SemanticIdError(
            f"{path}: the ID of {item!r} holds something that is no Semantic-ID token",
            received=error.received,
            remedy=f"{error.remedy}; where the IDs are words, say so (words=True, or --words)",
        ) from error
    if place is not None and position != place:
        raise SemanticIdError(
            f"{path}: a token of {item!r} stands at the wrong position",
            received=f"{token!r} at position {place}",
            remedy=f"the letter of position {place} is {SemanticIdSpec.position_letter(place)!r}",
        )
    if code >= 2**30:
        raise SemanticIdError(
            f"{path}: a code of {item!r} is too large", received=repr(token), remedy="use codes below 2**30"
        )
    return code


def _read(path: Path, words: bool) -> dict[str, list[Any]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
        loaded = json.loads(text, object_pairs_hook=_no_repeats)
    except DataError as error:
        raise DataError(f"{path}: {error.problem}", remedy=error.remedy) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"{path} cannot be read: {reason}", remedy="check the path, or copy it again"
        ) from error
    except (ValueError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is no JSON index", received=str(error), remedy=f"write UTF-8 JSON of the form {_SHAPE}"
        ) from error
    nested = loaded.get("sids") if isinstance(loaded, dict) else None
    index = nested if isinstance(nested, dict) else loaded
    if not isinstance(index, dict) or not index:
        raise DataError(
            f"{path} is no index of items to tokens",
            received="an empty one" if index == {} else type(index).__name__,
            remedy=f"write JSON of the form {_SHAPE}",
        )
    empty = [item for item, tokens in index.items() if tokens == []] if words else []
    if 0 < len(empty) < len(index):
        logger.warning("%s: items without a word are left out: %d, such as %r", path, len(empty), empty[0])
        index = {item: tokens for item, tokens in index.items() if tokens != []}
    told = next(((i, tokens[0]) for i, tokens in index.items() if isinstance(tokens, list) and tokens), None)
    if not words and told is not None and isinstance(told[1], str):
        _code(told[1], None, told[0], path)  # that they are words is told first
    for item, tokens in index.items():
        if not item or not isinstance(tokens, list) or not tokens:
            raise DataError(
                f"{path}: the item {item!r} has no id or no ID",
                received=repr(tokens),
                remedy=f"write JSON of the form {_SHAPE}, at least one token an item",
            )
    found: dict[str, list[Any]] = index
    return found


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DataError(f"the item {key!r} has two IDs", remedy="keep one entry per item")
        found[key] = value
    return found
