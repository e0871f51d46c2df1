"""`rxtune ui`: the MLflow UI on the store of a run."""

from __future__ import annotations

import os
import signal
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rxtune.cli import options as flags
from rxtune.cli.completion import run_names
from rxtune.cli.console import output


def ui(
    run: Annotated[
        str | None,
        typer.Argument(
            help="Name of a run: opens its page.", metavar="[RUN]", autocompletion=run_names
        ),
    ] = None,
    runs: flags.Runs = Path("runs"),
    tracking_uri: flags.TrackingUri = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port (default: 5000 or, if taken, a free one).", min=1, max=65535),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser, if there is one.")] = True,
) -> None:
    """Show the runs in MLflow's UI, on this machine alone, until Ctrl-C.

    Example: rxtune ui first
    """
    uri, search_id = _store(run, runs, tracking_uri)
    from rxtune.track.ui import page_of, ui_on

    if uri.startswith(("http://", "https://")):
        page = page_of(uri, search_id) if search_id else "/"
        _show(uri.rstrip("/") + page, browser, "The runs are on a server:")
        return
    for kind in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: nothing of it may stay behind
        signal.signal(kind, signal.default_int_handler)
    with ui_on(uri, port) as started:
        page = page_of(uri, search_id) if search_id else "/#/experiments"
        _show(started.address + page, browser, "MLflow's UI, until Ctrl-C:")
        try:
            started.wait()
        except KeyboardInterrupt:
            output.print("Ended.")


def _store(run: str | None, runs: Path, tracking_uri: str | None) -> tuple[str, str | None]:
    """Return the store to show, and the id of the run's search in it."""
    if run is not None:
        from rxtune.search.run_folder import RunFolder

        places = RunFolder.existing(runs, run).places()
        return places.tracking_uri, places.search_id
    from rxtune.track import resolve_uri

    return resolve_uri(tracking_uri), None


def _show(address: str, browser: bool, what: str) -> None:
    output.print(f"{what} [bold]{escape(address)}[/]", soft_wrap=True)
    if browser and _has_screen():
        webbrowser.open(address)


def _has_screen() -> bool:
    """Return whether a browser would be seen: not over ssh, nor where nobody sits."""
    if not sys.stdout.isatty():
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY", ""))
