"""Where the weights of a bundle come from: the pretrained model they were tuned from, if any.

Does not know licences: it says whose terms may have to be carried.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrec.artifacts import read_manifest
from genrec.errors import ArtifactError


def origin_of(config: Any, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """What whole weights were tuned from.

    Args:
        config: The model's configuration.
        recipe: The resolved recipe of the run, empty where there was none. It is trusted before the
            configuration, which may name a checkpoint.

    Returns:
        `name` (on the hub, or the last part of a folder's path), `revision` and `local` (whether it is a
        folder); None for a model from scratch.
    """
    section = recipe.get("model")
    if isinstance(section, Mapping):
        name, revision = section.get("base"), section.get("revision")
        before = _origin_of_bundle(recipe.get("start_from"))
        if before is not None:
            return before
    else:
        name, revision = config.name_or_path, getattr(config, "_commit_hash", None)
    if not name:
        return None
    path = Path(str(name))
    local = path.is_absolute() or path.exists() or len(path.parts) > 2
    return {
        "name": path.name if local else str(name),
        "revision": None if local else revision,
        "local": local,
    }


def _origin_of_bundle(folder: object) -> dict[str, Any] | None:
    """The origin of the bundle that a run went on from."""
    if not isinstance(folder, str) or not folder:
        return None
    try:
        facts = read_manifest(folder)["facts"]
    except ArtifactError:
        return None  # moved since: the recipe's own base is what is left
    if isinstance(facts.get("base"), Mapping):
        base = facts["base"]
        local = Path(str(base.get("name"))).is_absolute()
        return {
            "name": Path(str(base["name"])).name if local else base["name"],
            "revision": base.get("revision"),
            "local": local,
        }
    origin = facts.get("derived_from")
    return dict(origin) if isinstance(origin, Mapping) else None
