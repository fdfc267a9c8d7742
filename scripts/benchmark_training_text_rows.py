"""A row of a task by chat template and text tokenizer, the way trl makes prompt-completion rows.

Stands where the prompt builder stands, so that the tasks draw the same samples for both. Does not know tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from genrec.tasks import IGNORED_LABEL
from genrec.tasks.segments import Codes, ColumnTexts, Segment, Trusted, Untrusted
from genrec.tasks.templates import Slots, Template
from genrec.vocabulary import SemanticIdVocabulary

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


class TextRows:
    """Renders prompt and answer as text, and tokenises both through the chat template.

    Args:
        text_tokenizer: With a chat template.
        vocabulary: Names of the codes.
    """

    held_out = False

    def __init__(self, text_tokenizer: PreTrainedTokenizerBase, vocabulary: SemanticIdVocabulary) -> None:
        self.text_tokenizer = text_tokenizer
        spec = vocabulary.spec
        self.names = [
            [spec.token(position, code) for code in range(size)]
            for position, size in enumerate(spec.codebook_sizes)
        ]

    def fill(self, template: Template, slots: Slots) -> tuple[np.ndarray, np.ndarray]:
        """Training row of a template."""
        return self.sample(*template.fill(slots))

    def sample(self, prompt: Sequence[Segment], answer: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and labels; the prompt is tokenised alone as well, to find where the answer begins."""
        asked = [{"role": "user", "content": self.text(prompt)}]
        said = [{"role": "assistant", "content": self.text(answer)}]
        apply = self.text_tokenizer.apply_chat_template
        before = apply(asked, tokenize=True, add_generation_prompt=True)["input_ids"]
        ids = np.array(apply(asked + said, tokenize=True)["input_ids"])
        labels = ids.copy()
        labels[: len(before)] = IGNORED_LABEL
        return ids, labels

    def text(self, segments: Sequence[Segment]) -> str:
        """Segments as one string."""
        return "".join(map(self._segment, segments))

    def _segment(self, segment: Segment) -> str:
        match segment:
            case Trusted() | Untrusted():
                return segment.text
            case ColumnTexts():
                return segment.separator.join(segment.column[row] for row in segment.rows)
            case Codes():
                chosen = segment.codes if segment.rows is None else segment.codes[segment.rows]  # [items, L]
                codes = chosen.tolist()
                return "".join(
                    names[code] for row in codes for names, code in zip(self.names, row, strict=True)
                )
