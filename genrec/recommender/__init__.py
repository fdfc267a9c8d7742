"""The recommender: a model, its vocabulary and a catalog answering with real items.

Does not know training or HTTP.
"""

from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.generative_recommender import GenerativeRecommender
from genrec.recommender.item_level_ranker import ItemLevelRanker
from genrec.recommender.item_level_recommender import ItemLevelRecommender, ItemLevelSettings
from genrec.recommender.loading import load_recommender
from genrec.recommender.recommendations import Recommendation

__all__ = [
    "GenerativeRanker",
    "GenerativeRecommender",
    "ItemLevelRanker",
    "ItemLevelRecommender",
    "ItemLevelSettings",
    "Recommendation",
    "load_recommender",
]
