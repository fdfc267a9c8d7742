"""First values of the rows of new tokens, in the input matrix and in the head.

Does not know tokens' names, nor how the rows are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from genrec.errors import VocabularyError
from genrec.semantic_ids import SemanticIdSpec
from genrec.vocabulary.semantic_id_vocabulary import SemanticIdVocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NOISE = 0.1  # standard deviation of the noise around the mean, in those of the old rows
_ROWS_AT_ONCE = 8192
_PROJECTIONS = 1000  # seeds of the positions' projections start here, above those of the noise


@torch.no_grad()
def grow(model: PreTrainedModel, rows: int) -> None:
    """Makes a model's matrices at least `rows` long, whatever is in the added rows; they never shrink.

    The bias of an untied head gets the mean of the old ones in its added places, as transformers' own
    resizing would put it there: an adapter does not hold it.
    """
    before = len(cast(Tensor, model.get_input_embeddings().weight))
    if before >= rows:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    head = cast(Any, model.get_output_embeddings())
    if head.bias is not None and head.weight is not model.get_input_embeddings().weight:
        head.bias[before:] = head.bias[:before].mean()


@torch.no_grad()
def initialise_rows(
    model: Any,
    vocabulary: SemanticIdVocabulary,
    row_ids: np.ndarray,
    text_ids: np.ndarray,
    *,
    codebooks: Sequence[np.ndarray | None] | None = None,
    seed: int = 0,
) -> None:
    """Writes the rows of new tokens: the mean of the old ones plus noise, or the codebooks' vectors.

    The mean keeps a new token from being likelier or stranger than a known one (Hewitt, "Initializing New
    Word Embeddings for Pretrained Language Models", 2021); the noise, 0.1 standard deviations of the old rows
    in each column, tells the new ones apart. A codebook's vectors go through a fixed random projection
    (seeded, one a position), are standardised and then scaled and shifted to the old rows' standard deviation
    and mean, so that codes that are near in the codebook start near. Input matrix and head have statistics of
    their own; tied ones are written once. The noise is added to codebook rows as well, so that no two rows
    are equal. A head's bias stays as `grow` left it.

    Args:
        model: A causal language model that has the rows.
        vocabulary: Which token id has which code.
        row_ids: int64, the rows to write.
        text_ids: int64, the rows of the tokens the model was trained on.
        codebooks: One float `[codebook size, dim]` a position, None for a position without vectors.
        seed: Of noise and projection.

    Raises:
        VocabularyError: Codebooks that do not fit the spec.
    """
    if codebooks is not None:
        check_codebooks(codebooks, vocabulary.spec)
    inputs, head = model.get_input_embeddings(), model.get_output_embeddings()
    matrices = [inputs.weight]
    if head.weight.data_ptr() != inputs.weight.data_ptr():
        matrices.append(head.weight)
    for place, matrix in enumerate(matrices):
        mean, deviation = _statistics(matrix, torch.from_numpy(text_ids).to(matrix.device))
        generator = torch.Generator().manual_seed(seed + place)
        standard = NOISE * torch.randn(len(row_ids), matrix.shape[1], generator=generator)
        for position, codebook in enumerate(codebooks or ()):
            if codebook is not None:
                here = np.isin(row_ids, vocabulary.token_ids[position])
                vectors = _projected(
                    codebook, matrix.shape[1], seed + _PROJECTIONS + position
                )  # [codes, width]
                standard[here] += vectors[vocabulary.code_of[row_ids[here]]]
        rows = mean + deviation * standard.to(mean.device)  # [new rows, width]
        matrix[torch.from_numpy(row_ids).to(matrix.device)] = rows.to(matrix.dtype)


def _statistics(matrix: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column over some rows, float32 `[width]`."""
    total = torch.zeros(matrix.shape[1], dtype=torch.float64, device=matrix.device)
    squares = torch.zeros_like(total)
    for part in rows.split(_ROWS_AT_ONCE):
        values = matrix[part].double()
        total += values.sum(0)
        squares += values.square().sum(0)
    mean = total / len(rows)
    variance = (squares / len(rows) - mean.square()).clamp(min=0)
    return mean.float(), variance.sqrt().float()


def _projected(codebook: np.ndarray, width: int, seed: int) -> Tensor:
    """A codebook `[codes, dim]` through a random projection, standardised: float32 `[codes, width]`."""
    vectors = torch.from_numpy(np.asarray(codebook, dtype=np.float32))
    generator = torch.Generator().manual_seed(seed)
    projection = torch.randn(vectors.shape[1], width, generator=generator) / vectors.shape[1] ** 0.5
    projected = (vectors - vectors.mean(0)) @ projection  # [codes, width]
    standard: Tensor = projected / projected.square().mean().sqrt().clamp(min=1e-12)
    return standard


def check_codebooks(codebooks: Sequence[np.ndarray | None], spec: SemanticIdSpec) -> None:
    """Raises `VocabularyError` where codebooks do not fit the spec."""
    shapes = [None if codebook is None else np.shape(codebook) for codebook in codebooks]
    fits = len(shapes) == spec.length and all(
        shape is None or (len(shape) == 2 and shape[0] == size and shape[1] > 0)
        for shape, size in zip(shapes, spec.codebook_sizes, strict=True)
    )
    if not fits or not all(c is None or np.isfinite(c).all() for c in codebooks):
        raise VocabularyError(
            "the codebooks do not fit the Semantic-ID spec",
            received=f"shapes {shapes} for codebook sizes {spec.codebook_sizes}",
            remedy="pass one finite float array [codebook size, dim] a position, or None for it",
        )
