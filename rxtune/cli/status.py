"""`rxtune status`: how a run stands, while it runs elsewhere or when it has ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxtune.cli.console import errors, for_people, output
from rxtune.cli.options import AsJson, RunName, Runs, runs_flag
from rxtune.cli.wording import task_name

if TYPE_CHECKING:
    from rxtune.api import Status

_SECONDS_BETWEEN_LOOKS = 0.5


def status(
    run: RunName,
    runs: Runs = Path("runs"),
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow the search until it ends, or Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how a search stands: its trials, the best so far, time and cost.

    Reads the run's journal and changes nothing. The search may run in another terminal, have
    ended, or have been killed; with --watch and --json the document comes when it has ended.

    Example: rxtune status rs-1122-0931 --watch
    """
    from rxtune import api
    from rxtune.cli.as_json import print_json, status_document

    with for_people(as_json):
        if watch:
            _follow(run, runs)
        found = api.status(run, runs)
        if not as_json:
            _show(found, runs)
    if as_json:
        print_json(status_document(found))


def _follow(run: str, runs: Path) -> None:
    from rxtune import api
    from rxtune.cli.live.elsewhere import follow

    try:
        if api.is_starting(run, runs):
            errors.print(f"{run} is being started; waiting for its first trial", soft_wrap=True)
        while api.is_starting(run, runs):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        follow(lambda: api.status(run, runs), output)
    except KeyboardInterrupt:  # it ends the looking, not the search
        return


def _show(found: Status, runs: Path) -> None:
    from rxtune.cli.live.elsewhere import sight_of
    from rxtune.cli.live.watch import print_screen

    output.print(_head(found), style="bold", soft_wrap=True, markup=False)
    output.print()
    print_screen(sight_of(found), output)
    if found.best_model is not None:
        output.print(f"Best model: {found.best_model}", soft_wrap=True, markup=False)
    for what, command in _next(found, runs):
        output.print(f"{what}:", soft_wrap=True)
        output.print(f"  {command}", style="bold", soft_wrap=True, markup=False)


def _head(found: Status) -> str:
    progress = found.progress
    what = f"{found.name}, on {task_name(progress.study)},"
    if found.state == "running":
        return f"{what} is running"
    if found.state == "broken off":
        running = len(progress.running)
        return (
            f"{what} has broken off: {running} trial{'s' * (running > 1)} ran when its driver was"
            " killed or its machine went down"
        )
    if progress.ended >= progress.asked:
        return f"{what} has ended"
    early = f"{what} has ended early, after {progress.ended} of {progress.asked} trials"
    return f"{early}: {found.why}" if found.why else early


def _next(found: Status, runs: Path) -> list[tuple[str, str]]:
    """Return what to type next, and to what end."""
    where = runs_flag(runs)
    if found.state == "running":
        return []
    if found.progress.ended < found.progress.asked:
        again = f"rxtune search --name {found.name}{where} --resume"
        return [("What is finished is kept. To go on", again)]
    return [("To see it as one page", f"rxtune report {found.name}{where}")]
