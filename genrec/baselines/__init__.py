"""Baselines, each a `Ranker` over the whole catalog, and the choice of their parameters on validation cases.

Does not know the language model or how lists are judged.
"""

from genrec.baselines.content_knn import ContentKNN
from genrec.baselines.item_knn import ItemKNN
from genrec.baselines.markov_knn import MarkovKNN
from genrec.baselines.popularity import Popularity
from genrec.baselines.random_ranker import RandomRanker
from genrec.baselines.tuning import tune_content_knn, tune_item_knn

__all__ = [
    "ContentKNN",
    "ItemKNN",
    "MarkovKNN",
    "Popularity",
    "RandomRanker",
    "tune_content_knn",
    "tune_item_knn",
]
