"""A terminal that does what real ones do with the codes that are written to it."""

from __future__ import annotations

from typing import Any

import pyte
from rich.console import Console


class Terminal(pyte.Screen):
    """A screen, and as its `console` what writes to it character by character.

    Attributes:
        frames: What was on the screen after every character; empty unless `keeps_frames`.
        written: All that was written.
    """

    def __init__(self, columns: int = 120, lines: int = 40, **options: Any) -> None:
        super().__init__(columns, lines)
        self.set_mode(pyte.modes.LNM)  # the line discipline: a new line begins in column 0
        self._stream = pyte.Stream(self)
        self.keeps_frames = False
        self.frames: list[list[str]] = []
        self.written = ""
        self.console = Console(
            file=self, force_terminal=True, highlight=False, legacy_windows=False,
            width=columns, height=lines, **{"color_system": "standard", **options},
        )  # fmt: skip

    def write(self, text: str) -> int:
        self.written += text
        if not self.keeps_frames:
            self._stream.feed(text)
            return len(text)
        for character in text:
            self._stream.feed(character)
            self.frames.append(self.shown)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> list[str]:
        """The lines on the screen down to the last one that is not empty."""
        lines = [line.rstrip() for line in self.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def becomes(self, columns: int, lines: int) -> None:
        """Change the size, as a person who pulls at the window; long lines are broken."""
        text = "\n".join(self.shown)
        self.resize(lines, columns)
        self.erase_in_display(2)
        self.cursor_position(1, 1)
        self._stream.feed(text)
        self.console.size = (columns, lines)
