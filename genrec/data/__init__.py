"""Items, interactions, splits and readers.

Does not know torch, Semantic IDs or prompts.
"""

from genrec.data.canonical import canonical_order
from genrec.data.cases import Cases, Histories, Split
from genrec.data.interactions import InteractionLog
from genrec.data.items import ItemTable

__all__ = ["Cases", "Histories", "InteractionLog", "ItemTable", "Split", "canonical_order"]
