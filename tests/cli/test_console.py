"""What is printed where: any encoding, and standard output kept free for a document."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rxtune
from rxtune.cli.console import _ASCII, for_people, output, print_in_any_encoding
from rxtune.cli.live.sparkline import LEVELS
from rxtune.config import load_study
from tests.report.page.simulated import Simulated


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], io.BytesIO]:
    """Return a function that makes standard output one of an encoding, and returns its bytes."""

    def make(encoding: str) -> io.BytesIO:
        written = io.BytesIO()
        stdout = io.TextIOWrapper(written, encoding=encoding, write_through=True)
        monkeypatch.setattr(sys, "stdout", stdout)
        print_in_any_encoding()
        return written

    return make


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "best 60.0 ★ · 1 × – … ▁▄█ ž"),
        ("ascii", "best 60.0 * | 1 x - ~ _-# ?"),
        ("latin-1", "best 60.0 * · 1 × - ~ _-# ?"),
    ],
)
def test_what_an_encoding_does_not_have_is_printed_as_the_next_best_thing(
    stream: Callable[[str], io.BytesIO], encoding: str, expected: str
) -> None:
    written = stream(encoding)
    output.print("best 60.0 ★ · 1 × – … ▁▄█ ž", end="")
    assert written.getvalue().decode(encoding) == expected


def test_the_bars_of_a_curve_keep_their_order_and_their_width() -> None:
    bars = LEVELS.translate(_ASCII)
    assert len(set(bars)) == len(LEVELS)
    assert bars.isascii()


def test_all_of_a_status_is_printed_where_there_is_only_ascii(folder: Path) -> None:
    Simulated(folder / "runs", load_study(folder / "space.yaml")).run(4, running=[3])
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(rxtune.__file__).parents[1]),
        "LANG": "C", "PYTHONIOENCODING": "ascii",
    }  # fmt: skip
    command = [sys.executable, "-m", "rxtune", "status", "rs"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
    text = ended.stdout.decode("ascii")
    assert "?" not in text
    assert " | baseline " in text
    assert " *" in text


def test_a_document_has_standard_output_for_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with for_people(as_json=True):
        output.print("for people")
        print("a library")
    print("{}")
    assert capsys.readouterr() == ("{}\n", "for people\na library\n")
    with for_people(as_json=False):
        output.print("for people")
    assert capsys.readouterr() == ("for people\n", "")


def test_results_go_to_standard_output_again_after_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails() -> Any:
        with for_people(as_json=True):
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fails()
    output.print("here")
    assert capsys.readouterr().out == "here\n"
