"""Looking at a search until it is over: a live table in a terminal, plain lines anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from rxtune.cli.console import output
from rxtune.cli.live.lines import Teller
from rxtune.cli.live.painter import Painter
from rxtune.cli.live.screen import Frame, screen
from rxtune.cli.live.sight import Look, Sight, own_search
from rxtune.cli.wording import has_ended
from rxtune.errors import RxtuneError

if TYPE_CHECKING:
    from rxtune.search.views import SearchView

REFRESH_SECONDS = 0.5
LARGEST_SHARE = 0.05
"""Of a driver's time, for looking at its search: a look at many trials is not for nothing."""
WITHOUT_TERMINAL = 10_000
"""Columns of a table that goes into a file: nothing is cut off."""


@contextmanager
def watching(view: SearchView, console: Console = output) -> Iterator[None]:
    """Show the search until the block ends; what is shown comes from the journal alone."""
    if view.recovered:
        console.print(view.recovered, soft_wrap=True, markup=False)
    for note in view.notes:
        console.print(Text.assemble(("note: ", "bold"), note), soft_wrap=True)
    if before := _ended_before(view):
        console.print(before, soft_wrap=True)
    ended = threading.Event()
    look = own_search(view)
    thread = threading.Thread(target=_show_quietly, args=(look, ended, console), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if console.is_interactive:
            with suppress(RxtuneError):
                print_screen(replace(look(), left=(), is_alive=False), console)


def _show_quietly(look: Look, ended: threading.Event, console: Console) -> None:
    """Show a search; a journal that fails is the search's to tell of, in one line."""
    with suppress(RxtuneError):
        show(look, ended, console)


def _ended_before(view: SearchView) -> str:
    """Return what a resumed search finds; nothing of a new one."""
    ended, asked = sum(map(has_ended, view.records())), view.study.search.trials
    if not ended:
        return ""
    more = f"; more are added with --resume --trials {2 * asked}" if ended >= asked else ""
    return f"{ended} of {asked} trials have ended already{more}"


def show(
    look: Look, ended: threading.Event, console: Console, share: float = LARGEST_SHARE
) -> None:
    """Show a search until somebody says that it has ended; in a terminal nothing of it stays.

    Args:
        look: looks at it.
        ended: set when it has ended.
        console: where to show it.
        share: of the time, that looking may take.
    """
    if not console.is_interactive:
        _show_lines(look, ended, console, share)
        return
    with Painter(console) as painter:
        for is_over in _looks(ended, share):
            if not is_over:
                painter.paint(drawn(look(), console, height=console.height))


def print_screen(sight: Sight, console: Console) -> None:
    """Print all trials of a search and how it stands."""
    for line in drawn(sight, console):
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        console.print(line, soft_wrap=True)


def drawn(sight: Sight, console: Console, height: int | None = None) -> list[Text]:
    """Return the screen of a search, line by line.

    Args:
        sight: What is seen of it.
        console: Where it is to be shown.
        height: Lines of the terminal; None: all trials are shown.
    """
    frame = Frame(
        width=console.width - 1 if console.is_terminal else WITHOUT_TERMINAL,
        height=height,
        clock=(*sight.clock, *sight.left),
        is_alive=sight.is_alive,
    )
    return screen(sight.progress, frame)


def _show_lines(look: Look, ended: threading.Event, console: Console, share: float) -> None:
    teller = Teller(look().progress)
    for _ in _looks(ended, share):
        for line in teller.news(look()):
            console.print(line, soft_wrap=True, markup=False)  # a reason may hold brackets


def _looks(ended: threading.Event, share: float) -> Iterator[bool]:
    """Yield when it is time to look, and whether the search is over, once it is as the last."""
    pause, is_over = REFRESH_SECONDS, False
    while not is_over:
        is_over = ended.wait(pause)
        began = time.thread_time()
        yield is_over
        pause = max(REFRESH_SECONDS, (time.thread_time() - began) / share)
