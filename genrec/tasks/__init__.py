"""Alignment tasks: what a training sample and a prompt are made of.

Does not know optimisers, models or searches.
"""

from genrec.tasks.mixture import Task, TaskMixture, TokenRows
from genrec.tasks.prompts import IGNORED_LABEL, PromptBuilder
from genrec.tasks.seqrec import SeqRec

__all__ = ["IGNORED_LABEL", "PromptBuilder", "SeqRec", "Task", "TaskMixture", "TokenRows"]
