"""How far a search is, whoever looks and how often."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rxtune.api.progress import SILENT_SECONDS, Tally, rung_of
from rxtune.config import Configuration, Study
from rxtune.results import Evaluation, Failure, TrialRecord, TrialState
from rxtune.search.budgets import Limits, spent

BEGAN = 1.7e9
ROBUST = Configuration(method="rs_rp", sigma=0.8)


def evaluations(count: int, *, seconds: float = 2.0, value: float = 0.5) -> Any:
    """Return evaluations that are `seconds` apart and cost 100 forward passes each."""
    return tuple(
        Evaluation(
            number=number, updates=number, value=value, accuracy={"qaf": value}, train_loss=1.0,
            forward_equivalents=100.0 * number, seconds=seconds * number,
            time=BEGAN + seconds * number,
        )
        for number in range(1, count + 1)
    )  # fmt: skip


def trial(number: int, state: str, done: int = 6, *, value: float = 0.5, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "number": number,
        "configuration": Configuration(),
        "state": TrialState(state),
        "evaluations": evaluations(done, value=value),
        "is_baseline": number == 0,
        "started": BEGAN,
        "ended": None if state == "running" else BEGAN + 2 * done + 1,
    }
    return TrialRecord(**{**fields, **changes})


def study_with(study: Study, **search: Any) -> Study:
    settings = type(study.search)(**{**study.search.model_dump(mode="json"), **search})
    return study.model_copy(update={"search": settings})


@pytest.fixture
def look(study: Study) -> Callable[..., Any]:
    """Return a function that looks at trials for the first time, two workers at them."""

    def run(records: Sequence[TrialRecord], *, now: float = BEGAN, **known: Any) -> Any:
        return Tally(known.pop("study", study), **known).look(records, workers=2, now=now)

    return run


def test_trials_are_counted_by_how_they_ended(look: Callable[..., Any]) -> None:
    found = look(
        [
            trial(0, "finished"),
            trial(1, "stopped", 2),
            trial(2, "failed", 1, failure=Failure.DIVERGED),
            trial(3, "failed", 1),
            trial(4, "failed", 1, failure=Failure.INTERRUPTED),
            trial(5, "running", 3),
            trial(6, "failed", 0, failure=Failure.DIVERGED),
        ]
    )
    assert (found.asked, found.ended, found.finished, found.stopped) == (8, 5, 1, 1)
    assert found.failed == {"diverged": 2, "error": 1}
    assert (found.cut_off, [record.number for record in found.running]) == (1, [5])
    assert (found.workers, found.baseline.number) == (2, 0)


def test_a_trial_that_was_taken_up_again_is_cut_off_no_more(look: Callable[..., Any]) -> None:
    cut = trial(1, "failed", 2, failure=Failure.INTERRUPTED)
    assert look([trial(0, "finished"), cut]).cut_off == 1
    found = look([trial(0, "finished"), cut, trial(2, "running", 0, retry_of=1)])
    assert found.cut_off == 0


def test_the_best_trial_is_a_finished_one_and_the_one_the_report_names(
    look: Callable[..., Any],
) -> None:
    assert look([]).best is None
    assert look([trial(0, "running", value=0.9), trial(1, "stopped", value=0.9)]).best is None
    robust = trial(0, "finished", value=0.6, configuration=ROBUST)
    plain, later = trial(1, "finished", value=0.6), trial(2, "finished", value=0.6)
    assert look([robust, plain, later]).best is plain
    assert look([trial(0, "finished", value=0.0)]).best is not None


def test_the_gain_is_over_the_baseline_as_far_as_it_is(look: Callable[..., Any]) -> None:
    best = trial(1, "finished", value=0.6, configuration=ROBUST)
    assert look([trial(0, "running", 2, value=0.5), best]).gain == pytest.approx(0.1)
    assert look([trial(0, "running", 0), best]).gain is None
    assert look([trial(0, "running", 2)]).gain is None


# --- cost


def history(draw: random.Random) -> Iterator[list[TrialRecord]]:
    """Yield the trials of a search again and again while they run, are cut off and go on."""
    records: list[TrialRecord] = []
    cut: list[int] = []
    for _ in range(60):
        running = [record for record in records if record.state is TrialState.RUNNING]
        if running and draw.random() < 0.7:
            record = draw.choice(running)
            done = len(record.evaluations) + 1
            state = draw.choice(["running", "running", "finished", "stopped", "failed", "cut"])
            number = record.number
            if state == "cut":
                cut.append(number)
                new = replace(record, state=TrialState.FAILED, failure=Failure.INTERRUPTED)
            else:
                new = trial(number, state, done, retry_of=record.retry_of)
            records[number] = new
        else:
            again = cut.pop() if cut and draw.random() < 0.8 else None
            records.append(trial(len(records), "running", 0, retry_of=again))
        yield list(records)


@pytest.mark.parametrize("seed", range(5))
def test_the_cost_is_what_a_compute_budget_counts_however_often_one_looks(
    study: Study, seed: int
) -> None:
    hours = study_with(study, compute_budget="2h")
    tally, draw = Tally(hours, devices=0.5), random.Random(seed)
    limits = Limits(search=hours.search, evaluations=6, devices=0.5, examples=1000)
    for records in history(draw):
        if draw.random() < 0.5:
            continue
        found = tally.look(records, workers=2, now=BEGAN)
        passes = spent(limits, "forward_equivalents", records)
        assert found.forward_equivalents == pytest.approx(passes)
        assert found.compute_share == pytest.approx(spent(limits, "hours", records) / 2)
        assert found == Tally(hours, devices=0.5).look(records, workers=2, now=BEGAN)


def test_the_cost_in_plain_trainings_needs_no_more_than_a_part_of_one(
    look: Callable[..., Any],
) -> None:
    records = [trial(0, "running", 3), trial(1, "finished", 6)]  # 100 passes an evaluation
    assert look(records).plain_trainings == pytest.approx(900 / 600)
    assert look(records, plain_cost=300.0).plain_trainings == pytest.approx(3.0)
    assert look(records[1:]).plain_trainings is None
    assert look([]).plain_trainings is None


def test_hours_of_unknown_devices_are_no_share_of_a_budget(
    look: Callable[..., Any], study: Study
) -> None:
    records = [trial(0, "finished")]  # 600 passes, 12 s of evaluations
    assert look(records).compute_share is None
    assert look(records, study=study_with(study, compute_budget="1h")).compute_share is None
    passes = study_with(study, compute_budget=1200)
    assert look(records, study=passes).compute_share == pytest.approx(0.5)


# --- time


def test_the_time_left_is_that_of_the_trials_to_come_at_the_speed_so_far(
    look: Callable[..., Any],
) -> None:
    ended = [trial(0, "finished"), trial(1, "stopped")]  # 13 s each
    assert look([]).seconds_left is None
    assert look(ended).seconds_left == pytest.approx(6 * 13 / 2)  # of 8 trials, two at a time
    running = trial(2, "running", 2)  # it has done 4 s, and 3 s more
    assert look([*ended, running], now=BEGAN + 7).seconds_left == pytest.approx((5 * 13 + 6) / 2)
    late = look([*ended, running], now=BEGAN + 700)
    assert late.seconds_left == pytest.approx(5 * 13 / 2)


def test_before_a_trial_has_ended_those_that_run_tell_how_long_one_takes(
    look: Callable[..., Any],
) -> None:
    assert look([trial(0, "running", 0)]).seconds_left is None
    found = look([trial(0, "running", 3)], now=BEGAN + 6)  # half of 12 s
    assert found.seconds_left == pytest.approx((7 * 12 + 6) / 2)


def test_a_trial_that_was_cut_off_neither_sets_the_speed_nor_uses_one_up(
    look: Callable[..., Any],
) -> None:
    ended = trial(0, "finished")
    cut = [trial(n, "failed", 1, failure=Failure.INTERRUPTED) for n in (1, 2)]
    assert look([ended, *cut]).seconds_left == pytest.approx(7 * 13 / 2)


def test_the_night_between_a_crash_and_the_resume_is_no_time_of_training(
    look: Callable[..., Any],
) -> None:
    night = 40_000.0
    last = replace(evaluations(6)[-1], time=BEGAN + night)
    ended = trial(0, "finished", evaluations=(last,), ended=BEGAN + night + 1)
    assert look([ended]).seconds_left == pytest.approx(7 * 13 / 2)
    running = trial(1, "running", 2)
    resumed = BEGAN + night
    found = look([ended, running], now=resumed + 1, since=resumed)
    assert found.seconds_left == pytest.approx((6 * 13 + 8) / 2)
    assert found.silent == ()


def test_a_worker_of_which_nothing_is_heard_for_long_is_told_of(look: Callable[..., Any]) -> None:
    ended, hangs = trial(0, "finished"), trial(1, "running", 1)
    heard = hangs.evaluations[0].time
    assert look([ended, hangs], now=heard + SILENT_SECONDS - 60).silent == ()
    ((found, seconds),) = look([ended, hangs], now=heard + SILENT_SECONDS + 60).silent
    assert (found, seconds) == (hangs, SILENT_SECONDS + 60)
    unmeasured = trial(1, "running", 0)
    assert look([unmeasured], now=BEGAN + 2 * SILENT_SECONDS).silent == ()


def test_a_slow_trial_is_not_taken_for_one_that_hangs(look: Callable[..., Any]) -> None:
    slow = trial(0, "finished", evaluations=evaluations(1, seconds=600.0))
    running = trial(1, "running", 0)
    assert look([slow, running], now=BEGAN + 5000).silent == ()
    assert look([slow, running], now=BEGAN + 7000).silent


# --- what a look costs


class Counted(list[TrialRecord]):
    """Trials that count how often one is looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        return super().__getitem__(place)

    def __iter__(self) -> Iterator[TrialRecord]:
        self.looks += len(self)
        return super().__iter__()


