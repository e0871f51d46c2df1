"""The entry point: commands, errors as one clear message, exit codes."""

from __future__ import annotations

import gc
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rxtune.cli.audit import audit
from rxtune.cli.check import check
from rxtune.cli.confirm import confirm
from rxtune.cli.console import errors, print_in_any_encoding
from rxtune.cli.export import export
from rxtune.cli.predict import predict
from rxtune.cli.report import report
from rxtune.cli.search import search
from rxtune.cli.status import status
from rxtune.cli.tasks import tasks
from rxtune.cli.ui import ui
from rxtune.errors import RxtuneError

INTERRUPTED = 130
OBJECTS_PER_COLLECTION = 100_000
"""The imports of a search make half a million objects that stay: with Python's 700 the search for
garbage among them takes a fifth of the start."""

app = typer.Typer(
    name="rxtune",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Search for the robust training (radius, PGD steps, sigma) that makes a multilingual"
    " encoder transfer best to languages without labels.",
    epilog="Exit codes: 0 done · 2 wrong study or flag · 3 data or encoder · 4 cluster or MLflow ·"
    " 5 every trial failed · 130 interrupted · 1 anything else.",
)
app.command()(search)
app.command()(status)
app.command()(check)
app.command()(confirm)
app.command()(audit)
app.command()(report)
app.command()(export)
app.command()(predict)
app.command()(tasks)
app.command()(ui)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"rxtune {version('rxtune')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that stand before the command."""


def main() -> None:
    """Run the command line and exit with the code of what happened."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends as Ctrl-C does
    print_in_any_encoding()
    try:
        _run()
    finally:
        gc.freeze()  # or the interpreter looks through all of them once more: two seconds


def _run() -> None:
    debug = "--debug" in sys.argv
    try:
        app(standalone_mode=True)
    except RxtuneError as error:
        _show(error, debug)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print("interrupted", style="bold")
        sys.exit(INTERRUPTED)
    except Exception as error:
        _show(error, debug)
        if not debug:
            errors.print("This is a bug in rxtune; `rxtune --debug …` shows where.", style="dim")
        sys.exit(1)


def _show(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    name = "" if isinstance(error, RxtuneError) else f"{type(error).__name__}: "
    text = escape(name + _as_seen_from_here(str(error)))
    errors.print(f"[bold red]error:[/] {text}", soft_wrap=True)


def _as_seen_from_here(text: str) -> str:
    """Return the text with paths below the working directory as people type them."""
    return re.sub(rf"(?<![\w/.:-]){re.escape(str(Path.cwd()))}/(?=[^\s/])", "", text)
