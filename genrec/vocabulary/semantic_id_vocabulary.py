"""The map between codes, token strings and token ids, and the guard that keeps untrusted text away from them.

Does not know which item has a code, nor anything about prompts or models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrec.artifacts import atomic_write_text
from genrec.config import fingerprint
from genrec.errors import VocabularyError
from genrec.semantic_ids import SemanticIdSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TERMINATOR_TOKEN = "<id_end>"
FILE_NAME = "vocabulary.json"


def user_token(code: int) -> str:
    """Name of a user code's token; user codes are a family of their own, apart from the position letters."""
    return f"<user_{code}>"


class SemanticIdVocabulary:
    """Every code of every position of a `SemanticIdSpec` as a token, reserved from the first day.

    Codes no item uses yet have their token too, so an item added later never needs a new row; the terminator and the
    user codes are reserved as well, used or not. Token ids may be non-contiguous.

    Args:
        spec: Sizes of the ID's positions.
        token_ids: One int64 array per position, `token_ids[p][c]` = token id of code `c` at position `p`.
        terminator_id: Token id of the terminator, which ends IDs of unequal length.
        user_token_ids: int64 array, token id of each user code.

    Attributes:
        position_of: int16 array over token ids up to the highest reserved one: position of the token, -1 otherwise.
        code_of: int32 array of the same length: code of the token, -1 otherwise.

    Raises:
        VocabularyError: Arrays that do not fit the spec, or one token id used twice.
    """

    def __init__(
        self, spec: SemanticIdSpec, token_ids: tuple[np.ndarray, ...], terminator_id: int, user_token_ids: np.ndarray
    ) -> None:
        self.spec = spec
        self.token_ids = tuple(np.asarray(ids, dtype=np.int64) for ids in token_ids)
        self.terminator_id = int(terminator_id)
        self.user_token_ids = np.asarray(user_token_ids, dtype=np.int64)
        sizes = tuple(len(ids) for ids in self.token_ids)
        if sizes != tuple(spec.codebook_sizes):
            raise VocabularyError(
                "the token ids do not fit the Semantic-ID spec",
                received=f"{sizes} tokens per position for codebook sizes {tuple(spec.codebook_sizes)}",
                remedy="build the vocabulary with SemanticIdVocabulary.extend(text_tokenizer, spec)",
            )
        self.reserved_ids = np.sort(np.concatenate([*self.token_ids, [self.terminator_id], self.user_token_ids]))
        if len(np.unique(self.reserved_ids)) != len(self.reserved_ids) or self.reserved_ids[0] < 0:
            raise VocabularyError(
                "two reserved tokens share one token id, or a token is unknown to the text tokenizer",
                received=f"{len(self.reserved_ids)} reserved tokens, {len(np.unique(self.reserved_ids))} distinct ids",
                remedy="use the text tokenizer saved with this vocabulary",
            )
        self.position_of = np.full(int(self.reserved_ids[-1]) + 1, -1, dtype=np.int16)
        self.code_of = np.full(int(self.reserved_ids[-1]) + 1, -1, dtype=np.int32)
        for position, ids in enumerate(self.token_ids):
            self.position_of[ids] = position
            self.code_of[ids] = np.arange(len(ids))

    @staticmethod
    def tokens(spec: SemanticIdSpec, num_user_codes: int = 256) -> list[str]:
        """All reserved tokens in the order in which they are added: positions, terminator, user codes."""
        codes = [spec.token(p, c) for p, size in enumerate(spec.codebook_sizes) for c in range(size)]
        return [*codes, TERMINATOR_TOKEN, *(user_token(c) for c in range(num_user_codes))]

    @classmethod
    def extend(
        cls, text_tokenizer: PreTrainedTokenizerBase, spec: SemanticIdSpec, num_user_codes: int = 256
    ) -> SemanticIdVocabulary:
        """Adds the reserved tokens to `text_tokenizer` (in place) and returns the vocabulary over them.

        The tokens are flagged special, so that `encode_text` can keep text from turning into them.
        """
        from tokenizers import AddedToken

        tokens = [AddedToken(t, special=True, normalized=False) for t in cls.tokens(spec, num_user_codes)]
        text_tokenizer.add_tokens(tokens, special_tokens=True)  # type: ignore[arg-type]
        return cls.from_text_tokenizer(text_tokenizer, spec, num_user_codes)

    @classmethod
    def from_text_tokenizer(
        cls, text_tokenizer: PreTrainedTokenizerBase, spec: SemanticIdSpec, num_user_codes: int = 256
    ) -> SemanticIdVocabulary:
        """Reads the token ids back from a text tokenizer that was extended before.

        Raises:
            VocabularyError: A reserved token is missing from the text tokenizer.
        """
        known = text_tokenizer.get_vocab()
        missing = [t for t in cls.tokens(spec, num_user_codes) if t not in known]
        if missing:
            raise VocabularyError(
                "the text tokenizer lacks reserved tokens",
                received=f"{len(missing)} missing, the first is {missing[0]}",
                remedy="extend it first: SemanticIdVocabulary.extend(text_tokenizer, spec)",
            )
        per_position = tuple(
            np.array([known[spec.token(p, c)] for c in range(size)]) for p, size in enumerate(spec.codebook_sizes)
        )
        users = np.array([known[user_token(c)] for c in range(num_user_codes)], dtype=np.int64)
        return cls(spec, per_position, known[TERMINATOR_TOKEN], users)

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """Codes `[..., L]` to token ids `[..., L]` (int64)."""
        codes = np.asarray(codes)
        ids = np.empty(codes.shape, dtype=np.int64)
        for position, table in enumerate(self.token_ids):
            ids[..., position] = table[codes[..., position]]
        return ids

    def decode(self, token_ids: np.ndarray) -> np.ndarray:
        """Token ids `[..., L]` of whole IDs back to codes `[..., L]` (int32).

        Raises:
            VocabularyError: A token that does not belong to its position.
        """
        token_ids = np.asarray(token_ids)
        clipped = np.minimum(token_ids, len(self.position_of) - 1)
        right = (self.position_of[clipped] == np.arange(self.spec.length)) & (clipped == token_ids)
        if not right.all():
            wrong = token_ids[~right]
            raise VocabularyError(
                "these tokens are no Semantic ID",
                received=f"token id {int(wrong[0])} out of its position",
                remedy="decode only whole IDs that the constrained search returned",
            )
        return self.code_of[token_ids]

    def encode_text(self, text_tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
        """Token ids of untrusted text, of which none is reserved, whatever the text spells.

        Raises:
            VocabularyError: The text tokenizer turned text into a reserved token all the same.
        """
        ids = text_tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        forbidden = set(text_tokenizer.all_special_ids).union(self.reserved_ids.tolist())
        smuggled = [i for i in ids if i in forbidden]
        if smuggled:
            raise VocabularyError(
                "the text tokenizer turned plain text into a reserved token",
                received=f"token {text_tokenizer.convert_ids_to_tokens(smuggled[0])!r} from {text[:60]!r}",
                remedy="use a fast text tokenizer whose reserved tokens are flagged special",
            )
        return list(ids)

    def to_dict(self) -> dict[str, Any]:
        """Plain facts: sizes, token ids; `from_dict` reads them back."""
        return {
            "codebook_sizes": list(self.spec.codebook_sizes),
            "token_ids": [ids.tolist() for ids in self.token_ids],
            "terminator_id": self.terminator_id,
            "user_token_ids": self.user_token_ids.tolist(),
        }

    def fingerprint(self) -> str:
        """Digest of sizes and token ids; a model trained with one vocabulary refuses another."""
        return fingerprint(self.to_dict())

    def save(self, folder: str | Path) -> None:
        """Writes `vocabulary.json` into `folder`, which must exist."""
        atomic_write_text(Path(folder) / FILE_NAME, json.dumps(self.to_dict()))

    @classmethod
    def load(cls, folder: str | Path) -> SemanticIdVocabulary:
        """Reads what `save` wrote.

        Raises:
            VocabularyError: No such file, or one that is not a vocabulary.
        """
        path = Path(folder) / FILE_NAME
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            spec = SemanticIdSpec(tuple(int(size) for size in facts["codebook_sizes"]))
            ids = tuple(np.array(row, dtype=np.int64) for row in facts["token_ids"])
            return cls(spec, ids, int(facts["terminator_id"]), np.array(facts["user_token_ids"], dtype=np.int64))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VocabularyError(
                f"cannot read the vocabulary {path}",
                received=f"{type(error).__name__}: {error}",
                remedy="load a folder that a recommender or a training run saved",
            ) from error
