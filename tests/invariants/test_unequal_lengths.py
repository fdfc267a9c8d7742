"""IDs of unequal length from the catalog to rows of training, loss and search: -1 and the terminator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genrec.catalog import Catalog, code_vectors
from genrec.data import InteractionLog, ItemTable
from genrec.decoding import NORMALIZATIONS, ConstrainedBeamSearch, OutputHead
from genrec.embeddings import EmbeddingTable
from genrec.errors import PromptError, SemanticIdError, VocabularyError
from genrec.models import ItemLevelModel, grown
from genrec.recommender import ItemLevelRanker
from genrec.semantic_ids import END, ItemTokenizer, SemanticIdSpec, UserTokenizer
from genrec.semantic_ids.inspection import inspect_ids
from genrec.tasks import IGNORED_LABEL, PreferencePairs, PromptBuilder
from genrec.tasks.segments import Codes, Turn
from genrec.training import SemanticIdLoss
from genrec.training.preference_collator import PreferenceCollator
from genrec.vocabulary import SemanticIdVocabulary

SPEC = SemanticIdSpec((4, 5, 3), terminated=True)
ITEMS = ItemTable.from_rows(
    {"item_id": f"i{n}", "title": f"thing {n}", "categories": ["Shop", "AB"[n % 2], f"k{n % 5}"][: 2 + n % 2]}
    for n in range(24)
)


def some_codes(count: int = 24, seed: int = 0) -> np.ndarray:
    """Distinct IDs of one to three codes."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        length = int(rng.integers(1, 4))
        row = [int(rng.integers(size)) for size in SPEC.codebook_sizes[:length]]
        found[*row, *[END] * (3 - length)] = None
    return np.array(list(found), dtype=np.int32)


@pytest.fixture(scope="module")
def setting(make_tiny: Callable[..., Any]) -> Any:
    class Setting:
        tiny = make_tiny(sizes=SPEC.codebook_sizes, codes=some_codes(), terminated=True)
        text_tokenizer, vocabulary, model = tiny.text_tokenizer, tiny.vocabulary, tiny.model
        catalog = Catalog(ITEMS.item_ids, some_codes(), SPEC)
        builder = PromptBuilder.for_tokenizer(text_tokenizer, vocabulary, max_history=5)

    return Setting


def test_a_catalog_keeps_them_as_they_are(tmp_path: Path, setting: Any) -> None:
    catalog = setting.catalog
    assert catalog.trie.terminated
    assert len({len(catalog.tokens(item)) for item in catalog.item_ids}) == 3
    for item in catalog.item_ids:
        assert catalog.item(catalog.tokens(item)) == item
    catalog.save(tmp_path / "catalog")
    loaded = Catalog.load(tmp_path / "catalog")
    assert (loaded.spec, loaded.fingerprint()) == (catalog.spec, catalog.fingerprint())
    np.testing.assert_array_equal(loaded.codes, catalog.codes)
    index = {item: list(catalog.tokens(item)) for item in catalog.item_ids}
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    read = Catalog.from_index(tmp_path / "index.json", ITEMS)
    assert {item: list(read.tokens(item)) for item in read.item_ids} == index
    used = catalog.diagnostics()
    assert used.num_items == 24
    assert used.codes_used[2] == len(set(catalog.codes[:, 2].tolist()) - {END})


def test_a_spec_says_whether_there_are_such(setting: Any) -> None:
    with pytest.raises(SemanticIdError, match="terminated=True"):
        Catalog(ITEMS.item_ids, some_codes(), SemanticIdSpec(SPEC.codebook_sizes))
    whole = np.array([[0, 0, 0], [1, 4, 2]], dtype=np.int32)
    assert Catalog(["a", "b"], whole, SPEC).trie.terminated  # though no ID is shorter
    for wrong in ([[END, 0, 0]], [[0, END, 0]], [[0, 5, END]]):
        with pytest.raises(SemanticIdError):
            Catalog(["a"], np.array(wrong, dtype=np.int32), SPEC)


