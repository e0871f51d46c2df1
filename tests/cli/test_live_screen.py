"""The screen of a search, on terminals of all sizes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from rxtune.api.progress import Tally
from rxtune.cli.live.screen import Frame, flow, rows_that_fit, screen
from rxtune.cli.live.sight import own_search
from rxtune.cli.live.sparkline import LEVELS, LONGEST, sampled, sparkline
from rxtune.cli.live.watch import drawn
from rxtune.config import Configuration
from rxtune.results import Failure, TrialRecord
from tests.cli.terminal import Terminal

Make = Callable[..., Any]
FULL = Configuration(method="smooth_adv", sigma=0.548, radius=0.00657, pgd_steps=3)


@pytest.fixture
def trials(record: Make) -> list[TrialRecord]:
    """A trial in every state; all that have a reason have a long one."""
    long = "something that goes on and on until no terminal of a usual width has room for it " * 3
    return [
        record(0, "finished", 0.5),
        record(1, "finished", 0.6, configuration=FULL),
        record(2, "stopped", 0.4, reason=f"stopped at evaluation 2 of 6: {long}"),
        record(3, "failed", 0.3, reason=long, failure=Failure.OUT_OF_MEMORY, ended=1.8e9),
        record(4, "running", configuration=FULL),
        record(5, "running", evaluations=()),
    ]


@pytest.fixture
def shown(view: Make) -> Callable[..., list[str]]:
    """Return a function that returns the screen of a search that runs, as lines."""

    def lines(
        records: list[TrialRecord], width: int = 120, height: int | None = None, **changes: Any
    ) -> list[str]:
        seen = own_search(view(*records, began=time.monotonic(), **changes))()
        terminal = Terminal(width + 1, 50)
        return [line.plain for line in drawn(seen, terminal.console, height=height)]

    return lines


@pytest.mark.parametrize("width", [1, 5, 20, 30, 40, 54, 66, 79, 80, 100, 109, 110, 160, 250])
@pytest.mark.parametrize("height", [1, 2, 5, 8, 24, 60])
def test_the_screen_fits_every_terminal(
    shown: Callable[..., list[str]], trials: list[TrialRecord], width: int, height: int
) -> None:
    lines = shown(trials, width, height)
    assert 1 <= len(lines) <= max(1, height - 1)
    if width >= 30:
        table = [line for line in lines if line.strip()[:1].isdigit() and "/6" in line[:60]]
        assert max((cell_len(line) for line in table), default=0) <= width


def test_a_usual_terminal_shows_all_of_a_trial_but_cuts_no_parameter_off(
    shown: Callable[..., list[str]], trials: list[TrialRecord]
) -> None:
    header, *rows = shown(trials, 79, 24)[:7]
    columns = ["trial", "method", "parameters", "state", "evals", "rung", "curve", "dev"]
    assert header.split() == columns
    assert "sig .55 rad .0066 K 3 lr 1" in rows[1]
    assert "60.0 ★" in rows[1]
    assert [row.split()[1] for row in rows[:2]] == ["baseline", "smooth_adv"]


def test_a_wide_terminal_says_beside_every_trial_why_it_ended(
    shown: Callable[..., list[str]], trials: list[TrialRecord]
) -> None:
    lines = shown(trials, 160, 24)
    assert lines[0].split()[-1] == "why"
    assert "stopped" in lines[3]
    assert "something that goes on" in lines[3]
    assert lines[3].endswith("…")
    assert not any(line.startswith("trial 3 ") for line in lines)


def test_a_narrow_one_says_it_below_the_table_the_latest_last(
    shown: Callable[..., list[str]], trials: list[TrialRecord]
) -> None:
    lines = shown(trials, 79, 24)
    assert lines[-2].startswith("trial 2 stopped: something that goes on")
    assert lines[-1].startswith("trial 3 out of memory: something that goes on")
    assert "trial 2 stopped" not in " ".join(shown(trials, 79, 10))  # the rows go first


def test_where_no_time_is_left_nothing_is_cut_off_at_the_end(
    shown: Callable[..., list[str]], record: Make
) -> None:
    many = [record(n, "failed", reason=f"reason {n}", ended=1.7e9 + n) for n in range(15)]
    lines = shown(many, 79)
    assert sum(line.startswith("trial ") for line in lines) == 1 + 10
    assert "… and 5 reasons more" in lines


def test_a_low_terminal_keeps_the_best_the_baseline_and_what_runs(
    view: Make, record: Make
) -> None:
    trials = [record(number, "finished", 0.5 if number != 7 else 0.9) for number in range(30)]
    trials += [record(number, "running") for number in (30, 31)]
    progress = Tally(view().study).look(trials, workers=2, now=1.7e9)

    def numbers(room: int | None) -> list[int]:
        return [record.number for record in rows_that_fit(progress, room)]

    assert numbers(None) == list(range(32))
    assert numbers(6) == [0, 7, 28, 29, 30, 31]
    assert numbers(4) == [0, 7, 30, 31]
    assert numbers(2) == [0, 7]
    lines = [line.plain for line in screen(progress, Frame(width=120, height=12))]
    assert "… and 27 more" in lines
    lines = [line.plain for line in screen(progress, Frame(width=120, height=9))]
    assert "… and 30 more, 2 of them running" in lines


def test_the_rung_is_shown_where_there_are_rungs(
    shown: Callable[..., list[str]], record: Make, view: Make
) -> None:
    three = record(0, "running").evaluations * 3
    (row,) = shown([record(0, "running", evaluations=three)])[1:2]
    assert row.split()[4:7] == ["running", "3/6", "2"]
    study = view().study
    none = study.model_copy(update={"stopping": type(study.stopping).model_validate("none")})
    header, row = shown([record(0, "running")], study=none)[:2]
    assert "rung" not in header


def test_the_counts_name_failures_by_kind_and_the_budgets_how_far_they_are(
    shown: Callable[..., list[str]], record: Make, view: Make
) -> None:
    trials = [
        record(0, "finished"),
        record(1, "failed", failure=Failure.DIVERGED),
        record(2, "failed", failure=Failure.DIVERGED),
        record(3, "failed", failure=Failure.OUT_OF_MEMORY),
        record(4, "failed", failure=Failure.INTERRUPTED),
    ]  # 100 forward passes each
    study = view().study
    limits = {"time_budget": "2h", "compute_budget": 2000}
    search = type(study.search)(**{**study.search.model_dump(mode="json"), **limits})
    budgets = view().limits
    lines = shown(
        trials,
        study=study.model_copy(update={"search": search}),
        limits=replace(budgets, search=search),
    )
    failed = "3 failed: 2 diverged, 1 out of memory"
    assert f"4/6 trials ended · 1 finished · 1 cut off · {failed} · 0 of 2 workers busy" in lines
    (times,) = [line for line in lines if "gone" in line]
    assert times.startswith("0:00 of 2:00:00 gone · about ")
    assert times.endswith(" · 25 % of compute 2000")


def test_no_more_time_is_left_than_the_budget_has(
    shown: Callable[..., list[str]], record: Make, view: Make
) -> None:
    limits = view().limits
    search = type(limits.search)(**{**limits.search.model_dump(mode="json"), "time_budget": "5s"})
    study = view().study.model_copy(update={"search": search})
    lines = shown([record(0, "finished")], study=study, limits=replace(limits, search=search))
    assert "about 0:05 left" in " ".join(lines)


def test_parts_are_not_broken_over_lines() -> None:
    assert flow(["one", "two", "three"], 9) == ["one · two", "three"]
    assert flow(["longer than that"], 5) == ["longer than that"]
    assert flow([], 5) == []


# --- the curve


def test_a_curve_goes_from_the_lowest_bar_to_the_highest() -> None:
    eighths = [n / 8 for n in range(8)]
    assert sparkline(eighths, 0.0, 1.0) == LEVELS
    assert sparkline([0.0, 1.0, 2.0, -1.0], 0.0, 1.0) == "▁██▁"
    assert sparkline([0.5, float("nan"), 0.5], 0.5, 0.5) == "▅ ▅"
    assert sparkline([], 0.0, 1.0) == ""


def test_of_more_evaluations_than_there_is_room_for_the_last_is_shown() -> None:
    assert sampled([1.0, 2.0], 6) == [1.0, 2.0]
    values = [float(n) for n in range(1, 31)]
    found = sampled(values, 30)
    assert (len(found), found[-1]) == (LONGEST, 30.0)
    assert found == sorted(found)
    assert sampled(values[:3], 30) == [2.0]
