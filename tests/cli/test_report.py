"""`rxtune report`: what it writes and says, and what it leaves as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import load_study
from rxtune.search.decisions import SearchStudy
from tests.report.page.simulated import Simulated

Run = Callable[..., Any]


@pytest.fixture
def search(folder: Path) -> Simulated:
    """A search of three trials of which one is running."""
    search = Simulated(folder / "runs", load_study(folder / "space.yaml"))
    search.run(3, running=[2])
    return search


def test_the_page_and_its_figures_lie_in_the_runs_folder(
    rxtune: Run, search: Simulated, folder: Path
) -> None:
    journal = search.folder.journal.read_bytes()
    ended = rxtune("report", "rs")
    assert ended.code == 0, ended.errors
    page = folder / "runs" / "rs" / "report.html"
    figures = sorted(page.parent.joinpath("figures").iterdir())
    assert page.read_text().startswith("<!doctype html>")
    assert {path.suffix for path in figures} == {".png", ".svg"}
    assert ended.output.splitlines() == [
        f"Report: {page} ({page.stat().st_size / 1e6:.1f} MB)",
        f"Figures: {len(figures)} files in {page.parent / 'figures'}",
    ]
    assert ended.errors == ""
    assert search.folder.journal.read_bytes() == journal
    assert sorted(path.name for path in folder.iterdir()) == ["encoder", "runs", "space.yaml"]


def test_it_goes_where_it_is_sent_in_the_formats_asked_for(
    rxtune: Run, search: Simulated, folder: Path
) -> None:
    before = sorted(search.folder.path.iterdir())
    assert rxtune("report", "rs", "--out", "paper", "--formats", "pdf").code == 0
    figures = [*(folder / "paper" / "figures").iterdir()]
    assert {path.suffix for path in figures} == {".pdf"}
    assert (folder / "paper" / "report.html").exists()
    assert sorted(search.folder.path.iterdir()) == before


def test_a_search_that_runs_has_a_report_that_says_so(rxtune: Run, search: Simulated) -> None:
    with search.folder.held(), SearchStudy.open(search.folder.journal, sync=lambda _: None):
        assert rxtune("report", "rs", "--formats", "svg").code == 0
    text = (search.folder.path / "report.html").read_text()
    assert "The search is still running: 2 of 6 trials have ended" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sr",), "no run 'sr'"),
        (("rs", "--formats", "jpg"), "--formats: must be among png, svg, pdf, got 'jpg'"),
        (("rs", "--out", "space.yaml"), "the report's folder must be writable, but is not"),
    ],
)
def test_what_is_wrong_is_refused_in_a_line(
    rxtune: Run, search: Simulated, arguments: tuple[str, ...], message: str
) -> None:
    ended = rxtune("report", *arguments)
    assert (ended.code, ended.errors.count("\n")) == (2, 1)
    assert message in ended.errors


def test_a_report_waits_neither_for_torch_nor_for_ray(
    search: Simulated, printed_by: Callable[[str], str]
) -> None:
    code = (
        "import sys\nfrom rxtune import api\napi.report('rs', formats=())\n"
        "heavy = {'torch', 'ray', 'transformers', 'matplotlib.pyplot'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    assert printed_by(code) == "[]"
