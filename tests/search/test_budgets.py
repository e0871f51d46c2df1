"""When a search ends before its trials are used up; a function of its records and the clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import Configuration, SearchSettings
from rxtune.results import Evaluation, Failure, Replicate, TrialRecord, TrialState, ZeroShot
from rxtune.search.budgets import (
    Limits,
    has_plateau,
    is_cut,
    reason_to_end,
    spent,
)

EVALUATIONS = 4
RESULT = ZeroShot(accuracy={"eng": 0.9, "qaa": 0.5}, source_language="eng", dev_languages=("qaa",))


def limits(*objectives: Any, devices: float = 1.0, examples: int = 1000, **search: Any) -> Limits:
    return Limits(
        search=SearchSettings(**search),
        objectives=objectives or ("mean",),
        evaluations=EVALUATIONS,
        devices=devices,
        examples=examples,
    )


def record(
    number: int,
    value: float = 0.5,
    *others: float,
    state: TrialState = TrialState.FINISHED,
    done: int = EVALUATIONS,
    **changes: Any,
) -> TrialRecord:
    evaluations = tuple(
        Evaluation(
            number=step,
            updates=10 * step,
            value=value,
            accuracy={"qaa": value},
            objectives=(value, *others) if others else (),
            train_loss=1.0,
            forward_equivalents=100.0 * step,
            seconds=900.0 * step,
            time=0.0,
        )
        for step in range(1, done + 1)
    )
    fields: dict[str, Any] = {
        "number": number,
        "configuration": Configuration(),
        "state": state,
        "evaluations": evaluations,
        "ended": None if state is TrialState.RUNNING else float(number),
    }
    return TrialRecord(**{**fields, **changes})


def finished(values: Sequence[float]) -> list[TrialRecord]:
    return [record(number, value) for number, value in enumerate(values)]


# --- time and compute


@given(st.floats(0.1, 1e6), st.floats(0, 2e6))
def test_the_time_budget_ends_a_search_exactly_when_it_is_used_up(
    budget: float, elapsed: float
) -> None:
    ending = reason_to_end(limits(time_budget=f"{budget:.3f}s"), [], elapsed)
    assert (ending is not None) == (elapsed >= float(f"{budget:.3f}"))


def test_a_search_without_limits_never_ends_itself() -> None:
    assert reason_to_end(limits(), finished([0.5] * 50), 1e9) is None


@given(st.lists(st.integers(0, EVALUATIONS), max_size=12), st.integers(1, 5000))
def test_compute_is_what_all_trials_have_reported_and_ends_the_search_when_reached(
    done: list[int], budget: int
) -> None:
    states = [TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED, TrialState.RUNNING]
    records = [
        record(number, done=count, state=states[number % 4]) for number, count in enumerate(done)
    ]
    given_limits = limits(compute_budget=budget)
    assert spent(given_limits, "forward_equivalents", records) == 100.0 * sum(done)
    ending = reason_to_end(given_limits, records, 0.0)
    assert (ending is not None) == (100.0 * sum(done) >= budget)


def test_hours_are_of_a_device_so_a_trial_on_a_share_of_one_counts_its_share() -> None:
    trials = [record(0), record(1)]  # an hour each
    assert spent(limits(), "hours", trials) == 2.0
    assert spent(limits(devices=0.25), "hours", trials) == 0.5
    assert spent(limits(devices=4.0), "hours", trials) == 8.0


def test_a_trial_on_three_seeds_costs_three_times_as_much() -> None:
    seeds = tuple(Replicate(seed=seed, value=0.5, zero_shot=RESULT) for seed in range(3))
    assert spent(limits(), "forward_equivalents", [record(0, replicates=seeds)]) == 1200.0


def test_the_reason_names_the_budget_as_it_was_given() -> None:
    for given_limits, reason in (
        (limits(time_budget="2h"), "ended: the time budget of 2h is used up"),
        (limits(compute_budget="1h"), "ended: the compute budget of 1h is used up"),
        (limits(compute_budget="3e2"), "ended: the compute budget of 300 is used up"),
        (limits(plateau=2), "ended: the plateau of 2 trials is used up"),
    ):
        ending = reason_to_end(given_limits, finished([0.5] * 3), 7200.0)
        assert ending is not None
        assert ending.reason == reason


@pytest.mark.parametrize(
    ("amount", "text"),
    [("40h", "40h"), ("3e9", "3e9"), ("1.5e12", "1.5e12"), ("90m", "1.5h"), (250, "250")],
)
def test_an_amount_of_compute_is_written_as_people_write_it(amount: Any, text: str) -> None:
    budget = SearchSettings(compute_budget=amount).compute_budget
    assert budget is not None
    assert str(budget) == text
    assert SearchSettings(compute_budget=text).compute_budget == budget


def test_a_budget_cuts_a_running_trial_unless_its_training_is_done() -> None:
    given_limits = limits(compute_budget=1)
    ending = reason_to_end(given_limits, finished([0.5]), 0.0)
    half, whole = record(1, done=2), record(1, done=EVALUATIONS)
    assert is_cut(given_limits, ending, half)
    assert not is_cut(given_limits, ending, whole)
    assert not is_cut(given_limits, None, half)


def test_a_plateau_lets_running_trials_come_to_their_end() -> None:
    given_limits = limits(plateau=1)
    ending = reason_to_end(given_limits, finished([0.5, 0.5]), 0.0)
    assert ending is not None
    assert not is_cut(given_limits, ending, record(2, done=1))


# --- the plateau

values = st.floats(0.0, 1.0)


def noise(value: float) -> float:
    return math.sqrt(value * (1 - value) / 1000)


@given(st.lists(values, min_size=1, max_size=15), st.integers(1, 6))
def test_a_plateau_is_reached_iff_the_last_trials_do_not_beat_the_best_by_more_than_its_noise(
    found: list[float], length: int
) -> None:
    reached = has_plateau(limits(plateau=length), finished(found))
    if len(found) <= length:
        assert not reached
    else:
        before, latest = found[:-length], found[-length:]
        assert reached == (max(latest) <= max(v + noise(v) for v in before))


def test_a_gain_within_one_standard_error_is_no_gain() -> None:
    assert noise(0.5) == pytest.approx(0.0158, abs=1e-4)
    assert has_plateau(limits(plateau=1), finished([0.5, 0.515]))
    assert not has_plateau(limits(plateau=1), finished([0.5, 0.517]))
    assert not has_plateau(limits(plateau=1, examples=100_000), finished([0.5, 0.515]))


@given(st.lists(values, min_size=2, max_size=10), st.randoms())
def test_the_order_in_which_records_are_listed_does_not_matter(
    found: list[float], draw: Any
) -> None:
    trials = finished(found)
    shuffled = draw.sample(trials, len(trials))
    given_limits = limits(plateau=2)
    assert has_plateau(given_limits, trials) == has_plateau(given_limits, shuffled)


def test_stopped_trials_count_but_cannot_win() -> None:
    stopped = record(1, 0.9, state=TrialState.STOPPED, done=2)
    assert has_plateau(limits(plateau=1), [record(0, 0.5), stopped])
    assert not has_plateau(limits(plateau=1), [record(0, 0.5), stopped, record(2, 0.6)])
    first = record(0, 0.9, state=TrialState.STOPPED, done=2)
    assert not has_plateau(limits(plateau=1), [first, record(1, 0.1)])  # nothing to compare with


def test_failed_cut_off_and_running_trials_do_not_count() -> None:
    others = [
        record(1, state=TrialState.FAILED, failure=Failure.DIVERGED),
        record(2, state=TrialState.FAILED, failure=Failure.INTERRUPTED),
        record(3, state=TrialState.RUNNING, done=2),
    ]
    assert not has_plateau(limits(plateau=1), [record(0), *others])
    assert has_plateau(limits(plateau=1), [record(0), *others, record(4)])


def test_trials_count_in_the_order_in_which_they_ended() -> None:
    late = record(0, 0.9, ended=10.0)
    assert not has_plateau(limits(plateau=1), [late, record(1, 0.5)])
    assert has_plateau(limits(plateau=1), [late, record(1, 0.5), record(2, 0.5, ended=11.0)])


# --- several objectives


@given(st.lists(st.tuples(values, values), min_size=2, max_size=10))
def test_the_same_trial_again_never_moves_the_front(found: list[tuple[float, float]]) -> None:
    trials = [record(number, *pair) for number, pair in enumerate(found)]
    again = record(len(trials), *found[0])
    assert has_plateau(limits("mean", "worst", plateau=1), [*trials, again])


def test_a_trial_that_is_better_on_one_count_moves_the_front() -> None:
    given_limits = limits("mean", "worst", plateau=1)
    first = record(0, 0.7, 0.5)
    assert not has_plateau(given_limits, [first, record(1, 0.2, 0.6)])
    assert has_plateau(given_limits, [first, record(1, 0.2, 0.51)])  # within the noise
    both = [record(0, 0.7, 0.5), record(1, 0.5, 0.7)]
    assert has_plateau(given_limits, [*both, record(2, 0.6, 0.5)])
    assert not has_plateau(given_limits, [*both, record(2, 0.6, 0.6)])


def test_a_cheaper_trial_moves_the_front_and_a_dearer_one_does_not() -> None:
    given_limits = limits("mean", "compute", plateau=1)
    first = record(0, 0.7, 1000.0)
    assert not has_plateau(given_limits, [first, record(1, 0.6, 999.0)])
    assert has_plateau(given_limits, [first, record(1, 0.7, 1000.0)])
    assert has_plateau(given_limits, [first, record(1, 0.6, 2000.0)])


def test_a_training_that_was_cut_off_twice_is_counted_once() -> None:
    records = [
        record(0, state=TrialState.FAILED, failure=Failure.INTERRUPTED, done=3),
        # Cut off before it could report again what it went on with.
        record(1, state=TrialState.FAILED, failure=Failure.INTERRUPTED, done=0, retry_of=0),
    ]
    assert spent(limits(), "forward_equivalents", records) == 300.0
    records.append(record(2, retry_of=1))
    assert spent(limits(), "forward_equivalents", records) == 400.0
