"""The processes of a launch, on GPUs or on CPUs.

Does not know what they do.
"""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import PartialState

# The first process encodes, makes IDs and evaluates while the others wait for it.
TIMEOUT = timedelta(hours=12)


def process_state() -> PartialState:
    """State of this launch: how many processes there are and which one this is.

    To be called before anything else asks accelerate. Where there is no accelerator, or where accelerate's
    own variable `ACCELERATE_USE_CPU` asks for it, several processes talk through gloo; accelerate by itself
    would let each of them believe that it is alone.
    """
    return PartialState(cpu=on_cpu(), timeout=TIMEOUT)


def on_cpu() -> bool:
    """Whether this process trains on the CPU."""
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return asked or not torch.accelerator.is_available()


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process of the launch; all of them must ask together."""
    state = process_state()
    if state.num_processes == 1:
        return flag
    flags = torch.tensor([float(flag)], device=state.device)
    torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return bool(flags.item())
