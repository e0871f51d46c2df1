"""The whole page: it holds every trial, loads nothing, escapes what users write, stays small."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Study
from rxtune.errors import StudyError
from rxtune.report.page import Findings, write_report
from rxtune.results import TrialState
from tests.report.page.simulated import Simulated, findings_of

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """A page taken apart: its elements, what they load, its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.loads.append(value)
            if name == "id":
                self.ids.append(value)
            assert not name.startswith("on"), f"{tag} has {name}"
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] == "title":
            self.titles.append(data)
        if "td" in self.open[-2:]:
            self.rows[-1][-1] += data


def written(findings: Findings, folder: Path, formats: Any = ()) -> tuple[str, Page]:
    html = write_report(findings, folder, formats).page.read_text(encoding="utf-8")
    return html, Page(html)


def trials_in(page: Page) -> list[list[str]]:
    return [row for row in page.rows if len(row) == 9]


# --- whatever the search looks like


def search_with(name: str, simulated: Callable[..., Simulated]) -> Findings:
    """Return a search in a state in which one can be when somebody wants a report."""
    if name == "running":
        search = simulated()
        search.run(6, running=[4, 5])
        return replace(findings_of(search), is_running=True)
    overrides: dict[str, Any] = {
        "Pareto": {
            "select.objective": ["mean", "worst", "compute"],
            "select.languages": ["qaf", "qag"],
        },
        "macro-F1 over seeds": {"select.metric": "macro_f1", "search.replicates": 3},
        "source alone": {"select.objective": "source", "stopping": "none"},
        "all are dev": {"select.languages": ["qaa", "qab", "qac", "qad", "qae", "qaf", "qag"]},
    }.get(name, {})
    dev = overrides.get("select.languages", ("qaf",))
    search = simulated(overrides, dev=dev)
    trials = {"no trial": 0, "one trial": 1, "only failures": 4}.get(name, 12)
    search.run(trials, failed=range(4) if name == "only failures" else ())
    return findings_of(search)


@pytest.mark.parametrize(
    "name",
    [
        "no trial", "one trial", "only failures", "running", "Pareto", "macro-F1 over seeds",
        "source alone", "all are dev",
    ],
)  # fmt: skip
def test_a_page_holds_every_trial_and_loads_nothing(
    name: str, simulated: Callable[..., Simulated], tmp_path: Path
) -> None:
    findings = search_with(name, simulated)
    html, page = written(findings, tmp_path)
    assert [row[0] for row in trials_in(page)] == [str(r.number) for r in findings.records]
    for record in findings.evaluated:
        assert any(title.startswith(f"trial {record.number}, ") for title in page.titles)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.loads)
    assert not {"script", "link", "iframe", "object", "img"} & {*page.tags}
    assert re.findall(r"https?://(?!www\.w3\.org/)", html) == []  # namespaces of SVG alone
    assert "@import" not in html
    assert re.findall(r"url\(([^)#]+)", html) == []
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert len(html) < 6e6


def test_what_there_is_no_data_for_is_said_not_drawn(
    simulated: Callable[..., Simulated], tmp_path: Path
) -> None:
    search = simulated()
    html, page = written(findings_of(search), tmp_path)
    assert "No trial has been started yet" in page.text
    assert "svg" not in page.tags
    search.run(1)
    html, page = written(findings_of(search), tmp_path)
    assert "Importance cannot be told: that needs 10 evaluated trials" in page.text
    assert "it needs 4 trials that ran to their end" in page.text
    assert "nan" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S).casefold()


def test_a_task_of_one_language_has_a_page(
    own_task: Callable[..., str], simulated: Callable[..., Simulated], tmp_path: Path
) -> None:
    task = own_task("en", "sw", dev="sw")
    search = simulated({"task": task}, languages=("en", "sw"), dev=("sw",), items=20)
    search.run(8)
    _, page = written(findings_of(search), tmp_path)
    assert len(trials_in(page)) == 8
    assert "20 items per language" in page.text


