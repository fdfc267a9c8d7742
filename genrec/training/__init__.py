"""Alignment training: a thin layer over trl's supervised fine-tuning.

Does not know metrics or rankers: evaluation reaches training as a callback.
"""

from genrec.training.adapter_base import AdapterBase
from genrec.training.adapters import add_lora, load_weights, merge, save_weights
from genrec.training.averaging import WeightAveraging
from genrec.training.checkpoints import newest_complete_checkpoint
from genrec.training.config import AlignmentConfig
from genrec.training.item_trainer import ItemTrainer, ItemTrainingConfig
from genrec.training.loss import SemanticIdLoss
from genrec.training.loss_curve import LossCurve
from genrec.training.packing import PackingCollator
from genrec.training.preference_collator import PreferenceCollator
from genrec.training.preference_config import PreferenceConfig
from genrec.training.preference_trainer import PreferenceTrainer
from genrec.training.processes import on_cpu, process_state
from genrec.training.seq2seq_collator import Seq2SeqCollator
from genrec.training.text_pretraining import pretrain_on_texts
from genrec.training.trainer import AlignmentTrainer

__all__ = [
    "AdapterBase",
    "AlignmentConfig",
    "AlignmentTrainer",
    "ItemTrainer",
    "ItemTrainingConfig",
    "LossCurve",
    "PackingCollator",
    "PreferenceCollator",
    "PreferenceConfig",
    "PreferenceTrainer",
    "SemanticIdLoss",
    "Seq2SeqCollator",
    "WeightAveraging",
    "add_lora",
    "load_weights",
    "merge",
    "newest_complete_checkpoint",
    "on_cpu",
    "pretrain_on_texts",
    "process_state",
    "save_weights",
]
