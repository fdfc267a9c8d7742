"""The recommender: a model, its vocabulary and a catalog answering with real items.

Does not know training or HTTP.
"""

from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.generative_recommender import GenerativeRecommender, Recommendation

__all__ = ["GenerativeRanker", "GenerativeRecommender", "Recommendation"]
