"""The errors genrec raises on purpose: what is wrong, what was received, what to do.

It knows no room of the library; every room imports it.
"""

from __future__ import annotations

import numbers


class GenRecError(Exception):
    """A mistake the caller can mend, told in three parts.

    Args:
        problem: What is wrong, with the place (file, line, column, key) where there is one.
        received: The offending value; shown as given when it is a string, by ``repr`` otherwise.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, *, received: object = None, remedy: str | None = None) -> None:
        # All three go into args, so that the error survives pickling between processes.
        super().__init__(problem, received, remedy)
        self.problem = problem
        self.received = received
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the three parts (worker processes send errors as pickles)."""
        return _rebuild, (type(self), self.problem, self.received, self.remedy)

    def __str__(self) -> str:
        """Give the parts that are there, one a line."""
        lines = [self.problem]
        if self.received is not None:
            shown = self.received if isinstance(self.received, str) else repr(self.received)
            lines.append(f"received: {shown}")
        if self.remedy is not None:
            lines.append(f"what to do: {self.remedy}")
        return "\n".join(lines)


def is_count(value: object, least: int = 1) -> bool:
    """Whether a value is a whole number of at least `least`; floats and truth values count nothing."""
    return not isinstance(value, bool) and isinstance(value, numbers.Integral) and int(value) >= least


def _rebuild(cls: type[GenRecError], problem: str, received: object, remedy: str | None) -> GenRecError:
    return cls(problem, received=received, remedy=remedy)


class ConfigError(GenRecError):
    """A configuration file, an override or an argument cannot be used."""


class DataError(GenRecError):
    """Items, interactions or embeddings cannot be read or do not fit together."""


class ArtifactError(GenRecError):
    """A saved folder is missing, incomplete, of another kind, or altered."""


class SemanticIdError(GenRecError):
    """Codes or Semantic IDs are out of range, repeated, or do not fit their spec."""


class VocabularyError(GenRecError):
    """A text tokenizer or a model does not fit the Semantic ID vocabulary."""


class PromptError(GenRecError):
    """A prompt cannot be built, or untrusted text came out as a reserved token."""


class TrainingError(GenRecError):
    """Training cannot start, resume or go on."""


class TrainingInterrupted(TrainingError):
    """Training was asked to stop, and can be taken up where it stopped."""


class GenerationError(GenRecError):
    """A language model that was asked for texts did not give them."""


class DecodingError(GenRecError):
    """A search was asked for something it cannot give."""


class HubError(GenRecError):
    """The hub refuses, cannot be reached, or holds something else than it was asked for."""
