"""A frame at the bottom of the terminal that is drawn over itself, changed lines only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from threading import RLock
from types import TracebackType
from typing import Self, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleRenderable, RenderHook
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segment
from rich.text import Text

_ERASE_REST_OF_LINE = "\x1b[K"
_ERASE_BELOW = "\x1b[J"
_Line = list[Segment]


class Painter(RenderHook):
    """Keeps a frame on a terminal while others may print above it.

    rich's own `Live` wipes all lines before it writes them again, which flickers where a terminal
    draws in between, and after a resize it leaves half of the old frame. Here a line that has not
    changed is not touched, and one that has is written over.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = RLock()
        self._lines: list[_Line] = []  # on the screen now
        self._size = console.size
        self._next: list[_Line] | None = None  # to be painted; None: somebody else prints
        self._streams: tuple[TextIO, TextIO] | None = None

    def __enter__(self) -> Self:
        self._console.show_cursor(False)
        self._console.push_render_hook(self)
        self._streams = sys.stdout, sys.stderr
        sys.stdout = cast("TextIO", FileProxy(self._console, sys.stdout))
        sys.stderr = cast("TextIO", FileProxy(self._console, sys.stderr))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._streams is not None
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = self._streams
        with self._lock:
            self._console.pop_render_hook()
            self._console.print(_Raw(self._back() + _ERASE_BELOW), end="")
            self._lines = []
        self._console.show_cursor(True)

    def paint(self, lines: Iterable[Text]) -> None:
        """Show lines in place of the last frame; what the terminal has no room for is left out."""
        with self._lock:
            # A column is left free: behind a full line terminals differ in where the cursor is.
            width, height = self._console.size
            shown = [line.copy() for line in islice(lines, max(1, height))]
            for line in shown:
                line.truncate(max(1, width - 1), overflow="ellipsis")
            self._next = self._rendered(shown)
            try:
                self._console.print(Control())
            finally:
                self._next = None

    def _rendered(self, lines: Sequence[Text]) -> list[_Line]:
        return [[s for s in self._console.render(line) if s.text != "\n"] for line in lines]

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return what to write: what somebody prints above the frame, and the frame."""
        with self._lock:
            if self._next is None:
                above = _Raw(self._back() + _ERASE_BELOW)
                return [above, *renderables, _Frame(self._lines, [])]
            back, before = self._back(), self._lines
            if self._size != self._console.size:
                back, before = back + _ERASE_BELOW, []
            self._lines, self._size = self._next, self._console.size
            return [_Raw(back), _Frame(self._lines, before)]

    def _back(self) -> str:
        """Return what moves the cursor to the frame's first column and line."""
        # A terminal that has become narrower has broken the lines that are too long for it.
        width = max(1, self._console.width)
        rows = sum(max(1, -(-_length(line) // width)) for line in self._lines)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "")


class _Raw:
    """Codes for the terminal, as they are."""

    def __init__(self, codes: str) -> None:
        self._codes = codes

    def __rich_console__(self, *_: object) -> Iterable[Segment]:
        yield _code(self._codes)


class _Frame:
    """The lines of a frame, written over those of the frame before; the cursor stays on the last.

    Args:
        lines: The frame's.
        before: What is on the screen in their place.
    """

    def __init__(self, lines: Sequence[_Line], before: Sequence[_Line]) -> None:
        self._lines = lines
        self._before = before

    def __rich_console__(self, *_: object) -> Iterable[Segment]:
        last, is_shorter = len(self._lines) - 1, len(self._lines) < len(self._before)
        for place, line in enumerate(self._lines):
            same = place < len(self._before) and self._before[place] == line
            if not same or (is_shorter and place == last):
                yield from line
                yield _code(_ERASE_REST_OF_LINE)
            if place < last:
                yield Segment.line()
        if is_shorter:
            yield _code(_ERASE_BELOW)


def _code(text: str) -> Segment:
    # rich takes a segment for a code, which has no width, if any kind of code is named.
    return Segment(text, None, [(ControlType.ERASE_IN_LINE, 0)])


def _length(line: _Line) -> int:
    return sum(cell_len(segment.text) for segment in line if segment.control is None)
