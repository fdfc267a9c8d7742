"""What all tests share: the real data where it stands, and settings that keep runs repeatable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile(
    "genrec", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("genrec")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; tests that need one skip where it does not stand beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"the real data sets are not beside this checkout (looked for {ROOT.name}/../shared/data)"
        )
    return folder
