"""`rxtune status`: a search that runs elsewhere, has ended, or was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rxtune import api
from rxtune.cli.live import elsewhere, watch
from rxtune.config import load_study
from rxtune.results import Failure
from rxtune.search.decisions import SearchStudy
from tests.cli.terminal import Terminal
from tests.report.page.simulated import Simulated

Run = Callable[..., Any]


@pytest.fixture
def search(folder: Path) -> Callable[..., Simulated]:
    """Return a function that leaves a search of six trials."""

    def leave(trials: int, root: str = "runs", **how: Any) -> Simulated:
        run = Simulated(folder / root, load_study(folder / "space.yaml"))
        run.run(trials, **how)
        return run

    return leave


def test_a_search_that_has_ended_is_shown_with_what_to_type_next(
    rxtune: Run, search: Callable[..., Simulated]
) -> None:
    run = search(6, failed=[3])
    run.folder.best.mkdir()
    ended = rxtune("status", "rs")
    assert (ended.code, ended.errors) == (0, "")
    head, gap, header, *rows = ended.output.splitlines()
    assert (head, gap) == ("rs, on babel, has ended", "")
    assert header.split()[-1] == "why"
    assert [row.split()[0] for row in rows[:6]] == ["0", "1", "2", "3", "4", "5"]
    assert rows[3].endswith("loss <nan> & more at update 3")
    assert "6/6 trials ended" in ended.output
    assert "1 failed: 1 diverged" in ended.output
    assert "cost " in ended.output
    assert f"Best model: {run.folder.best}" in ended.output
    assert ended.output.splitlines()[-1] == "  rxtune report rs"
    assert "workers" not in ended.output  # the journal does not know how many there are
    assert " left" not in ended.output


def test_a_search_that_was_killed_is_told_from_one_that_runs(
    rxtune: Run, search: Callable[..., Simulated]
) -> None:
    run = search(4, running=[2, 3])
    killed = rxtune("status", "rs").output
    assert killed.startswith(
        "rs, on babel, has broken off: 2 trials ran when its driver was killed or its machine"
        " went down\n"
    )
    assert killed.count(" broken off ") >= 2
    assert killed.splitlines()[-1] == "  rxtune search --name rs --resume"
    with SearchStudy.open(run.folder.journal, sync=lambda _: None):
        running = rxtune("status", "rs").output
    assert running.startswith("rs, on babel, is running\n")
    assert "2 running" in running
    assert "last heard of 0:0" in running
    assert "--resume" not in running


def test_a_search_that_ended_early_says_why_and_how_to_go_on(
    rxtune: Run, search: Callable[..., Simulated]
) -> None:
    run = search(3, "elsewhere", running=[2])
    with SearchStudy.open(run.folder.journal, sync=lambda _: None) as decisions:
        why = "ended: the time budget of 2h is used up"
        decisions.fail(2, why, Failure.INTERRUPTED)
    output = rxtune("status", "rs", "--runs", "elsewhere").output
    head = "rs, on babel, has ended early, after 2 of 6 trials: the time budget of 2h is used up"
    assert output.startswith(f"{head}\n")
    assert output.endswith("To go on:\n  rxtune search --name rs --runs elsewhere --resume\n")


def test_an_unknown_run_is_refused_with_the_nearest_name(
    rxtune: Run, search: Callable[..., Simulated]
) -> None:
    search(1)
    ended = rxtune("status", "rss")
    assert (ended.code, ended.output) == (2, "")
    assert "no run 'rss'" in ended.errors
    assert rxtune("status", "rss", "--watch").code == 2


def test_a_look_changes_nothing(
    rxtune: Run, search: Callable[..., Simulated], folder: Path
) -> None:
    journal = search(3, running=[2]).folder.journal
    with journal.open("ab") as file:
        file.write(b'{"torn')  # what a driver is writing just now
    before = journal.read_bytes()
    assert rxtune("status", "rs").code == 0
    assert journal.read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["encoder", "runs", "space.yaml"]


# --- following


@pytest.fixture
def driver(search: Callable[..., Simulated]) -> Iterator[Any]:
    """A driver of a search of six trials, three of which have ended."""
    run = search(3)
    with run.folder.held(), SearchStudy.open(run.folder.journal, sync=lambda _: None) as study:
        yield run, study


class Looks:
    """Reads a run, and lets something happen before each look after the first."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps = list(steps)

    def __call__(self) -> api.Status:
        found = api.status("rs")
        if self._steps:
            self._steps.pop(0)()
        return found


