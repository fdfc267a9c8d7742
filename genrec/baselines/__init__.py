"""Baselines, each a `Ranker` over the whole catalog, and the choice of their parameters on validation cases.

Does not know the language model or how lists are judged.
"""

from genrec.baselines.bm25 import BM25
from genrec.baselines.content_knn import ContentKNN
from genrec.baselines.cross_fitting import cross_fitted_lists
from genrec.baselines.dense_retrieval import DenseRetrieval
from genrec.baselines.grid_search import GridSearch
from genrec.baselines.hybrid import Part, ProbabilityMixture, ReciprocalRankFusion
from genrec.baselines.implicit_factors import ALS, BPR
from genrec.baselines.item_knn import ItemKNN
from genrec.baselines.log_linear import LogLinearMixture, fit_log_linear
from genrec.baselines.markov_knn import MarkovKNN
from genrec.baselines.neighbour_teacher import neighbour_teacher
from genrec.baselines.popularity import Popularity
from genrec.baselines.random_ranker import RandomRanker
from genrec.baselines.sasrec import SASRec, sasrec_model
from genrec.baselines.tuning import tune_content_knn, tune_item_knn, tune_markov_knn
from genrec.baselines.tuning_hybrid import tune_mixture, tune_rank_fusion
from genrec.baselines.tuning_text_and_factors import tune_als, tune_bm25, tune_bpr, tune_dense

__all__ = [
    "ALS",
    "BM25",
    "BPR",
    "ContentKNN",
    "DenseRetrieval",
    "GridSearch",
    "ItemKNN",
    "LogLinearMixture",
    "MarkovKNN",
    "Part",
    "Popularity",
    "ProbabilityMixture",
    "RandomRanker",
    "ReciprocalRankFusion",
    "SASRec",
    "cross_fitted_lists",
    "fit_log_linear",
    "neighbour_teacher",
    "sasrec_model",
    "tune_als",
    "tune_bm25",
    "tune_bpr",
    "tune_content_knn",
    "tune_dense",
    "tune_item_knn",
    "tune_markov_knn",
    "tune_mixture",
    "tune_rank_fusion",
]
