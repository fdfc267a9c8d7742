"""Bundles on the hub: one commit up, one commit down, a model card made from facts.

Does not know recommenders: a bundle is a folder here.
"""

from genrec.hub.bundle_facts import (
    ITEM_LEVEL,
    ITEMS_FILE,
    LANGUAGE_MODEL,
    bundle_kind,
    check_parts,
    open_bundle,
    readable,
    saved_weights_digest,
    versions,
    weights_digest,
)
from genrec.hub.carried_terms import carried_terms
from genrec.hub.fetching import bundle_folder
from genrec.hub.publication import ItemColumns
from genrec.hub.publishing import card_of, publish_bundle, publish_catalog

__all__ = [
    "ITEMS_FILE",
    "ITEM_LEVEL",
    "LANGUAGE_MODEL",
    "ItemColumns",
    "bundle_folder",
    "bundle_kind",
    "card_of",
    "carried_terms",
    "check_parts",
    "open_bundle",
    "publish_bundle",
    "publish_catalog",
    "readable",
    "saved_weights_digest",
    "versions",
    "weights_digest",
]
