"""`load_quantizer`: the way back from a saved folder, whichever quantizer it holds.

Does not know how any of them works.
"""

from __future__ import annotations

from pathlib import Path

from genrec.artifacts import open_artifact
from genrec.errors import ArtifactError
from genrec.quantization import aspects, fsq, lfq, product, residual_fsq, residual_kmeans, rqvae
from genrec.quantization.quantizer import KIND, Quantizer


def load_quantizer(folder: str | Path) -> Quantizer:
    """Reads a quantizer of any kind that was saved.

    Raises:
        ArtifactError: The folder is missing or altered, or its kind of quantizer is not known.
    """
    name = open_artifact(folder, kind=KIND, verify=False).get("quantizer")
    if name == rqvae.NAME:
        return rqvae.RQVAE.load(folder)
    if name == residual_kmeans.NAME:
        return residual_kmeans.ResidualKMeans.load(folder)
    if name == fsq.NAME:
        return fsq.FSQ.load(folder)
    if name == residual_fsq.NAME:
        return residual_fsq.ResidualFSQ.load(folder)
    if name == lfq.NAME:
        return lfq.LFQ.load(folder)
    if name == product.NAME:
        return product.ProductQuantizer.load(folder)
    if name == aspects.NAME:
        return aspects.AspectQuantizer.load(folder)
    raise ArtifactError(
        f"{folder} holds a quantizer this version of genrec does not know",
        received=repr(name),
        remedy="use the version of genrec that saved it",
    )
