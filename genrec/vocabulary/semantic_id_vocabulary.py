"""The map between codes, token strings and token ids, and the guard that keeps untrusted text away from them.

Does not know which item has a code, nor anything about prompts or models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrec.artifacts import atomic_write_text
from genrec.config import fingerprint
from genrec.errors import GenRecError, VocabularyError
from genrec.semantic_ids import END, USER_CODEBOOK_SIZES, SemanticIdSpec
from genrec.vocabulary.untrusted_text import UntrustedTextEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TERMINATOR_TOKEN = "<id_end>"
ADDED_PAD_TOKEN = "<|added_pad|>"  # given to a text tokenizer that came without a padding token of its own
FILE_NAME = "vocabulary.json"
MAX_TOKEN_ID = 1 << 24  # far above any vocabulary; tables over token ids are this long at the most


def user_token(position: int, code: int) -> str:
    """Token of a user code, such as `<u1_12>`: a family of its own, as no position letter has a digit."""
    return f"<u{position + 1}_{code}>"


class SemanticIdVocabulary:
    """Every code of every position of a `SemanticIdSpec` as a token, reserved from the first day.

    Codes no item uses yet have their token too, so an item added later never needs a new row; the terminator
    and the user codes are reserved as well, used or not. Token ids may be non-contiguous.

    Args:
        spec: Sizes of the ID's positions.
        token_ids: One int array per position: `token_ids[p][c]` = token id of code c at position p.
        terminator_id: Token id of the terminator, which ends IDs of unequal length.
        user_token_ids: The same as `token_ids` for the positions of user codes.
        padding_id: Token id of a padding token that was added with the others; None where the text tokenizer
            came with one.

    Attributes:
        reserved_ids: int64, every token id above but the padding token's, sorted.
        new_ids: int64, `reserved_ids` and the padding token's: the rows a pretrained model does not know.
        position_of: int16, for each token id up to the highest reserved one: its ID position, -1 for others.
        code_of: int32, the same for its code.

    Raises:
        VocabularyError: Arrays that do not fit the spec, or one token id used twice.
    """

    def __init__(
        self,
        spec: SemanticIdSpec,
        token_ids: Sequence[np.ndarray],
        terminator_id: int,
        user_token_ids: Sequence[np.ndarray],
        padding_id: int | None = None,
    ) -> None:
        self.spec = spec
        self.token_ids = tuple(np.asarray(ids, dtype=np.int64) for ids in token_ids)
        self.terminator_id = int(terminator_id)
        self.user_token_ids = tuple(np.asarray(ids, dtype=np.int64) for ids in user_token_ids)
        self.padding_id = padding_id if padding_id is None else int(padding_id)
        sizes = tuple(len(ids) for ids in self.token_ids)
        if sizes != spec.codebook_sizes:
            raise VocabularyError(
                "the token ids do not fit the Semantic-ID spec",
                received=f"{sizes} tokens per position for codebook sizes {spec.codebook_sizes}",
                remedy="build the vocabulary with SemanticIdVocabulary.extend(text_tokenizer, spec)",
            )
        reserved = np.concatenate([*self.token_ids, [self.terminator_id], *self.user_token_ids])
        self.reserved_ids = np.unique(reserved)
        padding = [] if self.padding_id is None else [self.padding_id]
        self.new_ids = np.union1d(self.reserved_ids, np.array(padding, dtype=np.int64))
        in_range = 0 <= self.new_ids[0] and self.new_ids[-1] < MAX_TOKEN_ID
        if len(self.new_ids) != len(reserved) + len(padding) or not in_range:
            raise VocabularyError(
                "two reserved tokens share one token id, or one is unknown to the text tokenizer",
                received=f"{len(reserved)} reserved tokens, {len(self.reserved_ids)} distinct ids, "
                f"from {self.reserved_ids[0]} to {self.reserved_ids[-1]}",
                remedy="use the text tokenizer that was saved with this vocabulary",
            )
        self._all_ids = np.concatenate(self.token_ids)  # [codes of all positions]
        self._sizes = np.array(spec.codebook_sizes, dtype=np.uint64)
        self._starts = np.cumsum([0, *spec.codebook_sizes[:-1]])  # [positions], into the line above
        self.position_of = np.full(int(self.reserved_ids[-1]) + 1, -1, dtype=np.int16)
        self.code_of = np.full(len(self.position_of), -1, dtype=np.int32)
        for position, ids in enumerate(self.token_ids):
            self.position_of[ids] = position
            self.code_of[ids] = np.arange(len(ids))

    @staticmethod
    def tokens(spec: SemanticIdSpec) -> list[str]:
        """All reserved tokens in the order in which they are added: positions, terminator, user codes."""
        codes = [spec.token(p, c) for p, size in enumerate(spec.codebook_sizes) for c in range(size)]
        users = [user_token(p, c) for p, size in enumerate(USER_CODEBOOK_SIZES) for c in range(size)]
        return [*codes, TERMINATOR_TOKEN, *users]

    @classmethod
    def extend(cls, text_tokenizer: PreTrainedTokenizerBase, spec: SemanticIdSpec) -> SemanticIdVocabulary:
        """Adds the reserved tokens to `text_tokenizer` (in place) and returns the vocabulary over them.

        The tokens are flagged special, so that `encode_text` can keep text from turning into them.
        """
        from tokenizers import AddedToken

        tokens = [AddedToken(token, special=True, normalized=False) for token in cls.tokens(spec)]
        text_tokenizer.add_tokens(tokens, special_tokens=True)
        return cls.from_text_tokenizer(text_tokenizer, spec)

    @classmethod
    def from_text_tokenizer(
        cls, text_tokenizer: PreTrainedTokenizerBase, spec: SemanticIdSpec
    ) -> SemanticIdVocabulary:
        """Reads the token ids back from a text tokenizer that was extended before.

        Raises:
            VocabularyError: A reserved token is missing from the text tokenizer.
        """
        known = text_tokenizer.get_vocab()
        missing = [token for token in cls.tokens(spec) if token not in known]
        if missing:
            raise VocabularyError(
                "the text tokenizer lacks reserved tokens",
                received=f"{len(missing)} missing, the first is {missing[0]}",
                remedy="extend it first: SemanticIdVocabulary.extend(text_tokenizer, spec)",
            )

        def ids(token: Callable[[int, int], str], sizes: Sequence[int]) -> list[np.ndarray]:
            return [np.array([known[token(p, c)] for c in range(size)]) for p, size in enumerate(sizes)]

        users = ids(user_token, USER_CODEBOOK_SIZES)
        codes = ids(spec.token, spec.codebook_sizes)
        return cls(spec, codes, known[TERMINATOR_TOKEN], users, known.get(ADDED_PAD_TOKEN))

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """Codes `[..., L]` to token ids `[..., L]` (int64); IDs of unequal length to `[..., L + 1]`.

        Of unequal lengths each ID's tokens are followed by the terminator, and that by -1 to the end.

        Raises:
            VocabularyError: A code outside its codebook.
        """
        codes = np.asarray(codes)
        ended = codes == END if self.spec.terminated and codes.ndim else np.zeros((), dtype=bool)
        given = np.where(ended, 0, codes) if ended.any() else codes
        # negative codes are huge as unsigned ones
        if codes.shape[-1:] != (self.spec.length,) or (given.astype(np.uint64) >= self._sizes).any():
            raise VocabularyError(
                "these codes are no Semantic IDs of this vocabulary",
                received=f"shape {codes.shape}, codes {codes.min(initial=0)} to {codes.max(initial=0)}",
                remedy=f"pass rows of {self.spec.length} codes below {self.spec.codebook_sizes}",
            )
        ids: np.ndarray = self._all_ids[given + self._starts]
        if not self.spec.terminated:
            return ids
        tokens = np.full((*codes.shape[:-1], self.spec.num_tokens), END, dtype=np.int64)  # [..., L + 1]
        tokens[..., :-1] = np.where(ended, END, ids)
        end = self.spec.length - ended.sum(axis=-1, keepdims=True)  # [..., 1]
        np.put_along_axis(tokens, end, self.terminator_id, axis=-1)
        return tokens

    def flat(self, codes: np.ndarray) -> np.ndarray:
        """Token ids of IDs `[..., L]` one after the other, int64 `[tokens]`.

        Raises:
            VocabularyError: A code outside its codebook.
        """
        ids = self.encode(codes).reshape(-1)
        return ids[ids != END] if self.spec.terminated else ids

    def decode(self, token_ids: np.ndarray) -> np.ndarray:
        """Token ids of whole IDs, as `encode` gives them, back to codes `[..., L]` (int32).

        Raises:
            VocabularyError: A token that does not belong to its position, or an ID without its end.
        """
        token_ids = np.asarray(token_ids)
        if self.spec.terminated:
            return self._decode_unequal(token_ids)
        known = np.clip(token_ids, 0, len(self.position_of) - 1)
        right = (self.position_of[known] == np.arange(self.spec.length)) & (known == token_ids)
        if not right.all():
            raise VocabularyError(
                "these tokens are no Semantic ID",
                received=f"token id {int(token_ids[~right][0])} out of its position",
                remedy="decode only whole IDs that the constrained search returned",
            )
        codes: np.ndarray = self.code_of[token_ids]
        return codes

    def _decode_unequal(self, token_ids: np.ndarray) -> np.ndarray:
        is_end = token_ids == self.terminator_id  # [..., L + 1]
        behind = np.cumsum(is_end, axis=-1) > 0
        known = np.clip(token_ids, 0, len(self.position_of) - 1)
        right = (self.position_of[known] == np.arange(token_ids.shape[-1])) & (known == token_ids)
        whole = (right | is_end | (behind & (token_ids == END))).all(axis=-1) & (is_end.sum(axis=-1) == 1)
        if token_ids.shape[-1:] != (self.spec.num_tokens,) or not whole.all() or is_end[..., 0].any():
            raise VocabularyError(
                "these tokens are no Semantic IDs of unequal length",
                received=f"token ids of shape {token_ids.shape}",
                remedy=f"give {self.spec.num_tokens} tokens an ID: its codes, the terminator, and -1",
            )
        codes: np.ndarray = np.where(behind, END, self.code_of[known])[..., :-1]
        return codes

    def encode_user(self, codes: np.ndarray) -> np.ndarray:
        """User codes `[3]` to token ids `[3]` (int64).

        Raises:
            VocabularyError: A code outside its codebook.
        """
        sizes = np.array([len(ids) for ids in self.user_token_ids])
        codes = np.asarray(codes)
        if codes.shape != sizes.shape or (codes < 0).any() or (codes >= sizes).any():
            raise VocabularyError(
                "these codes are no user codes of this vocabulary",
                received=f"{codes.tolist()} for codebooks of {sizes.tolist()}",
                remedy="pass what UserTokenizer.encode gave",
            )
        return np.array([ids[code] for ids, code in zip(self.user_token_ids, codes, strict=True)])

    def encode_text(self, text_tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
        """Token ids of untrusted text, of which none is reserved, special or added, whatever the text spells.

        Who encodes many texts keeps an `UntrustedTextEncoder`.

        Raises:
            VocabularyError: The text tokenizer turned text into a reserved token all the same.
        """
        return UntrustedTextEncoder(text_tokenizer, self.reserved_ids.tolist()).encode(text)

    def to_dict(self) -> dict[str, Any]:
        """Plain facts: sizes, token ids."""
        padding = {} if self.padding_id is None else {"padding_id": self.padding_id}
        return padding | {
            "codebook_sizes": list(self.spec.codebook_sizes),
            **({"terminated": True} if self.spec.terminated else {}),
            "token_ids": [ids.tolist() for ids in self.token_ids],
            "terminator_id": self.terminator_id,
            "user_token_ids": [ids.tolist() for ids in self.user_token_ids],
        }

    def fingerprint(self) -> str:
        """Digest of sizes and token ids; a model trained with one vocabulary refuses another."""
        return fingerprint(self.to_dict())

    def save(self, folder: str | Path) -> None:
        """Writes `vocabulary.json` into `folder`."""
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
            spec = SemanticIdSpec(tuple(facts["codebook_sizes"]), facts.get("terminated", False))
            ids = [np.array(row, dtype=np.int64) for row in facts["token_ids"]]
            users = [np.array(row, dtype=np.int64) for row in facts["user_token_ids"]]
            return cls(spec, ids, facts["terminator_id"], users, facts.get("padding_id"))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, GenRecError) as error:
            raise VocabularyError(
                f"the vocabulary {path} cannot be read",
                received=f"{type(error).__name__}: {error}",
                remedy="load a folder that a recommender or a training run saved",
            ) from error