@pytest.mark.parametrize("method", ["collaborative", "semantic"])
def test_index_methods_make_them_and_new_items_join(method: str, tmp_path: Path) -> None:
    log = InteractionLog.from_rows(
        {"user_id": f"u{u}", "item_id": f"i{(u % 3 + 3 * n) % 24}", "timestamp": n}
        for u in range(40)
        for n in range(6)
    )
    (tmp_path / "mine.yaml").write_text(
        f"index_method: {{method: {method}, depth: 2, branching: 4, leaf_size: 3}}\n", encoding="utf-8"
    )
    first = ITEMS.subset([f"i{n}" for n in range(18)])
    item_tokenizer = ItemTokenizer.from_definition(tmp_path / "mine.yaml").fit(first, log)
    catalog = Catalog.build(item_tokenizer, first)
    assert catalog.trie.terminated
    assert (catalog.codes == END).any()
    later = catalog.add(ITEMS, item_tokenizer)
    assert len(later) == 24
    assert all(later.tokens(item) == catalog.tokens(item) for item in catalog.item_ids)
    later.save(tmp_path / "catalog")
    assert Catalog.load(tmp_path / "catalog").fingerprint() == later.fingerprint()
    found = inspect_ids(later.item_ids, later.codes, later.spec, items=ITEMS, interactions=log)
    assert found.usage.shared_after == 0
    assert all(END not in meaning.codes[:1] for meaning in found.meanings)


@settings(max_examples=40)
@given(st.integers(0, 50), st.integers(1, 20))
def test_tokens_and_codes_are_one_to_one(setting: Any, seed: int, count: int) -> None:
    vocabulary, codes = setting.vocabulary, some_codes(count, seed)
    tokens = vocabulary.encode(codes)
    assert tokens.shape == (count, 4)
    np.testing.assert_array_equal(vocabulary.decode(tokens), codes)
    assert ((tokens == vocabulary.terminator_id).sum(axis=1) == 1).all()
    np.testing.assert_array_equal(vocabulary.flat(codes), tokens[tokens != END])
    with pytest.raises(VocabularyError):
        vocabulary.decode(np.where(tokens == vocabulary.terminator_id, END, tokens))
    with pytest.raises(VocabularyError):
        vocabulary.decode(tokens[:, ::-1])


def test_a_vocabulary_is_saved_with_them(setting: Any, tmp_path: Path) -> None:
    setting.vocabulary.save(tmp_path)
    loaded = SemanticIdVocabulary.load(tmp_path)
    assert loaded.spec == SPEC
    assert loaded.fingerprint() == setting.vocabulary.fingerprint()


def test_every_target_stands_behind_the_prompt_of_serving(setting: Any) -> None:
    builder, vocabulary, codes = setting.builder, setting.vocabulary, setting.catalog.codes[:6]
    ids, labels = builder.next_items(codes)
    bounds = np.cumsum([1, *[len(vocabulary.flat(row)) for row in codes]])
    assert (labels[: bounds[1]] == IGNORED_LABEL).all()
    np.testing.assert_array_equal(labels[bounds[1] :], ids[bounds[1] :])
    for target in range(1, 6):
        np.testing.assert_array_equal(ids[: bounds[target]], builder.history(codes[:target]))
    one, answer = builder.next_item(codes)
    np.testing.assert_array_equal(one, ids)
    np.testing.assert_array_equal(answer[answer != IGNORED_LABEL], vocabulary.flat(codes[5:]))
    with pytest.raises(PromptError, match="longer than any prompt"):
        builder.next_items(setting.catalog.codes[:7])


