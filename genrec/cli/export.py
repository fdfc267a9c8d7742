"""The command `export`: a bundle for plain transformers and vLLM.

Does not know how it is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.output import line, quiet_libraries


def export(
    bundle: Annotated[str, typer.Argument(help="Folder of a saved bundle, or OWNER/NAME on the hub.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    base: Annotated[
        str | None, typer.Option(help="Where the base model of adapters is now, when not where it was.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; as the weights are, if not said.")
    ] = None,
) -> None:
    """Write merged weights, the trie file and an example that needs no genrec.

    Example: genrec export outputs/quickstart/bundle --out outputs/quickstart/export
    """
    from genrec.recommender import export_bundle

    quiet_libraries()
    folder = export_bundle(bundle, out, revision=revision, base=base, dtype=dtype)
    line(f"{folder}: try `python {folder / 'example.py'} {folder} ITEM_ID ...`")
