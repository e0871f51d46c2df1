"""The search while it runs, in a terminal and elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import Console

from rxtune.cli.live import watch, watching, words
from rxtune.config import Configuration
from rxtune.errors import DiskFullError
from rxtune.results import Failure, Replicate, TrialRecord
from tests.cli.terminal import Terminal

Make = Callable[..., Any]
ROBUST = Configuration(method="rs_rp", sigma=0.8, learning_rate=1.5)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "REFRESH_SECONDS", 0.001)


@pytest.fixture
def console() -> Console:
    """A wide console that is no terminal and keeps what is printed."""
    return Console(record=True, width=200, force_terminal=False, highlight=False)


class Trials:
    """Trials that change while somebody looks."""

    def __init__(self, *records: TrialRecord) -> None:
        self._records = list(records)
        self._seen = threading.Event()

    def __call__(self) -> list[TrialRecord]:
        self._seen.set()
        return list(self._records)

    def become(self, *records: TrialRecord) -> None:
        """Replace the trials once somebody has seen them as they are, and let it be seen."""
        self.is_seen()
        self._records[:] = records
        self.is_seen()

    def is_seen(self) -> None:
        for _ in range(2):  # the look that was going on may have begun before
            self._seen.clear()
            assert self._seen.wait(60)


# --- without a terminal


def test_each_trial_that_ends_while_one_looks_gets_one_line(
    console: Console, view: Make, record: Make
) -> None:
    trials = Trials(record(0, "finished", 0.5), record(1, "running"))
    why = "stopped at evaluation 1 of 6: dev score 0.4, needed 0.5 (asha)"
    with watching(view(records=trials, began=time.monotonic()), console):
        trials.become(
            record(0, "finished", 0.5),
            record(1, "stopped", 0.4, configuration=ROBUST, reason=why),
            record(2, "failed", 0.3, reason="diverged: loss is nan", ended=1.8e9),
        )
    lines = console.export_text().splitlines()
    assert lines[0] == "1 of 6 trials have ended already"
    assert [line.partition(" s  ")[2] for line in lines[1:]] == [
        "2/6  trial 1 rs_rp sigma 0.8 lr 1.5: stopped after 1/6, dev 40.0, needed 50.0 (asha);"
        " best 50.0 (trial 0)",
        "3/6  trial 2 standard lr 1: failed (diverged: loss is nan) after 1/6, dev 30.0;"
        " best 50.0 (trial 0)",
    ]


def test_the_best_trial_stands_beside_the_baseline_in_every_line(
    console: Console, view: Make, record: Make
) -> None:
    trials = Trials(record(0, "finished", 0.5), record(1, "running"))
    with watching(view(records=trials), console):
        trials.become(record(0, "finished", 0.5), record(1, "finished", 0.6))
    assert console.export_text().endswith(
        ": finished after 1/6, dev 60.0; best 60.0 (trial 1), baseline 50.0\n"
    )


def test_brackets_in_a_reason_are_printed_as_they_are(
    console: Console, view: Make, record: Make
) -> None:
    trials = Trials(record(0, "running"))
    with watching(view(records=trials), console):
        trials.become(record(0, "failed", reason="OSError: [enforce fail] at [/dev/x]"))
    assert "failed (OSError: [enforce fail] at [/dev/x])" in console.export_text()


def test_what_a_crash_had_left_is_said_at_the_start(console: Console, view: Make) -> None:
    with watching(view(recovered="removed 7 bytes of [journal]"), console):
        pass
    assert console.export_text().startswith("removed 7 bytes of [journal]\n")


def test_a_resume_with_nothing_left_to_run_says_so_and_how_to_add_trials(
    console: Console, view: Make, record: Make
) -> None:
    with watching(view(*(record(number, "finished") for number in range(6))), console):
        pass
    assert console.export_text().splitlines() == [
        "6 of 6 trials have ended already; more are added with --resume --trials 12"
    ]
    with watching(view(), console):
        pass
    assert console.export_text() == ""


def test_a_trial_that_broke_off_and_one_that_was_cut_off_are_told_as_such(
    console: Console, view: Make, record: Make
) -> None:
    trials = Trials(record(0, "running"), record(1, "running"))
    why = "ended: the time budget of 2h is used up"
    with watching(view(records=trials, began=time.monotonic()), console):
        trials.become(
            record(0, "running", losses=1),
            record(1, "failed", failure=Failure.INTERRUPTED, reason=why),
        )
    lines = console.export_text().splitlines()
    on = "broke off (time 1), goes on from its last checkpoint on another worker"
    assert lines[0].endswith(f"0/6  trial 0 standard lr 1: {on}")
    assert f"0/6  trial 1 standard lr 1: cut off ({why}) after 1/6, dev 50.0" in lines[1]


def test_a_worker_of_which_nothing_is_heard_for_long_is_told_of_once(
    console: Console, view: Make, record: Make
) -> None:
    trials = Trials(record(0, "finished"), record(1, "running"))
    with watching(view(records=trials, began=time.monotonic() - 360), console):
        trials.is_seen()
        trials.is_seen()
    (line,) = console.export_text().splitlines()[1:]  # the first says what has ended already
    assert "trial 1 standard lr 1: nothing heard of it for 6:00; if its worker hangs" in line


# --- in a terminal


@pytest.fixture
def four(record: Make) -> list[TrialRecord]:
    return [
        record(0, "finished", 0.5),
        record(1, "finished", 0.6, configuration=ROBUST),
        record(2, "stopped", 0.2),
        record(3, "running", evaluations=()),
    ]


def test_a_terminal_shows_the_trials_and_how_the_search_stands(
    view: Make, four: list[TrialRecord]
) -> None:
    terminal, trials = Terminal(120, 40), Trials(*four)
    with watching(view(records=trials, began=time.monotonic()), terminal.console):
        trials.is_seen()
        shown = list(terminal.shown)
    assert shown[0] == "3 of 6 trials have ended already"
    assert [line.split()[:2] for line in shown[1:6]] == [
        ["trial", "method"],
        ["0", "baseline"],
        ["1", "rs_rp"],
        ["2", "standard"],
        ["3", "standard"],
    ]
    assert "60.0 ★" in shown[3]
    assert shown[7] == "best 60.0 (trial 1, rs_rp) · baseline 50.0 · +10.0 points"
    assert shown[8] == "3/6 trials ended · 2 finished · 1 stopped early · 1 of 2 workers busy"
    assert shown[9].startswith("0:00 gone · about 0:")
    assert shown[9].endswith(" left · cost 3.0 plain trainings, 300 forward passes")


def test_when_it_is_over_all_trials_stay_on_the_terminal_and_nothing_else(
    view: Make, record: Make
) -> None:
    terminal = Terminal(120, 12)
    terminal.console.print("Searching rs")
    trials = Trials(*(record(number, "finished") for number in range(4)))
    with watching(view(records=trials, began=time.monotonic()), terminal.console):
        trials.is_seen()
    assert terminal.shown[0] == "Searching rs"
    assert [line.split()[0] for line in terminal.shown[2:7]] == ["trial", "0", "1", "2", "3"]
    assert "workers busy" not in " ".join(terminal.shown)  # it is over
    assert " left" not in terminal.shown[-1]
    assert len(terminal.shown) == 11


def test_a_dumb_terminal_gets_lines(
    view: Make, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal, trials = Terminal(200, 12), Trials(record(0, "running"))
    with watching(view(records=trials), terminal.console):
        trials.become(record(0, "finished"))
    assert "\x1b" not in terminal.written
    assert "1/6  trial 0 standard lr 1: finished after 1/6, dev 50.0" in terminal.written


def test_a_loss_that_ends_a_trial_is_told_as_its_end_alone(
    console: Console, view: Make, record: Make
) -> None:
    trials = Trials(record(0, "running", losses=2))
    why = "worker lost: the process died"
    with watching(view(records=trials, began=time.monotonic()), console):
        trials.become(record(0, "failed", failure=Failure.WORKER_LOST, reason=why, losses=3))
    (line,) = console.export_text().splitlines()
    assert "goes on" not in line
    assert why in line


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_journal_that_fails_is_told_by_the_search_alone(view: Make, record: Make) -> None:
    terminal, trials = Terminal(120, 12), Trials(record(0, "running"))
    broken, failed = threading.Event(), threading.Event()

    def records() -> list[TrialRecord]:
        if broken.is_set():
            failed.set()
            raise DiskFullError("journal.log: the disk is full")
        return trials()

    def search() -> None:
        with watching(view(records=records), terminal.console):
            trials.is_seen()
            broken.set()
            assert failed.wait(60)
            raise RuntimeError("the search says why")

    with pytest.raises(RuntimeError, match="the search says why"):
        search()


def test_a_search_that_fails_leaves_the_terminal_as_it_was(view: Make, record: Make) -> None:
    terminal = Terminal(120, 12)

    def search() -> Iterator[None]:
        trials = Trials(record(0, "running"))
        with watching(view(records=trials), terminal.console):
            trials.is_seen()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search()
    assert not terminal.cursor.hidden


# --- a trial in words


def test_a_trial_is_described_by_what_its_method_reads(record: Make) -> None:
    attack = Configuration(method="adv", radius=0.0123, pgd_steps=2, learning_rate=0.5)
    described = words.describe(record(0, "running", configuration=attack))
    assert described == "adv radius 0.0123 K 2 lr 0.5"
    replaced = Configuration(method="rs_da", replace_probability=0.5)
    assert words.describe(record(0, "running", configuration=replaced)) == "rs_da q 0.5 lr 1"
    assert words.describe(record(0, "running")) == "standard lr 1"
    short = words.parameters(record(0, "running", configuration=attack), short=True)
    assert short == "rad .012 K 2 lr .5"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"failure": Failure.DIVERGED}, "diverged"),
        ({"failure": Failure.OUT_OF_MEMORY}, "out of memory"),
        ({"failure": Failure.WORKER_LOST}, "worker lost"),
        ({"failure": Failure.INTERRUPTED}, "cut off"),
        ({"failure": Failure.ERROR}, "failed"),
        ({}, "failed"),
    ],
)
def test_the_table_names_the_kind_of_a_failure(
    record: Make, changes: dict[str, Any], word: str
) -> None:
    assert words.state(record(1, "failed", **changes)) == word
    assert words.state(record(1, "running", losses=2)) == "running, 2 lost"
    assert words.state(record(1, "running"), is_alive=False) == "broken off"


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        ("running", {}, ""),
        ("running", {"losses": 1}, "broke off (time 1), goes on from its last checkpoint on"),
        ("stopped", {"reason": "stopped at evaluation 2 of 6: too low (asha)"}, "too low (asha)"),
        ("stopped", {"reason": "too low"}, "too low"),
        (
            "stopped",
            {"reason": "stopped at evaluation 2 of 6: dev score 0.402, needed 0.5004 (asha)"},
            "needed 50.04 (asha)",
        ),
        (
            "stopped",
            {"reason": "x: best dev score so far 0.4, needed the median of 0.4 (median)"},
            "needed the median of 40.0 (median)",
        ),
        (
            "stopped",
            {"reason": "x: mean 0.4, compute 3000; 2 of 5 others there better in all (asha)"},
            "mean 0.4, compute 3000; 2 of 5 others there better in all (asha)",
        ),
        (
            "failed",
            {"reason": "diverged: loss is nan", "failure": Failure.DIVERGED},
            "loss is nan",
        ),
        ("failed", {"reason": "OSError: two\n lines"}, "OSError: two lines"),
        ("finished", {}, ""),
    ],
)
def test_a_reason_repeats_nothing_that_stands_beside_it(
    record: Make, state: str, changes: dict[str, Any], reason: str
) -> None:
    found = words.reason(record(1, state, **changes))
    assert found.startswith(reason)
    assert bool(found) is bool(reason)


def test_a_score_over_several_seeds_says_how_many(record: Make) -> None:
    result = record(0, "finished").zero_shot
    seeds = tuple(Replicate(seed=s, value=0.4 + s / 10, zero_shot=result) for s in range(3))
    assert words.dev_score(record(0, "finished", replicates=seeds)) == "50.0 (3 seeds)"
    assert words.dev_score(record(0, "finished", replicates=seeds[:1])) == "40.0"