def test_a_look_at_many_trials_costs_what_runs_and_not_what_has_ended(study: Study) -> None:
    tally = Tally(study)
    records = Counted([trial(number, "finished") for number in range(1000)])
    records.append(trial(1000, "running", 1))
    tally.look(records, workers=2, now=BEGAN)
    records.looks = 0
    list.__setitem__(records, 1000, trial(1000, "running", 2))
    records.append(trial(1001, "running", 0))
    found = tally.look(records, workers=2, now=BEGAN)
    assert (found.ended, len(found.running)) == (1000, 2)
    assert records.looks < 20


# --- rungs


@pytest.mark.parametrize(
    ("stopping", "done", "rung"),
    [
        ({"asha": {"evaluations": 9, "first_rung": 1}}, 0, None),
        ({"asha": {"evaluations": 9, "first_rung": 1}}, 2, 1),
        ({"asha": {"evaluations": 9, "first_rung": 1}}, 3, 3),
        ({"asha": {"evaluations": 9, "first_rung": 1}}, 9, 3),
        ({"median": {}}, 6, None),
        ("none", 6, None),
    ],
)
def test_a_trial_stands_in_the_last_rung_that_it_has_come_to(
    study: Study, stopping: Any, done: int, rung: int | None
) -> None:
    from rxtune.config.stopping import Stopping

    rule = Stopping.model_validate(stopping)
    found = study.model_copy(update={"stopping": rule})
    assert rung_of(found, trial(1, "running", done)) == rung


def test_with_brackets_a_trial_has_the_rungs_of_its_own(study: Study) -> None:
    from rxtune.config.stopping import Stopping
    from rxtune.search.rungs import bracket_of

    rule = Stopping.model_validate({"hyperband": {"evaluations": 9, "first_rung": 1}})
    found = study.model_copy(update={"stopping": rule})
    assert rule.hyperband is not None
    first = {bracket_of(rule.hyperband, number): number for number in range(20)}
    assert rung_of(found, trial(first[0], "running", 2)) == 1
    assert rung_of(found, trial(first[1], "running", 2)) is None
    again = replace(trial(first[1], "running", 2), retry_of=first[0], began_as=first[0])
    assert rung_of(found, again) == 1
