"""`GenerativeRecommender`: the Python API over one saved bundle.

Does not know training or HTTP. User ids and histories never enter a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from genrec.catalog import Catalog
from genrec.data import ItemTable
from genrec.decoding import Normalization
from genrec.errors import DataError
from genrec.recommender.bundle import BundleSettings, read_bundle, write_bundle
from genrec.recommender.generative_ranker import GenerativeRanker
from genrec.recommender.recommendations import Recommendation, recommended
from genrec.semantic_ids import ItemTokenizer
from genrec.tasks import PromptBuilder, Template
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
        self.ranker = GenerativeRanker(
            model,
            PromptBuilder.for_tokenizer(
                text_tokenizer,
                vocabulary,
                max_history=self.settings.max_history,
                template=Template(self.settings.template, "{item}") if self.settings.template else None,
            ),
            catalog,
            normalize=cast(Normalization, self.settings.normalize),
            num_beams=self.settings.num_beams,
            popular_items=self.settings.popular_items,
        )

    def recommend(
        self,
        history: Sequence[str],
        k: int = 10,
        *,
        exclude_history: bool = True,
        unknown: Literal["error", "skip"] = "error",
    ) -> list[Recommendation]:
        """The k best next items.

        Args:
            history: Item ids, oldest first; the newest `settings.max_history` count. An empty history is
                answered with the training log's most used items. A repeated item counts each time it stands
                there.
            k: Items wanted, at least 1.
            exclude_history: Leave out what the history holds already.
            unknown: What to do about an id that is not in the catalog: raise, or leave it out.

        Returns:
            At most k recommendations, best first, no item twice; fewer only when the catalog has no more.

        Raises:
            DataError: An unknown item id with `unknown="error"`, or a text in place of a list.
            DecodingError: k below 1.
        """
        return recommended(
            self.ranker,
            self.catalog,
            self.items,
            history,
            k,
            exclude_history=exclude_history,
            unknown=unknown,
        )

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
        )

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: str = "cpu", base: str | Path | None = None
    ) -> GenerativeRecommender:
        """Reads a bundle back.

        Args:
            folder: What `save_pretrained` wrote.
            device: Where the model goes.
            base: For a bundle of adapters: where its base model is now, when not where it was.

        Raises:
            ArtifactError: A missing or changed file, another kind of folder, parts that do not fit each
                other, or another base than the adapters were trained on.
            VocabularyError: The base of adapters cannot be loaded.
        """
        parts = read_bundle(Path(folder), base=base)
        parts["model"].to(device)
        return cls(**parts)
