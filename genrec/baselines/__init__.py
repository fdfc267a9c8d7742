"""Baselines, each a `Ranker` over the whole catalog, and the choice of their parameters on validation cases.

Does not know the language model or how lists are judged.
"""

from genrec.baselines.content_knn import ContentKNN
from genrec.baselines.hybrid import Part, ProbabilityMixture, ReciprocalRankFusion, choose_weight
from genrec.baselines.item_knn import ItemKNN
from genrec.baselines.markov_knn import MarkovKNN
from genrec.baselines.popularity import Popularity
from genrec.baselines.random_ranker import RandomRanker
from genrec.baselines.sasrec import SASRec, sasrec_model
from genrec.baselines.tuning import tune_content_knn, tune_item_knn

__all__ = [
    "ContentKNN",
    "ItemKNN",
    "MarkovKNN",
    "Part",
    "Popularity",
    "ProbabilityMixture",
    "RandomRanker",
    "ReciprocalRankFusion",
    "SASRec",
    "choose_weight",
    "sasrec_model",
    "tune_content_knn",
    "tune_item_knn",
]
