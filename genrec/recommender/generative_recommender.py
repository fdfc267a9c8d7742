"""`GenerativeRecommender`: the Python API over one saved bundle.

Does not know training or HTTP. User ids and histories never enter a bundle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.decoding import Normalization
from genrec.errors import DataError
from genrec.hub import ItemColumns, bundle_folder
from genrec.recommender.batch_requests import batch_requests
from genrec.recommender.bundle import BundleSettings, read_bundle, serving_builder, write_bundle
from genrec.recommender.chat_reply import ChatEvent, ChatReply
from genrec.recommender.chat_session import ChatSession
from genrec.recommender.conversation import Conversation
from genrec.recommender.explanation import Explanation, explain
from genrec.recommender.filters import Filters, as_filters
from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.pushing import push_catalog, push_recommender
from genrec.recommender.query_prompts import QueryPrompts
from genrec.recommender.recommendations import (
    Recommendation,
    Unknown,
    checked_query,
    wanted_items,
)
from genrec.recommender.shortlisting import Shortlister
from genrec.semantic_ids import ItemTokenizer, UserTokenizer
from genrec.vocabulary import SemanticIdVocabulary


class GenerativeRecommender:
    """Recommends real items of a catalog after a history of item ids.

    Args:
        model: The tuned language model, with adapters or without.
        text_tokenizer: Its text tokenizer, extended by the vocabulary.
        vocabulary: Codes to token ids.
        catalog: Items and their Semantic IDs.
        items: Titles and the other columns.
        settings: How the model was trained and is to be decoded.
        item_tokenizer: Gives new items their IDs; None when the IDs were read from a file.
        recipe: The resolved recipe of the run, kept in the bundle.
        metrics: The run's results, kept in the bundle.
        user_tokenizer: Makes the user codes of a history, where the model was trained with them.

    Raises:
        DataError: A catalog item without a row in `items`.
        DecodingError: The catalog does not fit the vocabulary.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        text_tokenizer: PreTrainedTokenizerBase,
        vocabulary: SemanticIdVocabulary,
        catalog: Catalog,
        items: ItemTable,
        *,
        settings: BundleSettings | None = None,
        item_tokenizer: ItemTokenizer | None = None,
        recipe: dict[str, Any] | None = None,
        metrics: dict[str, Any] | None = None,
        user_tokenizer: UserTokenizer | None = None,
    ) -> None:
        missing = [item for item in catalog.item_ids if item not in items]
        if missing:
            raise DataError(
                "the catalog names items that the item table does not have",
                received=f"{len(missing)} of {len(catalog)}, the first is {missing[0]!r}",
                remedy="pass the item table the catalog was built from",
            )
        self.model = model
        self.text_tokenizer = text_tokenizer
        self.vocabulary = vocabulary
        self.catalog = catalog
        self.items = items
        self.settings = settings or BundleSettings()
        self.item_tokenizer = item_tokenizer
        self.recipe = recipe or {}
        self.metrics = metrics or {}
        self.user_tokenizer = user_tokenizer
        self.ranker = GenerativeRanker(
            model,
            serving_builder(model, text_tokenizer, vocabulary, self.settings, user_tokenizer),
            catalog,
            normalize=cast(Normalization, self.settings.normalize),
            num_beams=self.settings.num_beams,
            popular_items=self.settings.popular_items,
        )
        queries = QueryPrompts(self.ranker.builder, self.recipe.get("tasks") or ())
        self.shortlister = Shortlister(self.ranker, queries, catalog, items)
        self.conversation = Conversation(self.shortlister, catalog, items, recipe=self.recipe)

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
        """The k best items for a history, a query, or both.

        Args:
            history: Item ids, oldest first; the newest `settings.max_history` count. Without history and
                query the answer is the training log's most used items. A repeated item counts each time it
                stands there.
            k: Items wanted, at least 1; more than the catalog has are cut to it.
            query: What is wanted, in words. A model whose training had queries (`itemsearch`, `query2index`)
                is asked with it; else BM25 over the item texts finds items, and with a history the model puts
                the 200 best in order. `Recommendation.source` says which.
            messages: A conversation, as `chat` takes it, in place of a query: the likes, dislikes and limits
                that `chat` would keep are kept here.
            filters: What every item has to fulfil, enforced inside the search.
            exclude: Item ids to leave out; ids that are not in the catalog do no harm.
            exclude_history: Leave out what the history holds already.
            exact: Prove the answer (see `Recommendation.certified`); slower.
            unknown: What to do about an id of the history that is not in the catalog, or has been retired:
                raise, or leave it out.

        Returns:
            At most k recommendations, best first, no item twice; fewer where no more fit. An empty list means
            that nothing fits: `why_nothing_fits` tells which demand is in the way.

        Raises:
            ConfigError: Filters that cannot be used.
            DataError: An unknown item id with `unknown="error"`, a column that filters ask for and that is
                not there, or arguments of another kind.
            DecodingError: k below 1, or above 10,000 in a larger catalog.
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
        """`recommend` for several requests at once, searched together.

        Args:
            histories: One history a request; None = all empty.
            k: Items a request.
            queries: One query a request.
            messages: One conversation a request, in place of queries.
            filters: What every item of every request has to fulfil.
            exclude: Item ids to leave out of every answer.
            exclude_history: Leave out what a request's own history holds.
            exact: Prove the answers.
            unknown: The policy for unknown ids.

        Returns:
            One list a request; each is what `recommend` gives for it alone.

        Raises:
            DataError: Lists of different lengths, or what `recommend` raises.
        """
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
        self,
        history: Sequence[str],
        items: Sequence[str],
        *,
        query: str | None = None,
        unknown: Unknown = "error",
    ) -> np.ndarray:
        """Log-probabilities of given items after a history, whether a search would find them or not.

        Args:
            history: Item ids, oldest first; the newest `settings.max_history` count.
            items: Item ids to rate.
            query: What is asked for in words; only with a model whose training had queries.
            unknown: What to do about ids that are not in the catalog: raise, or leave them out of the history
                and rate them minus infinity.

        Returns:
            float32 `[len(items)]`, nats: those of `recommend`'s source "model".

        Raises:
            DataError: An unknown id with `unknown="error"`, neither history nor query to rate items by, or a
                query to a model that was not trained on any.
        """
        asked = "" if query is None else checked_query(query)
        return self.shortlister.rated(history, asked, items, unknown)

    def why_nothing_fits(self, filters: Filters | Mapping[str, Any]) -> list[tuple[str, int]]:
        """Which single demands of filters are in the way.

        Returns:
            A demand in words and how many items would fit without it, the most helpful first; empty where
            something fits, or where no one demand alone is the obstacle.
        """
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
        """The reply to a conversation; nothing is kept of it. `ChatSession` keeps turns, and may be edited.

        Earlier messages are read again for likes, dislikes and limits, without a search. What an assistant's
        message showed are the ids under its key "items", else those whose titles its text names.

        Args:
            messages: `{"role": "user" | "assistant" | "system", "content": ...}`; the last one is the user's.
                System messages have no effect on a composed reply.
            history: Item ids the user comes with.
            filters: What every item has to fulfil from the start.
            k: Items named at the most.
            unknown: The policy for unknown ids of the history.

        Raises:
            ConfigError: Filters that cannot be used.
            DataError: Messages in another form, none of the user at the end, or unknown ids.
            DecodingError: k below 1.
        """
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
        """`chat` in pieces; arguments and errors as there, events as in `ChatSession.stream`."""
        session = ChatSession.after(self, messages, history=history, filters=filters, k=k, unknown=unknown)
        return session.stream(messages[-1]["content"])

    def explain(self, item_id: str, *, nearest: int = 5) -> Explanation:
        """What the codes of an item mean, by the items that share them, and which items are nearest.

        Args:
            item_id: An item of the catalog.
            nearest: Near items wanted, 0 = none.

        Raises:
            DataError: An item that is not in the catalog, or a negative number of items.
        """
        return explain(self.catalog, self.items, item_id, nearest=nearest)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes one bundle: weights, tokenizers, vocabulary, catalog, items, recipe and metrics.

        The folder appears whole or not at all; its manifest holds a sha256 of every file.
        """
        write_bundle(
            Path(folder),
            model=self.model,
            text_tokenizer=self.text_tokenizer,
            vocabulary=self.vocabulary,
            catalog=self.catalog,
            items=self.items,
            settings=self.settings,
            item_tokenizer=self.item_tokenizer,
            recipe=self.recipe,
            metrics=self.metrics,
            user_tokenizer=self.user_tokenizer,
        )

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
        """Publishes the bundle with a model card, in one commit, whose hash it returns.

        Arguments and errors are those of `genrec.hub.publish_bundle`.
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

    def push_catalog_to_hub(
        self, repo_id: str, *, revision: str | None = None, token: str | None = None
    ) -> str:
        """Publishes a changed catalog in a small commit: `genrec.hub.publish_catalog`."""
        return push_catalog(self, repo_id, revision=revision, token=token)

    @classmethod
    def from_pretrained(
        cls,
        repo_or_folder: str | Path,
        *,
        revision: str | None = None,
        device: str = "cpu",
        quantization: str | None = None,
        base: str | Path | None = None,
        token: str | None = None,
    ) -> GenerativeRecommender:
        """Reads a bundle back.

        Args:
            repo_or_folder: What `save_pretrained` wrote, or a repository on the hub (`owner/name`).
            revision: Branch, tag or commit on the hub; None = main.
            device: Where the model goes.
            quantization: Of the weights: "4bit" or "8bit" through bitsandbytes, "none"; None = as they were
                trained.
            base: For a bundle of adapters: where its base model is now, when not where it was.
            token: Of the hub; None = the one that is logged in.

        Raises:
            ArtifactError: A missing or changed file, another kind of folder, parts that do not fit each
                other, or another base than the adapters were trained on; the error says which.
            ConfigError: An unknown quantization.
            HubError: No such repository, revision or bundle on the hub, or no connection.
            VocabularyError: The base of adapters cannot be loaded.
        """
        folder = bundle_folder(repo_or_folder, revision=revision, token=token)
        return cls(**read_bundle(folder, base=base, device=device, quantization=quantization))
