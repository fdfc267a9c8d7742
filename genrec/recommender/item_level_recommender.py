"""`ItemLevelRecommender`: the Python API over one saved item-level generator, alone or mixed with content.

Does not know training or HTTP. User ids and histories never enter its folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from genrec.artifacts import saved_artifact
from genrec.baselines import ContentKNN
from genrec.catalog import Catalog
from genrec.config import build, read_yaml, to_mapping, write_yaml
from genrec.data import ItemTable
from genrec.embeddings import EmbeddingTable
from genrec.errors import DataError
from genrec.hub import (
    ITEM_LEVEL,
    ITEMS_FILE,
    ItemColumns,
    bundle_folder,
    check_parts,
    open_bundle,
    readable,
    saved_weights_digest,
    versions,
)
from genrec.models import ItemLevelModel
from genrec.recommender.batch_requests import batch_requests
from genrec.recommender.chat_reply import ChatEvent, ChatReply
from genrec.recommender.chat_session import ChatSession
from genrec.recommender.conversation import Conversation
from genrec.recommender.explanation import Explanation, explain
from genrec.recommender.filters import Filters, as_filters
from genrec.recommender.item_level_ranker import ItemLevelRanker
from genrec.recommender.pushing import push_recommender
from genrec.recommender.recommendations import Recommendation, Unknown, wanted_items
from genrec.recommender.shortlisting import Shortlister
from genrec.semantic_ids import ItemTokenizer


@dataclass(frozen=True)
class ItemLevelSettings:
    """How the model is searched and what is mixed in.

    Attributes:
        num_beams: Prefixes kept a level.
        content_weight: Weight of content-kNN's shares beside the generator's probabilities; 0 = the generator
            alone.
        content_power: Content-kNN's power of the cosine.
        content_decay: Content-kNN's recency decay.
        popular_items: The training log's most used items, best first: the answer to an empty history.
    """

    num_beams: int = 50
    content_weight: float = 0.0
    content_power: float = 8.0
    content_decay: float = 0.4
    popular_items: tuple[str, ...] = ()


class ItemLevelRecommender:
    """Recommends real items of a catalog after a history of item ids.

    Args:
        model: The trained model.
        catalog: Items and their Semantic IDs.
        items: Titles and the other columns.
        settings: How it is searched.
        embeddings: Content vectors of the catalog; needed where content is mixed in.
        item_tokenizer: Gives new items their IDs; None when the IDs were read from a file.
        recipe: The resolved recipe of the run, kept in the folder.
        metrics: The run's results, kept in the folder.

    Raises:
        DataError: A catalog item without a row in `items`, or content to mix in without vectors.
        DecodingError: The model was made for other Semantic IDs.
    """

    def __init__(
        self,
        model: ItemLevelModel,
        catalog: Catalog,
        items: ItemTable,
        *,
        settings: ItemLevelSettings | None = None,
        embeddings: EmbeddingTable | None = None,
        item_tokenizer: ItemTokenizer | None = None,
        recipe: dict[str, Any] | None = None,
        metrics: dict[str, Any] | None = None,
    ) -> None:
        missing = [item for item in catalog.item_ids if item not in items]
        if missing:
            raise DataError(
                "the catalog names items that the item table does not have",
                received=f"{len(missing)} of {len(catalog)}, the first is {missing[0]!r}",
                remedy="pass the item table the catalog was built from",
            )
        self.model = model
        self.catalog = catalog
        self.items = items
        self.settings = settings or ItemLevelSettings()
        self.embeddings = embeddings
        self.item_tokenizer = item_tokenizer
        self.recipe = recipe or {}
        self.metrics = metrics or {}
        self.ranker = self._ranker()
        self.shortlister = Shortlister(self.ranker, None, catalog, items)
        self.conversation = Conversation(self.shortlister, catalog, items, recipe=self.recipe)

    def _ranker(self) -> ItemLevelRanker:
        chosen = self.settings
        content = None
        if chosen.content_weight:
            if self.embeddings is None:
                raise DataError(
                    "content is to be mixed in, but there are no content vectors",
                    received=f"content_weight={chosen.content_weight}",
                    remedy="pass embeddings=, or set content_weight to 0",
                )
            content = ContentKNN(
                self.embeddings, self.catalog.item_ids, power=chosen.content_power, decay=chosen.content_decay
            )
        return ItemLevelRanker(
            self.model,
            self.catalog,
            num_beams=chosen.num_beams,
            popular_items=chosen.popular_items,
            content=content,
            content_weight=chosen.content_weight,
            name="item-level" if content is None else "item-level + content",
        )

    def recommend(
        self,
        history: Sequence[str] = (),
        k: int = 10,
        *,
        query: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        filters: Filters | Mapping[str, Any] | None = None,
        exclude: Sequence[str] = (),
        exclude_history: bool = True,
        exact: bool = False,
        unknown: Unknown = "error",
    ) -> list[Recommendation]:
        """The k best next items; arguments, results and errors as in `GenerativeRecommender.recommend`.

        The model takes no words: a query, and what is left of a conversation, find items by BM25 over the
        item texts, which the model puts in order where there is a history. Scores are log-probabilities, or
        sums of probabilities and weighted shares where content is mixed in.
        """
        return self.recommend_batch(
            [history],
            k,
            queries=None if query is None else [query],
            messages=None if messages is None else [messages],
            filters=filters,
            exclude=exclude,
            exclude_history=exclude_history,
            exact=exact,
            unknown=unknown,
        )[0]

    def recommend_batch(
        self,
        histories: Sequence[Sequence[str]] | None = None,
        k: int = 10,
        *,
        queries: Sequence[str] | None = None,
        messages: Sequence[Sequence[Mapping[str, Any]]] | None = None,
        filters: Filters | Mapping[str, Any] | None = None,
        exclude: Sequence[str] = (),
        exclude_history: bool = True,
        exact: bool = False,
        unknown: Unknown = "error",
    ) -> list[list[Recommendation]]:
        """`recommend` for several requests at once; each list is the one its request gets alone."""
        requests = batch_requests(
            self.conversation,
            histories,
            wanted_items(k, len(self.catalog)),
            queries=queries,
            messages=messages,
            filters=as_filters(filters),
            exclude=exclude,
            exclude_history=exclude_history,
            exact=exact,
            unknown=unknown,
        )
        return self.shortlister.lists(requests)

    def score(
        self, history: Sequence[str], items: Sequence[str], *, unknown: Unknown = "error"
    ) -> np.ndarray:
        """What given items are ranked by after a history, float32 `[len(items)]`.

        Arguments and errors are those of `GenerativeRecommender.score`.
        """
        return self.shortlister.rated(history, "", items, unknown)

    def why_nothing_fits(self, filters: Filters | Mapping[str, Any]) -> list[tuple[str, int]]:
        """Which single demands of filters are in the way; see `GenerativeRecommender.why_nothing_fits`."""
        return self.shortlister.why_nothing_fits(as_filters(filters))

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        history: Sequence[str] = (),
        filters: Filters | Mapping[str, Any] | None = None,
        k: int = 5,
        unknown: Unknown = "error",
    ) -> ChatReply:
        """The reply to a conversation, composed; see `GenerativeRecommender.chat`."""
        session = ChatSession.after(self, messages, history=history, filters=filters, k=k, unknown=unknown)
        return session.say(messages[-1]["content"])

    def stream_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        history: Sequence[str] = (),
        filters: Filters | Mapping[str, Any] | None = None,
        k: int = 5,
        unknown: Unknown = "error",
    ) -> Iterator[ChatEvent]:
        """`chat` in pieces; events as in `ChatSession.stream`."""
        session = ChatSession.after(self, messages, history=history, filters=filters, k=k, unknown=unknown)
        return session.stream(messages[-1]["content"])

    def explain(self, item_id: str, *, nearest: int = 5) -> Explanation:
        """What the codes of an item mean; see `GenerativeRecommender.explain`."""
        return explain(self.catalog, self.items, item_id, nearest=nearest)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes weights, catalog, items, settings, vectors, recipe and metrics into one folder.

        The folder appears whole or not at all; its manifest holds a sha256 of every file.
        """
        prints = {"catalog": self.catalog.fingerprint(), "items": self.items.fingerprint()}
        facts = {
            "fingerprints": prints,
            "embeddings": self.embeddings is not None,
            "item_tokenizer": self.item_tokenizer is not None,
            "items_kept": "all",
            "versions": versions(),
            "derived_from": None,
        }
        with saved_artifact(folder, kind=ITEM_LEVEL, facts=facts) as temporary:
            self.model.save_pretrained(temporary / "model")
            prints["weights"] = saved_weights_digest(temporary)
            self.catalog.save(temporary / "catalog")
            self.items.write(temporary / "items.parquet")
            if self.embeddings is not None:
                self.embeddings.save(temporary / "embeddings")
            if self.item_tokenizer is not None:
                self.item_tokenizer.save(temporary / "item_tokenizer")
            write_yaml(temporary / "settings.yaml", to_mapping(self.settings))
            write_yaml(temporary / "recipe.yaml", self.recipe)
            (temporary / "metrics.json").write_text(json.dumps(self.metrics, indent=2), encoding="utf-8")

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | None = None,
        items: ItemColumns = "all",
        license: str | None = None,
        dataset: str | None = None,
    ) -> str:
        """Publishes the bundle with a model card, in one commit.

        Arguments and errors are those of `genrec.hub.publish_bundle`.

        Content vectors, where there are some, go along whatever `items` says.

        Returns:
            The commit's hash.
        """
        return push_recommender(
            self,
            repo_id,
            private=private,
            revision=revision,
            token=token,
            items=items,
            license=license,
            dataset=dataset,
        )

    @classmethod
    def from_pretrained(
        cls,
        repo_or_folder: str | Path,
        *,
        revision: str | None = None,
        device: str = "cpu",
        token: str | None = None,
    ) -> ItemLevelRecommender:
        """Reads what `save_pretrained` wrote, or a repository on the hub.

        Args:
            repo_or_folder: A folder, or `owner/name` on the hub.
            revision: Branch, tag or commit on the hub; None = main.
            device: Where the model goes.
            token: Of the hub; None = the one that is logged in.

        Raises:
            ArtifactError: A missing or changed file, another kind of folder, or parts that do not fit each
                other.
            HubError: No such repository, revision or bundle on the hub, or no connection.
        """
        folder = bundle_folder(repo_or_folder, revision=revision, token=token)
        facts = open_bundle(folder, kind=ITEM_LEVEL)
        with readable(folder):
            return cls(**_read_parts(folder, facts, device))


def _read_parts(folder: Path, facts: dict[str, Any], device: str) -> dict[str, Any]:
    catalog, items = Catalog.load(folder / "catalog"), ItemTable.read(folder / ITEMS_FILE)
    check_parts(folder, facts, {"catalog": catalog.fingerprint(), "items": items.fingerprint()})
    settings, tokenizer = folder / "settings.yaml", folder / "item_tokenizer"
    model = ItemLevelModel.from_pretrained(
        folder / "model", use_safetensors=True, trust_remote_code=False
    ).eval()
    cast(nn.Module, model).to(device)
    return {
        "model": model,
        "catalog": catalog,
        "items": items,
        "settings": build(ItemLevelSettings, read_yaml(settings), source=str(settings)),
        "embeddings": EmbeddingTable.load(folder / "embeddings") if facts.get("embeddings") else None,
        "item_tokenizer": ItemTokenizer.load(tokenizer) if facts.get("item_tokenizer") else None,
        "recipe": read_yaml(folder / "recipe.yaml"),
        "metrics": json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
    }
