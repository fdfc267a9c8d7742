"""The recommender: a model, its vocabulary and a catalog answering with real items.

Does not know training or HTTP.
"""

from genrec.recommender.batch_scoring import BatchResult, own_device, score_users
from genrec.recommender.chat_reply import (
    ChatEvent,
    ChatReply,
    FiltersEvent,
    ItemEvent,
    NamedItem,
    Reason,
    ReplyEvent,
    TextEvent,
)
from genrec.recommender.chat_session import ChatSession
from genrec.recommender.conversation_state import ConversationState
from genrec.recommender.dialogue_prompts import DialoguePrompts, DialogueRanker
from genrec.recommender.explanation import CodeMeaning, Explanation, NearItem
from genrec.recommender.exporting import export_bundle
from genrec.recommender.filter_index import FilterIndex
from genrec.recommender.filters import Condition, Filters
from genrec.recommender.generative_ranker import GenerativeRanker, RankedItems
from genrec.recommender.generative_recommender import GenerativeRecommender
from genrec.recommender.intent_phrases import IntentPhrases
from genrec.recommender.intents import Intent
from genrec.recommender.item_level_ranker import ItemLevelRanker
from genrec.recommender.item_level_recommender import ItemLevelRecommender, ItemLevelSettings
from genrec.recommender.loading import load_recommender
from genrec.recommender.recommendations import Recommendation

__all__ = [
    "BatchResult",
    "ChatEvent",
    "ChatReply",
    "ChatSession",
    "CodeMeaning",
    "Condition",
    "ConversationState",
    "DialoguePrompts",
    "DialogueRanker",
    "Explanation",
    "FilterIndex",
    "Filters",
    "FiltersEvent",
    "GenerativeRanker",
    "GenerativeRecommender",
    "Intent",
    "IntentPhrases",
    "ItemEvent",
    "ItemLevelRanker",
    "ItemLevelRecommender",
    "ItemLevelSettings",
    "NamedItem",
    "NearItem",
    "RankedItems",
    "Reason",
    "Recommendation",
    "ReplyEvent",
    "TextEvent",
    "export_bundle",
    "load_recommender",
    "own_device",
    "score_users",
]
