"""The search while it runs, in a terminal and elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from rxtune.cli import live
from rxtune.cli.live import best_of, describe, seconds_left, watching
from rxtune.config import Configuration
from rxtune.results import Failure, Replicate

Make = Callable[..., Any]
ROBUST = Configuration(method="rs_rp", sigma=0.8, learning_rate=1.5)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A wide console that is no terminal and keeps what is printed."""
    console = Console(record=True, width=200, force_terminal=False, highlight=False)
    monkeypatch.setattr(live, "output", console)
    monkeypatch.setattr(live, "REFRESH_SECONDS", 0.001)
    return console


def test_each_trial_that_ends_while_one_looks_gets_one_line(
    console: Console, view: Make, record: Make
) -> None:
    records = [record(0, "finished", 0.5), record(1, "running")]
    with watching(view(records=lambda: list(records), began=time.monotonic())):
        records[1] = record(1, "stopped", 0.4, configuration=ROBUST)
        records.append(record(2, "failed", 0.3, reason="diverged: loss is nan"))
    lines = console.export_text().splitlines()
    assert lines[0] == "1 of 6 trials have ended already"
    assert len(lines) <= 4  # trial 0 had ended before, unless the spectator came late
    assert (
        "2/6  trial 1 rs_rp lr 1.5 sigma 0.8: stopped after 1/6, dev 40.0; best 50.0 (trial 0)"
        in (lines[-2])
    )
    assert lines[-1].endswith(
        "3/6  trial 2 standard lr 1: failed (diverged: loss is nan) after 1/6, dev 30.0;"
        " best 50.0 (trial 0)"
    )


def test_brackets_in_a_reason_are_printed_as_they_are(
    console: Console, view: Make, record: Make
) -> None:
    records = [record(0, "running")]
    with watching(view(records=lambda: list(records))):
        records[0] = record(0, "failed", reason="OSError: [enforce fail] at [/dev/x]")
    assert "failed (OSError: [enforce fail] at [/dev/x])" in console.export_text()


def test_what_a_crash_had_left_is_said_at_the_start(console: Console, view: Make) -> None:
    with watching(view(recovered="removed 7 bytes of [journal]")):
        pass
    assert console.export_text().startswith("removed 7 bytes of [journal]\n")


def test_a_resume_with_nothing_left_to_run_says_so_and_how_to_add_trials(
    console: Console, view: Make, record: Make
) -> None:
    with watching(view(*(record(number, "finished") for number in range(6)))):
        pass
    assert console.export_text().splitlines() == [
        "6 of 6 trials have ended already; more are added with --resume --trials 12"
    ]
    with watching(view()):
        pass
    assert console.export_text() == ""


def test_a_terminal_shows_all_trials_and_how_the_search_stands(
    monkeypatch: pytest.MonkeyPatch, view: Make, record: Make
) -> None:
    console = Console(record=True, width=120, height=40, force_terminal=True)
    monkeypatch.setattr(live, "output", console)
    monkeypatch.setattr(live, "REFRESH_SECONDS", 0.001)
    trials = [
        record(0, "finished", 0.5),
        record(1, "finished", 0.6, configuration=ROBUST),
        record(2, "stopped", 0.2),
        record(3, "running", evaluations=()),
    ]
    with watching(view(*trials, began=time.monotonic())):
        pass
    last = console.export_text()[-1200:]
    for words in (
        "standard (baseline)",
        "60.0 ★",
        "3/6 trials ended · 1 stopped early · best 60.0 (trial 1) · baseline 50.0",
    ):
        assert words in last
    assert " left" not in last.splitlines()[-1]  # it is over


def test_a_low_terminal_keeps_the_running_the_best_and_the_baseline(
    view: Make, record: Make
) -> None:
    trials = [record(number, "finished", 0.5 if number != 7 else 0.9) for number in range(30)]
    trials.append(record(30, "running"))
    console = Console(record=True, width=120, force_terminal=False)
    console.print(live._screen(view(*trials, began=time.monotonic()), height=10))
    lines = console.export_text().splitlines()
    assert len(lines) <= 10
    assert [line.split()[0] for line in lines[1:-2]] == ["0", "7", "27", "28", "29", "30"]
    assert "… and 25 more" in lines[-2]


def test_the_best_trial_is_a_finished_one_and_the_one_the_report_names(record: Make) -> None:
    assert best_of([]) is None
    assert best_of([record(0, "running", 0.9), record(1, "stopped", 0.9)]) is None
    robust, plain = record(0, "finished", 0.6, configuration=ROBUST), record(1, "finished", 0.6)
    assert best_of([robust, plain]) is plain
    assert best_of([record(0, "finished", 0.0)]) is not None


