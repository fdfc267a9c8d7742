"""The command `chat`: a conversation in the terminal, or line by line from a pipe.

Does not know how a reply is made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrec.cli.arguments import AsJson, History
from genrec.cli.output import line, quiet_libraries
from genrec.errors import ConfigError, GenRecError

if TYPE_CHECKING:
    from genrec.recommender import ChatReply, ChatSession

HELP = """\
Say what you look for: "something for dry skin under 20", "cheaper", "more like the second one".
  /filters                      what is asked for; change it with JSON or KEY=VALUE:
  /filters max_price=15 brands=Velora,Quillmoss      (KEY= takes a demand away; /filters none takes all)
  /likes /dislikes /history     what is kept of this conversation
  /explain N | ID               what the Semantic ID of an item means
  /undo /reset                  take back the last turn; start anew
  /save FILE /load FILE         keep the conversation, go on with one
  /help /quit"""


def chat(
    bundle: Annotated[str, typer.Argument(help="Folder of a saved bundle, or OWNER/NAME on the hub.")],
    history: History = None,
    filters: Annotated[
        str, typer.Option("--filters", help="Filters from the start, as JSON or KEY=VALUE ...")
    ] = "",
    k: Annotated[int, typer.Option("-k", help="Items a reply names.")] = 5,
    phrases: Annotated[
        Path | None, typer.Option(help="Phrases to understand in place of genrec's own, as YAML.")
    ] = None,
    load: Annotated[Path | None, typer.Option("--load", help="Go on with a saved conversation.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1 …; auto = an accelerator if there is one.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Talk to a bundle. Every item it names is in the catalog and fulfils what was asked for.

    Reads standard input line by line, so it works in a pipe too; with --json every reply is one line of JSON.

    Example: genrec chat outputs/quickstart/bundle
    Example: echo "a lipstick under 15" | genrec chat outputs/quickstart/bundle --json
    """
    from genrec.recommender import (
        ChatSession,
        IntentPhrases,
        load_recommender,
        own_device,
    )

    quiet_libraries()
    has = history or []
    if has and load is not None:
        raise ConfigError(
            "a saved conversation brings its own history",
            received=f"--load {load} --history {' '.join(has)}",
            remedy="pass one of the two",
        )
    recommender = load_recommender(bundle, revision=revision, device=own_device(device))
    understood = None if phrases is None else IntentPhrases.read(phrases)
    if load is not None:
        session = ChatSession.load(recommender, load, phrases=understood)
    else:
        session = ChatSession(recommender, history=has, k=k, phrases=understood)
    if filters:
        session.filters = session.filters.edited(filters)
    talk(session, as_json=as_json)


def talk(session: ChatSession, *, as_json: bool = False) -> None:
    """Answers standard input line by line until it ends or `/quit`."""
    from rich.console import Console

    asks = sys.stdin.isatty() and not as_json
    console = Console(
        file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty()
    )
    if asks:
        console.print("Talk to the catalog; /help lists the commands, /quit ends.", style="dim")
    while True:
        try:
            message = (console.input("you> ") if asks else next(sys.stdin)).strip()
        except (EOFError, StopIteration, KeyboardInterrupt):
            break
        if not message:
            continue
        try:
            if message.startswith("/"):
                told = command(session, message)
                if told is None:
                    break
                line(json.dumps({"command": message, "text": told}, ensure_ascii=False) if as_json else told)
                continue
            if as_json:
                line(json.dumps(session.say(message).to_dict(), ensure_ascii=False))
            else:
                show(session.say(message), console.print)
        except GenRecError as error:
            if as_json:
                line(json.dumps({"error": str(error)}, ensure_ascii=False))
            else:
                sys.stderr.write(f"error: {error}\n")


def show(reply: ChatReply, write: Callable[..., None]) -> None:
    """Prints a reply with its items' names in bold and their ids behind them."""
    from rich.text import Text

    text = Text()
    place = 0
    for named in reply.items:
        text.append(reply.text[place : named.start])
        text.append(reply.text[named.start : named.end], style="bold")
        text.append(f" [{named.recommendation.item_id}]", style="dim")
        place = named.end
    text.append(reply.text[place:])
    write(text)


def command(session: ChatSession, message: str) -> str | None:
    """Carries out a slash command; None for `/quit`.

    Raises:
        ConfigError: No such command, or one without what it needs.
    """
    name, _, rest = message[1:].partition(" ")
    rest = rest.strip()
    titles = session.recommender.items.title
    match name:
        case "quit" | "exit" | "q":
            return None
        case "help":
            return HELP
        case "filters":
            if rest:
                session.filters = session.filters.edited(rest)
            shown = "\n".join(f"- {demand}" for demand in session.filters.describe())
            return f"{session.filters.to_json()}\n{shown}".strip()
        case "likes" | "dislikes" | "history":
            ids = getattr(session.state, name)
            return "\n".join(f"- {item} {titles(item)}" for item in ids) or "nothing"
        case "undo":
            return "taken back" if session.undo() else "there is nothing to take back"
        case "reset":
            session.reset()
            return "started anew"
        case "save" if rest:
            session.save(rest)
            return f"saved in {rest}"
        case "load" if rest:
            session.restore(rest)
            return f"going on with {rest}"
        case "explain" if rest:
            shown_items = session.state.shown
            place = int(rest) - 1 if rest.isdecimal() else -1
            item = shown_items[place] if 0 <= place < len(shown_items) else rest
            return str(session.recommender.explain(item))
    raise ConfigError("no such command, or it needs a value", received=message, remedy="see /help")