def test_hostile_names_are_text(
    own_task: Callable[..., str], simulated: Callable[..., Simulated], tmp_path: Path
) -> None:
    names = ("<script>alert(1)</script>", '$x_1$ & "y"', "`sw` % # \\ ~ ^ { }")
    task = own_task(*names, dev=names[1])
    search = simulated({"task": task}, languages=names, dev=names[1:2], items=20, mixed=True)
    search.run(12, failed=[5])
    html, page = written(findings_of(search), tmp_path)
    assert "script" not in page.tags
    assert "<script" not in html
    assert names[0] in page.text
    assert names[1] in page.text
    assert "diverged: loss <nan> & more at update 5" in page.text


def test_many_trials_become_a_picture_and_the_page_stays_small(
    found: Callable[..., Findings], tmp_path: Path
) -> None:
    few = found(8, {"stopping": "none"})
    records = [replace(few.records[n % 8], number=n) for n in range(5000)]
    points = [replace(few.points[n % 8], number=n) for n in range(5000)]
    many = replace(few, records=tuple(records), points=tuple(points))
    html, page = written(many, tmp_path)
    assert len(trials_in(page)) == 5000
    assert len(html) < 6e6


def test_the_same_search_gives_the_same_files(
    found: Callable[..., Findings], tmp_path: Path
) -> None:
    findings = found(2)
    folders = [tmp_path / "a", tmp_path / "b"]
    first, second = (write_report(findings, f, ("svg",)) for f in folders)
    assert first.page.read_bytes() == second.page.read_bytes()
    assert [p.read_bytes() for p in first.figures] == [p.read_bytes() for p in second.figures]


def test_every_plot_of_the_page_is_a_file_of_every_format(
    found: Callable[..., Findings], tmp_path: Path
) -> None:
    result = write_report(found(12), tmp_path, ("png", "svg", "pdf"))
    page = Page(result.page.read_text())
    plots = {name.removeprefix("plot-") for name in page.ids if name.startswith("plot-")}
    assert {path.stem for path in result.figures} == plots
    assert len(result.figures) == 3 * len(plots)
    starts = {path.suffix: path.read_bytes()[:5] for path in result.figures}
    assert starts == {".png": b"\x89PNG\r", ".svg": b"<?xml", ".pdf": b"%PDF-"}


def test_matplotlib_is_left_as_it_was(found: Callable[..., Findings], tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    written(found(2), tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_an_unknown_format_and_a_folder_that_cannot_be_made_are_refused(
    found: Callable[..., Findings], tmp_path: Path
) -> None:
    findings = found(1)
    with pytest.raises(StudyError, match=r"--formats: must be among png, svg, pdf, got 'jpg'"):
        write_report(findings, tmp_path, ("jpg",))
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="must be writable, but is not"):
        write_report(findings, tmp_path / "file", ())


def test_a_confirmed_search_shows_its_verdict_first(
    confirmed: Callable[..., Findings], tmp_path: Path
) -> None:
    findings = confirmed(mixed=True)
    _, page = written(findings, tmp_path)
    assert re.search(r"Result\s+(Confirmed|Not confirmed): \+", page.text)
    assert {"plot-confirmed-gain", "plot-languages-test", "plot-mixed-languages-test"} <= {
        *page.ids
    }
    assert "Not yet: nothing has been retrained" not in page.text


def test_a_run_whose_data_has_gone_still_has_a_page(
    own_task: Callable[..., str],
    load: Callable[..., Study],
    simulated: Callable[..., Simulated],
    tmp_path: Path,
) -> None:
    study = load({"task": own_task("en", "sw", dev="sw")})
    search = simulated(study=study, languages=("en", "sw"), dev=("sw",), items=20)
    search.run(4)
    (tmp_path / "dev-1.tsv").unlink()
    findings = findings_of(search)
    _, page = written(findings, tmp_path)
    assert "The data could not be read, so dev scores have no intervals here" in page.text
    assert sum(r.state is TrialState.FINISHED for r in findings.records) >= 1
