"""Alignment tasks: what a training sample and a prompt are made of.

Does not know optimisers, models or searches.
"""

from genrec.tasks.attribute_texts import AttributeTexts
from genrec.tasks.building import (
    LC_REC,
    P5,
    TaskInputs,
    TaskName,
    TaskOptions,
    build_tasks,
    check_task,
)
from genrec.tasks.chat_endpoint import ChatEndpoint
from genrec.tasks.dialogue import DialogueReply
from genrec.tasks.direct import Direct
from genrec.tasks.explanation import Explanation
from genrec.tasks.fusionseqrec import FusionSeqRec
from genrec.tasks.index2item import Index2Item
from genrec.tasks.item2index import Item2Index
from genrec.tasks.item_augmentation import ItemAugmentation, ItemNeighbours
from genrec.tasks.item_sequences import ItemSequences
from genrec.tasks.item_texts import ItemForms, ItemTexts, drawn_form, held_out_rows
from genrec.tasks.itemsearch import ItemSearch
from genrec.tasks.local_generator import LocalGenerator
from genrec.tasks.mixture import TaskMixture, TokenRows
from genrec.tasks.preference_pairs import PreferencePairs
from genrec.tasks.preferenceobtain import PreferenceObtain
from genrec.tasks.prefix_seqrec import PrefixSeqRec
from genrec.tasks.preview import PreviewPiece, PreviewRow, preview_rows
from genrec.tasks.prompts import IGNORED_LABEL, PromptBuilder
from genrec.tasks.query2index import Query2Index, judged_pairs
from genrec.tasks.rating import Rating
from genrec.tasks.review import Review
from genrec.tasks.segments import Codes, ColumnTexts, Segment, Trusted, Turn, Untrusted
from genrec.tasks.seqrec import PromptedSeqRec, SeqRec
from genrec.tasks.sequences import Draw, Sequences, Targets
from genrec.tasks.sequential import Sequential
from genrec.tasks.task import Task
from genrec.tasks.teacher_lists import TeacherLists
from genrec.tasks.templates import Template, TemplateForm, load_templates
from genrec.tasks.text import TextReplay
from genrec.tasks.text_columns import TextColumn
from genrec.tasks.text_generator import Estimate, GeneratedTexts
from genrec.tasks.text_sources import PreferenceSource, QuerySource

__all__ = [
    "IGNORED_LABEL",
    "LC_REC",
    "P5",
    "AttributeTexts",
    "ChatEndpoint",
    "Codes",
    "ColumnTexts",
    "DialogueReply",
    "Direct",
    "Draw",
    "Estimate",
    "Explanation",
    "FusionSeqRec",
    "GeneratedTexts",
    "Index2Item",
    "Item2Index",
    "ItemAugmentation",
    "ItemForms",
    "ItemNeighbours",
    "ItemSearch",
    "ItemSequences",
    "ItemTexts",
    "LocalGenerator",
    "PreferenceObtain",
    "PreferencePairs",
    "PreferenceSource",
    "PrefixSeqRec",
    "PreviewPiece",
    "PreviewRow",
    "PromptBuilder",
    "PromptedSeqRec",
    "Query2Index",
    "QuerySource",
    "Rating",
    "Review",
    "Segment",
    "SeqRec",
    "Sequences",
    "Sequential",
    "Targets",
    "Task",
    "TaskInputs",
    "TaskMixture",
    "TaskName",
    "TaskOptions",
    "TeacherLists",
    "Template",
    "TemplateForm",
    "TextColumn",
    "TextReplay",
    "TokenRows",
    "Trusted",
    "Turn",
    "Untrusted",
    "build_tasks",
    "check_task",
    "drawn_form",
    "held_out_rows",
    "judged_pairs",
    "load_templates",
    "preview_rows",
]
