"""A frame that is drawn over itself: no flicker, and nothing is left behind."""

from __future__ import annotations

import sys

import pytest
from rich.text import Text

from rxtune.cli.live.painter import Painter
from tests.cli.terminal import Terminal


def frame(*lines: str) -> list[Text]:
    return [Text(line) for line in lines]


def test_a_frame_stands_where_the_one_before_it_stood() -> None:
    terminal = Terminal(40, 10)
    terminal.console.print("before")
    with Painter(terminal.console) as painter:
        painter.paint(frame("trial state", "0 running", "gone 0:01"))
        assert terminal.shown == ["before", "trial state", "0 running", "gone 0:01"]
        painter.paint(frame("trial state", "0 stopped", "1 running", "gone 0:02"))
        assert terminal.shown[1:] == ["trial state", "0 stopped", "1 running", "gone 0:02"]
        painter.paint(frame("trial state", "best"))
        assert terminal.shown == ["before", "trial state", "best"]
    assert terminal.shown == ["before"]
    terminal.console.print("after")
    assert terminal.shown == ["before", "after"]


def test_the_cursor_is_hidden_while_it_is_drawn_and_shown_again() -> None:
    terminal = Terminal(40, 10)
    with Painter(terminal.console) as painter:
        painter.paint(frame("a"))
        assert terminal.cursor.hidden
    assert not terminal.cursor.hidden
    with pytest.raises(KeyboardInterrupt), Painter(terminal.console):
        raise KeyboardInterrupt
    assert not terminal.cursor.hidden


def test_nothing_flickers_between_two_frames() -> None:
    """Every line shows at every moment its old text, its new text, or the one running into it."""
    terminal = Terminal(40, 10)
    old, new = ["trial 10 running", "same", "gone 0:01"], ["trial 10 ended", "same", "gone 0:02"]
    with Painter(terminal.console) as painter:
        painter.paint(frame(*old))
        terminal.keeps_frames = True
        painter.paint(frame(*new))
        terminal.keeps_frames = False
    assert terminal.frames
    for shown in terminal.frames:
        assert len(shown) == 3
        for line, before, after in zip(shown, old, new, strict=True):
            written = sum(1 for one, other in zip(line, after, strict=False) if one == other)
            assert line in (before, after) or line == after[:written] + before[written:]


def test_a_line_that_has_not_changed_is_not_written_again() -> None:
    terminal = Terminal(40, 10)
    with Painter(terminal.console) as painter:
        painter.paint(frame("the table", "gone 0:01"))
        terminal.written = ""
        painter.paint(frame("the table", "gone 0:02"))
        assert "the table" not in terminal.written
        assert "gone 0:02" in terminal.written


def test_what_anybody_prints_stands_above_the_frame() -> None:
    terminal = Terminal(40, 10)
    with Painter(terminal.console) as painter:
        painter.paint(frame("a long line of the frame", "gone"))
        print("a library")
        print("an error", file=sys.stderr)
        assert terminal.shown == ["a library", "an error", "a long line of the frame", "gone"]
        painter.paint(frame("a long line of the frame", "over"))
        sys.stdout.write("unfinished")
    assert terminal.shown == ["a library", "an error", "unfinished"]


def test_the_streams_are_given_back_whatever_happens() -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(ValueError, match="x"), Painter(Terminal(40, 10).console):
        raise ValueError("x")
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize(("columns", "lines"), [(20, 10), (8, 10), (60, 10), (40, 5), (20, 4)])
def test_a_terminal_that_changes_its_size_shows_one_frame(columns: int, lines: int) -> None:
    terminal = Terminal(40, 10)
    with Painter(terminal.console) as painter:
        painter.paint(frame("head", "a line of thirty-five characters ..", "0:01"))
        terminal.becomes(columns, lines)
        painter.paint(frame("head", "row", "0:02"))
        painter.paint(frame("head", "row", "0:03"))
        assert [line for line in terminal.shown if line == "head"] == ["head"]
        assert terminal.shown[-3:] == ["head", "row", "0:03"]


def test_lines_that_are_too_long_or_too_many_are_cut_off_and_break_nothing() -> None:
    terminal = Terminal(20, 4)
    with Painter(terminal.console) as painter:
        for second in range(3):
            painter.paint(frame("a line that is too long", *map(str, range(9)), f"{second}"))
            assert terminal.shown == ["a line that is too…", "0", "1", "2"]


def test_without_colour_the_same_is_written() -> None:
    shown = []
    for options in ({}, {"no_color": True}, {"color_system": None}):
        terminal = Terminal(40, 10, **options)
        with Painter(terminal.console) as painter:
            painter.paint([Text.assemble(("failed", "red"), " 1/6")])
            shown.append(terminal.shown)
            assert ("\x1b[31m" in terminal.written) is (options == {})
    assert shown == [["failed 1/6"]] * 3
