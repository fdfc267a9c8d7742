"""`genrec`: the commands and how their errors look.

Does not know what a command does; each has a file of its own.
"""

from __future__ import annotations

import sys

import typer

from genrec.cli import (
    chat,
    check,
    compare,
    doctor,
    export,
    inspect_ids,
    preview,
    publish,
    quickstart,
    recipes,
    recommend,
    stages,
    write_texts,
)
from genrec.cli.arguments import HistoryCommand
from genrec.cli.failure import failed
from genrec.cli.output import setup_logging
from genrec.errors import GenRecError

EXTRAS = {
    "trl": "train",
    "peft": "train",
    "sentence_transformers": "eval",
}  # package: the extra that brings it

app = typer.Typer(
    name="genrec",
    help="Generative retrieval and recommendation: a language model that names real items of your catalog.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("quickstart")(quickstart.quickstart)
app.command("check")(check.check)
app.command("preview")(preview.preview)
app.command("write-texts")(write_texts.write_texts)
app.command("build-ids")(stages.build_ids)
app.command("inspect-ids")(inspect_ids.inspect_ids)
app.command("align")(stages.align)
app.command("prefer")(stages.prefer)
app.command("evaluate")(stages.evaluate)
app.command("compare")(compare.compare)
app.command("recommend", cls=HistoryCommand)(recommend.recommend)
app.command("export")(export.export)
app.command("publish")(publish.publish)
app.command("chat", cls=HistoryCommand)(chat.chat)
app.command("recipes")(recipes.recipes)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Entry point; a known error is printed in its three parts, without a traceback, with status 1."""
    setup_logging()
    try:
        app()
    except GenRecError as error:
        sys.exit(failed(error))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        remedy = f"pip install 'genrec-toolkit[{EXTRAS[error.name]}]'"
        sys.exit(failed(f"this command needs the package {error.name}\nwhat to do: {remedy}"))


if __name__ == "__main__":
    main()
