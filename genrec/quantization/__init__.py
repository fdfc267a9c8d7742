"""Quantizers: vectors in, integer codes out.

Does not know what an item is. Importing it loads no torch; fitting RQVAE, FSQ, ResidualFSQ or LFQ does.
"""

from genrec.quantization.aspects import AspectQuantizer
from genrec.quantization.centroids import Clustering
from genrec.quantization.code_file import encode_file
from genrec.quantization.code_usage import perplexity
from genrec.quantization.fsq import FSQ
from genrec.quantization.lfq import LFQ
from genrec.quantization.loading import load_quantizer
from genrec.quantization.product import ProductQuantizer
from genrec.quantization.quantizer import Quantizer, checked_codes
from genrec.quantization.residual_fsq import ResidualFSQ
from genrec.quantization.residual_kmeans import ResidualKMeans
from genrec.quantization.rqvae import RQVAE, RqvaeObjective
from genrec.quantization.vector_scaling import Normalize

__all__ = [
    "FSQ",
    "LFQ",
    "RQVAE",
    "AspectQuantizer",
    "Clustering",
    "Normalize",
    "ProductQuantizer",
    "Quantizer",
    "ResidualFSQ",
    "ResidualKMeans",
    "RqvaeObjective",
    "checked_codes",
    "encode_file",
    "load_quantizer",
    "perplexity",
]