def test_the_time_left_is_that_of_the_trials_to_come_at_the_speed_so_far(
    view: Make, record: Make
) -> None:
    ended = [record(0, "finished"), record(1, "stopped")]  # 10 s each
    assert seconds_left(view(), []) is None
    assert seconds_left(view(), ended) == pytest.approx(4 * 10 / 2)  # of 6 trials, two at a time
    running = record(2, "running", started=time.time() - 4)
    assert seconds_left(view(), [*ended, running]) == pytest.approx((3 * 10 + 6) / 2, abs=1)
    late = record(2, "running", started=time.time() - 400)
    assert seconds_left(view(), [*ended, late]) == pytest.approx(3 * 10 / 2)


def test_a_trial_is_described_by_what_its_method_reads(record: Make) -> None:
    attack = Configuration(method="adv", radius=0.0123, pgd_steps=2, learning_rate=0.5)
    assert describe(record(0, "running", configuration=attack)) == "adv lr 0.5 radius 0.0123 K 2"
    words = Configuration(method="rs_da", replace_probability=0.5)
    assert describe(record(0, "running", configuration=words)) == "rs_da lr 1 q 0.5"
    assert describe(record(0, "running")) == "standard lr 1"


def study_with(view: Make, **limits: Any) -> Any:
    study = view().study
    search = type(study.search)(**{**study.search.model_dump(mode="json"), **limits})
    return study.model_copy(update={"search": search})


def test_a_trial_that_broke_off_and_one_that_was_cut_off_are_told_as_such(
    console: Console, view: Make, record: Make
) -> None:
    records = [record(0, "running"), record(1, "running")]
    with watching(view(records=lambda: list(records), began=time.monotonic())):
        records[0] = record(0, "running", losses=1)
        why = "ended: the time budget of 2h is used up"
        records[1] = record(1, "failed", failure=Failure.INTERRUPTED, reason=why)
    lines = console.export_text().splitlines()
    on = "broke off (time 1), goes on from its last checkpoint on another worker"
    assert lines[0].endswith(f"0/6  trial 0 standard lr 1: {on}")
    assert f"0/6  trial 1 standard lr 1: cut off ({why}) after 1/6, dev 50.0" in lines[1]


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
    assert live._state(record(1, "failed", **changes)) == word
    assert live._state(record(1, "running", losses=2)) == "running, 2 lost"


def test_a_score_over_several_seeds_says_how_many(
    console: Console, view: Make, record: Make
) -> None:
    result = record(0, "finished").zero_shot
    seeds = tuple(Replicate(seed=s, value=0.4 + s / 10, zero_shot=result) for s in range(3))
    assert live._dev(record(0, "finished", replicates=seeds)) == "50.0 (3 seeds)"
    assert live._dev(record(0, "finished", replicates=seeds[:1])) == "40.0"


def test_the_status_counts_failures_by_kind_and_shows_how_far_the_budgets_are(
    view: Make, record: Make
) -> None:
    trials = [
        record(0, "finished"),
        record(1, "failed", failure=Failure.DIVERGED),
        record(2, "failed", failure=Failure.DIVERGED),
        record(3, "failed", failure=Failure.OUT_OF_MEMORY),
        record(4, "failed", failure=Failure.INTERRUPTED),
    ]  # 100 forward passes each
    study = study_with(view, time_budget="2h", compute_budget=2000)
    status = live._status(view(*trials, study=study, began=time.monotonic()), trials)
    assert status.startswith("4/6 trials ended · 3 failed: 2 diverged, 1 out of memory · best")
    assert "0:00 of 2:00:00 gone · 25 % of compute 2000" in status


def test_no_more_time_is_left_than_the_budget_has(view: Make, record: Make) -> None:
    trials = [record(0, "finished")]  # 10 s, so 25 s for the others, two at a time
    status = live._status(
        view(*trials, study=study_with(view, time_budget="5s"), began=time.monotonic()), trials
    )
    assert status.endswith("about 0:05 left")


def test_a_worker_of_which_nothing_is_heard_for_long_is_told_of(
    console: Console, view: Make, record: Make
) -> None:
    ended = record(0, "finished")  # 3 s to its evaluation
    hangs = record(1, "running")
    began = time.monotonic() - live.SILENT_SECONDS
    assert live.silent(view(began=began + 60), [ended, hangs]) == []
    ((found, seconds),) = live.silent(view(began=began - 60), [ended, hangs])
    assert (found, round(seconds)) == (hangs, 360)
    assert live.silent(view(began=began - 60), [record(1, "running", evaluations=())]) == []
    with watching(view(ended, hangs, began=began - 60)):
        pass
    (line,) = console.export_text().splitlines()[1:]  # the first says what has ended already
    assert "trial 1 standard lr 1: nothing heard of it for 6:00; if its worker hangs" in line


def test_a_slow_trial_is_not_taken_for_one_that_hangs(view: Make, record: Make) -> None:
    slow = record(0, "finished").evaluations[0]
    ended = record(0, "finished", evaluations=(replace(slow, seconds=600.0),))
    began = time.monotonic() - 5000
    assert live.silent(view(began=began), [ended, record(1, "running")]) == []
    assert live.silent(view(began=began - 2000), [ended, record(1, "running")])
