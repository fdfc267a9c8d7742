"""The recommender: a model, its vocabulary and a catalog answering with real items.

Does not know training or HTTP.
"""

from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.generative_recommender import GenerativeRecommender, Recommendation
from genrec.recommender.item_level_ranker import ItemLevelRanker

__all__ = ["GenerativeRanker", "GenerativeRecommender", "ItemLevelRanker", "Recommendation"]
