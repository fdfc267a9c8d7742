"""The recipes and definitions that come with genrec, in a checkout and in a wheel alike.

It does not know what is in them.
"""

import difflib
from pathlib import Path

from genrec.errors import ConfigError


def data_folder(kind: str) -> Path:
    """Give the folder of the shipped `recipes` or `tokenizers`, in a checkout and in a wheel alike."""
    package = Path(__file__).parents[1]
    installed = package / "_data" / kind
    return installed if installed.is_dir() else package.parent / kind


def named_file(kind: str, name: str) -> Path:
    """Find a shipped file by its name, such as ``named_file("tokenizers", "rqvae-4x256.yaml")``.

    Raises:
        ConfigError: There is none; the error lists the nearest names.
    """
    folder = data_folder(kind)
    path = folder / name
    if path.is_file() and folder.resolve() in path.resolve().parents:
        return path
    known = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.yaml"))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
    raise ConfigError(
        f"there is no {name} among the {kind} that come with genrec",
        received=name,
        remedy=f"give the path of a file, or one of: {', '.join(near)}",
    )
