"""A search that runs elsewhere, or did, as its journal tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.console import Console

from rxtune.api.run_status import RunState, Status
from rxtune.cli.live.sight import Sight, left
from rxtune.cli.live.watch import show
from rxtune.cli.wording import duration

LARGEST_SHARE = 0.3
"""Of the time, for reading the journal: whoever follows a search has nothing else to do."""


def follow(read: Callable[[], Status], console: Console) -> None:
    """Show a run until nobody runs it any more.

    Args:
        read: reads the run as it is now.
        console: where to show it.
    """
    ended = threading.Event()

    def look() -> Sight:
        status = read()
        if status.state is not RunState.RUNNING:
            ended.set()
        return sight_of(status)

    look()  # a run that is not there is refused, and all is imported, before anything is shown
    show(look, ended, console, LARGEST_SHARE)


def sight_of(status: Status) -> Sight:
    """Return what is seen of a run."""
    progress, is_alive = status.progress, status.state is RunState.RUNNING
    last = status.looked if is_alive else progress.heard or status.looked
    return Sight(
        progress=progress,
        elapsed=last - (progress.began or last),
        clock=_clock(status),
        left=left(progress, None) if is_alive else (),
        is_alive=is_alive,
    )


def _clock(status: Status) -> tuple[str, ...]:
    """Return when it began, and when it was last heard of."""
    began, heard = status.progress.began, status.progress.heard
    if began is None or heard is None:
        return ()
    if status.state is RunState.RUNNING:
        ago = duration(max(0.0, status.looked - heard))
        return (f"begun {_moment(began)}", f"last heard of {ago} ago")
    same_day = _moment(began)[:10] == _moment(heard)[:10]
    return (f"{_moment(began)} to {_moment(heard)[11 if same_day else 0 :]}",)


def _moment(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix))
