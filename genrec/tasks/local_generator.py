"""`LocalGenerator`: a language model on this machine, asked for texts in batches.

Does not know what is asked, nor where answers are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genrec.embeddings.revision import checked_revision
from genrec.errors import ConfigError, GenerationError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LocalGenerator:
    """A causal language model of transformers, which gives its likeliest answer.

    Args:
        model: Folder or name of a model; it is loaded when the first question is asked, its text
            tokenizer when tokens are counted.
        max_new_tokens: Most tokens of an answer.
        batch_size: Questions answered at once.
        device: Such as "cpu" or "cuda"; None = a GPU where there is one.
        revision: Commit, tag or branch of a model that is found by its name; None = its main branch.

    Raises:
        ConfigError: A number below 1, or a revision of a folder.
    """

    def __init__(
        self,
        model: str,
        *,
        max_new_tokens: int = 150,
        batch_size: int = 8,
        device: str | None = None,
        revision: str | None = None,
    ) -> None:
        if min(max_new_tokens, batch_size) < 1:
            raise ConfigError(
                "a setting of the local model is out of range",
                received=f"max_new_tokens={max_new_tokens}, batch_size={batch_size}",
                remedy="use 1 or more",
            )
        self.model = model
        self.max_new_tokens = max_new_tokens
        self.settings = {"model": model, "max_new_tokens": max_new_tokens, "temperature": 0.0}
        self.settings |= {} if revision is None else {"revision": revision}
        self.revision = checked_revision(model, revision)
        self.batch_size = batch_size
        self.device = device
        self._loaded: Any = None  # the model
        self._text_tokenizer: Any = None

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._load_text_tokenizer()(text, add_special_tokens=False)["input_ids"])

    def answers(self, questions: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Asks all questions, batch after batch.

        Yields:
            Number of a question and its answer, in order.

        Raises:
            GenerationError: The model or its text tokenizer cannot be loaded.
        """
        for start in range(0, len(questions), self.batch_size):
            texts = self._batch(questions[start : start + self.batch_size])
            yield from enumerate(texts, start=start)

    def _batch(self, questions: Sequence[str]) -> list[str]:
        import torch
        from transformers import GenerationConfig

        model, text_tokenizer = self._load()
        generate: Any = model.generate
        if isinstance(text_tokenizer.chat_template, str):
            messages = [[{"role": "user", "content": question}] for question in questions]
            prompts: Any = text_tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        else:
            prompts = [f"{question}\n" for question in questions]
        chat = isinstance(text_tokenizer.chat_template, str)
        batch = text_tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=not chat)
        batch = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
        # Settings of the model's own would sample, or punish words that stand in the question.
        config = GenerationConfig(
            do_sample=False,
            temperature=1.0,
            top_p=1.0,
            top_k=50,
            repetition_penalty=1.0,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=model.generation_config.eos_token_id,
            pad_token_id=text_tokenizer.pad_token_id,
        )
        with torch.inference_mode():
            ids = generate(**batch, generation_config=config)
        new = ids[:, batch["input_ids"].shape[1] :]  # [batch, prompt + answer] -> [batch, answer]
        texts: list[str] = text_tokenizer.batch_decode(new, skip_special_tokens=True)
        return texts

    def _load_text_tokenizer(self) -> Any:
        """The text tokenizer alone: to count tokens no weights are loaded."""
        if self._text_tokenizer is None:
            from transformers import AutoTokenizer

            with self._told():
                self._text_tokenizer = AutoTokenizer.from_pretrained(
                    self.model,
                    revision=self.revision or "main",
                    padding_side="left",
                    trust_remote_code=False,
                )
            if self._text_tokenizer.pad_token_id is None:
                self._text_tokenizer.pad_token = self._text_tokenizer.eos_token
        return self._text_tokenizer

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        if self._loaded is None:
            import torch
            from transformers import AutoModelForCausalLM

            with self._told():
                model: Any = AutoModelForCausalLM.from_pretrained(
                    self.model, revision=self.revision or "main", dtype="auto", trust_remote_code=False
                )
            device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
            model.eval()
            model.to(device)
            self._loaded = model
        return self._loaded, self._load_text_tokenizer()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says which model cannot be loaded."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise GenerationError(
                f"the language model {self.model} cannot be loaded",
                received=f"{type(error).__name__}: {error}",
                remedy="give the folder or the name of a causal language model of transformers",
            ) from error
