"""Which revision of a model on the hub encodes.

Does not know encoders.
"""

from __future__ import annotations

from pathlib import Path

from genrec.errors import ConfigError


def checked_revision(model: str, revision: str | None, *, named: bool = True) -> str | None:
    """The revision, where the model can have one.

    Args:
        model: Name on the hub, or a folder.
        revision: Commit, tag or branch; None = the main branch.
        named: Whether the hub is asked for a model of this name.

    Raises:
        ConfigError: A revision of something that does not come from the hub.
    """
    if revision is not None and (not named or Path(model).is_dir()):
        raise ConfigError(
            "only a model that is found on the hub by its name has a revision",
            received=f"model={model!r}, revision={revision!r}",
            remedy="leave the revision out",
        )
    return revision