def test_a_history_that_is_too_long_loses_whole_items(setting: Any) -> None:
    codes, vocabulary = setting.catalog.codes, setting.vocabulary
    whole = setting.builder.prompt([Turn("user", [Codes(codes, np.arange(5))])])
    for most in range(len(whole) - 1, len(whole) - len(vocabulary.flat(codes[:4])) - 1, -1):
        builder = PromptBuilder.for_tokenizer(setting.text_tokenizer, vocabulary, max_length=most)
        kept = builder.prompt([Turn("user", [Codes(codes, np.arange(5))])])
        shown = kept[np.isin(kept, vocabulary.reserved_ids)]
        assert any(shown.tolist() == vocabulary.flat(codes[first:5]).tolist() for first in range(1, 5))
        assert len(kept) <= most


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_loss_of_a_target_is_its_negative_score(setting: Any, normalize: Any) -> None:
    catalog, vocabulary, model = setting.catalog, setting.vocabulary, setting.model
    loss = SemanticIdLoss(catalog.trie, vocabulary, normalize)
    search = ConstrainedBeamSearch(model, catalog.trie, vocabulary, normalize=normalize, num_beams=100)
    history = catalog.codes[[3, 11, 3]]
    prompt = torch.from_numpy(setting.builder.history(history))[None]
    found = search.search(prompt, torch.ones_like(prompt), k=24)
    scores = dict(zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True))
    assert len(scores) == 24
    for target in range(24):
        row = setting.builder.next_items(np.concatenate([history, catalog.codes[[target]]]))
        ids, labels = (torch.from_numpy(array)[None] for array in row)
        labels[:, : prompt.shape[1]] = IGNORED_LABEL  # the last item alone
        hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        head = OutputHead.of(model)
        assert loss(hidden, head, ids, labels).item() == pytest.approx(-scores[target], abs=1e-3)
        log_prob = loss.log_probs(hidden, head, ids, labels)
        assert log_prob.tolist() == pytest.approx([scores[target]], abs=1e-3)


def test_preferences_end_where_their_ids_do(setting: Any) -> None:
    catalog = setting.catalog
    pairs = PreferencePairs(catalog, [np.array([0, 1])], np.array([2]), np.array([[3, 4, 5, 6]]))
    rows = [pairs.row(0, setting.builder)]
    batch = PreferenceCollator(setting.builder.pad_token_id)(rows)
    for side, item in enumerate([2, 3, 4, 5, 6]):
        own = setting.vocabulary.flat(catalog.codes[item]).tolist()
        labels = batch["labels"][side]
        assert labels[labels != IGNORED_LABEL].tolist() == own
        assert int(batch["attention_mask"][side].sum()) == len(rows[0]["prompt_ids"]) + len(own)
        assert (batch["input_ids"][side] >= 0).all()


def test_codes_and_users_have_vectors(setting: Any) -> None:
    catalog = setting.catalog
    table = EmbeddingTable(catalog.item_ids, np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32))
    books = code_vectors(catalog, table)
    assert [book.shape for book in books] == [(size, 6) for size in SPEC.codebook_sizes]
    for position, book in enumerate(books):
        used = np.isin(np.arange(len(book)), catalog.codes[:, position])
        assert (book[~used] == 0).all()
    users = UserTokenizer(books)
    short = catalog.codes[(catalog.codes[:, 1] == END).argmax()][None]
    np.testing.assert_allclose(users.vector(short), books[0][short[0, 0]], rtol=1e-6)
    with pytest.raises(SemanticIdError):
        users.vector(np.array([[END, END, END]]))


def test_the_item_level_generator_ranks_them(setting: Any) -> None:
    catalog = setting.catalog
    model = ItemLevelModel.for_catalog(catalog.trie, hidden_size=16, num_layers=1, num_heads=2, seed=0).eval()
    ranker = ItemLevelRanker(model, catalog, num_beams=24)
    items, scores = ranker.rank([["i0", "i1"]], 24)
    assert sorted(items[0].tolist()) == sorted(catalog.item_ids)
    assert np.exp(scores[0]).sum() == pytest.approx(1.0, abs=1e-4)
    again = ItemLevelRanker(grown(model, catalog.trie), catalog, num_beams=24)
    np.testing.assert_allclose(again.rank([["i0", "i1"]], 24)[1], scores, atol=1e-5)
