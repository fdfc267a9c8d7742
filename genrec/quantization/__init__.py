"""Quantizers: vectors in, integer codes out.

Does not know what an item is. Importing it loads no torch; fitting RQVAE or FSQ does.
"""

from genrec.quantization.code_usage import perplexity
from genrec.quantization.fsq import FSQ
from genrec.quantization.loading import load_quantizer
from genrec.quantization.quantizer import Quantizer, checked_codes
from genrec.quantization.residual_kmeans import ResidualKMeans
from genrec.quantization.rqvae import RQVAE
from genrec.quantization.vector_scaling import Normalize

__all__ = [
    "FSQ",
    "RQVAE",
    "Normalize",
    "Quantizer",
    "ResidualKMeans",
    "checked_codes",
    "load_quantizer",
    "perplexity",
]