def nothing() -> None:
    """Happens between two looks."""


def test_following_shows_what_happens_until_the_driver_has_left(
    search: Callable[..., Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REFRESH_SECONDS", 0.001)
    run = search(3)
    driver = SearchStudy.open(run.folder.journal, sync=lambda _: None)

    def trains() -> None:
        trial = driver.ask()
        assert trial is not None
        driver.fail(trial.number, "diverged: loss is nan", Failure.DIVERGED)

    console = Console(record=True, width=200, force_terminal=False)
    elsewhere.follow(Looks(nothing, trains, trains, driver.close), console)
    lines = console.export_text().splitlines()
    assert [line.partition(" s  ")[2].split()[:3] for line in lines] == [
        ["4/6", "trial", "3"],
        ["5/6", "trial", "4"],
    ]


def test_following_in_a_terminal_shows_the_table_and_takes_it_away_again(
    search: Callable[..., Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REFRESH_SECONDS", 0.001)
    run = search(4, running=[3])
    driver = SearchStudy.open(run.folder.journal, sync=lambda _: None)
    terminal, shown = Terminal(120, 20), []
    looks = Looks(nothing, nothing, lambda: shown.extend(terminal.shown), driver.close)
    elsewhere.follow(looks, terminal.console)
    assert shown[0].split()[:2] == ["trial", "method"]
    assert "running" in shown[4]
    assert terminal.shown == []


def test_ctrl_c_ends_the_looking_and_shows_where_the_search_is(
    rxtune: Run, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(elsewhere, "show", interrupt)
    ended = rxtune("status", "rs", "--watch")
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output.startswith("rs, on babel, is running\n")


def test_a_search_that_is_being_started_is_waited_for(
    rxtune: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = iter([True, True, False])
    monkeypatch.setattr(api, "is_starting", lambda *_: next(starting, False))
    ended = rxtune("status", "rs", "--watch")
    assert "rs is being started; waiting for its first trial\n" in ended.errors
    assert "no run 'rs'" in ended.errors  # its start has failed
    assert ended.code == 2


def test_a_followed_search_is_told_as_json_when_it_has_ended(
    rxtune: Run, search: Callable[..., Simulated]
) -> None:
    search(6)
    ended = rxtune("status", "rs", "--watch", "--json")
    assert json.loads(ended.output)["state"] == "ended"


# --- in a process of its own


def test_a_real_driver_that_is_killed_leaves_a_run_that_has_broken_off(folder: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from rxtune.config import load_study\n"
        "from rxtune.search.decisions import SearchStudy\n"
        "from rxtune.search.run_folder import RunFolder, RunPlaces\n"
        "run, study = RunFolder.new(Path('runs'), 'rs'), load_study('space.yaml')\n"
        "with run.held():\n"
        "    run.create(study.to_yaml(), RunPlaces(search_id='x', tracking_uri='', storage=''))\n"
        "    with SearchStudy.create(run.journal, study) as decisions:\n"
        "        decisions.ask()\n"
        "        print('runs', flush=True)\n"
        "        time.sleep(600)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(api.__file__).parents[2])}
    driver = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, env=environment, stdout=subprocess.PIPE
    )
    assert driver.stdout is not None
    try:
        assert driver.stdout.readline() == b"runs\n"
        assert api.status("rs").state == "running"
    finally:
        driver.kill()
        driver.communicate()
    assert api.status("rs").state == "broken off"
