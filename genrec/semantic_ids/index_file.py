"""`read_index`: Semantic IDs from an `index.json` of your own or of a published repository.

Does not know how the IDs were made.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrec.data import canonical_order
from genrec.errors import DataError, SemanticIdError
from genrec.semantic_ids.semantic_id_spec import SemanticIdSpec, token_position

_SHAPE = '{"item id": ["<a_1>", "<b_20>", …], …}'


def read_index(
    path: str | Path, codebook_sizes: Sequence[int] | None = None
) -> tuple[list[str], np.ndarray, SemanticIdSpec]:
    """Reads item → tokens, plain or gzip: ``{item: tokens}``, or the same under the key ``sids``.

    Whether two items share an ID is not looked at; a catalog refuses that.

    Args:
        path: The file.
        codebook_sizes: Codes of each position; None = each position's highest code + 1, rounded up to the
            next power of two.

    Returns:
        Item ids in canonical order, codes int32 ``[n, L]``, and the spec.

    Raises:
        DataError: The file cannot be read, is no JSON of that shape, or names an item twice.
        SemanticIdError: A token is none, stands at another position than its letter says, or is out of the
            range of the sizes given; or IDs are of unequal length.
    """
    path = Path(path)
    index = _read(path)
    item_ids = canonical_order(index)
    length = len(index[item_ids[0]])
    codes = np.empty((len(item_ids), length), dtype=np.int32)
    for row, item in enumerate(item_ids):
        if len(index[item]) != length:
            raise SemanticIdError(
                f"{path}: IDs of unequal length cannot be read yet",
                received=f"{len(index[item])} tokens for {item!r}, {length} for {item_ids[0]!r}",
                remedy="bring all IDs to one length, for example with one more code",
            )
        for place, token in enumerate(index[item]):
            codes[row, place] = _code(token, place, item, path)
    highest = codes.max(axis=0).tolist()
    sizes = (
        [1 << int(code).bit_length() for code in highest] if codebook_sizes is None else list(codebook_sizes)
    )
    spec = SemanticIdSpec(tuple(sizes))
    if spec.length != length or any(
        code >= size for code, size in zip(highest, spec.codebook_sizes, strict=True)
    ):
        raise SemanticIdError(
            f"{path}: the IDs do not fit the codebook sizes given",
            received=f"{length} positions with highest codes {tuple(highest)}, sizes {spec.codebook_sizes}",
            remedy="give larger sizes, or none",
        )
    return item_ids, codes, spec


def _code(token: Any, place: int, item: str, path: Path) -> int:
    try:
        position, code = token_position(token)
    except SemanticIdError as error:
        raise SemanticIdError(
            f"{path}: the ID of {item!r} holds something that is no Semantic-ID token",
            received=error.received,
            remedy=error.remedy,
        ) from error
    if position != place:
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


def _read(path: Path) -> dict[str, list[Any]]:
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
