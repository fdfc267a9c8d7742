"""Items, interactions, splits and their files, and a synthetic world to show things on.

Does not know torch, Semantic IDs or prompts.
"""

from genrec.data.canonical import canonical_order, id_hash
from genrec.data.cases import Cases, Histories, Split
from genrec.data.co_occurrence import co_occurrence, user_item_matrix
from genrec.data.dialogues import Dialogue, Dialogues, DialogueTurn
from genrec.data.interactions import InteractionLog
from genrec.data.items import ItemTable
from genrec.data.search_task import SearchTask
from genrec.data.synthetic_world import SyntheticWorld
from genrec.data.texts import read_texts

__all__ = [
    "Cases",
    "Dialogue",
    "DialogueTurn",
    "Dialogues",
    "Histories",
    "InteractionLog",
    "ItemTable",
    "SearchTask",
    "Split",
    "SyntheticWorld",
    "canonical_order",
    "co_occurrence",
    "id_hash",
    "read_texts",
    "user_item_matrix",
]
