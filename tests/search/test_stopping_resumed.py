"""Searches with every stopper and with several objectives, cut anywhere and resumed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Choice, LogUniform, Parameter, Space, Study
from rxtune.results import Evaluation, Failure, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.in_rungs import InRungs
from rxtune.search.journal import JournalFile

WORKERS, TRIALS, CUTS = 3, 14, 6
RESULT = ZeroShot(accuracy={"eng": 0.9, "qaa": 0.5}, source_language="eng", dev_languages=("qaa",))
STOPPERS = {
    "asha": {"asha": {"evaluations": 4, "first_rung": 1, "reduction_factor": 2}},
    "hyperband": {"hyperband": {"evaluations": 4, "first_rung": 1, "reduction_factor": 2}},
    "median": {"median": {"evaluations": 4, "first_rung": 1, "startup_trials": 2}},
}
OBJECTIVES = {"one objective": ["mean"], "a front": ["mean", "worst", "compute"]}


def build_study(stopping: Any, objective: list[str], **search: Any) -> Study:
    parameters = [
        Parameter("method", Choice(("standard", "rs_rp"))),
        Parameter("sigma", LogUniform(0.1, 3.0)),
        Parameter("learning_rate", LogUniform(0.3, 3.0)),
    ]
    return Study.model_validate(
        {
            "space": Space({parameter.name: parameter for parameter in parameters}),
            "search": {"trials": TRIALS, "sampler": "random", **search},
            "stopping": stopping,
            "select": {"objective": objective},
        }
    )


def evaluation(number: int, trial: int, objectives: int) -> Evaluation:
    """Return what follows from trial and evaluation alone: some trials are worse in all."""
    draw = random.Random(f"{trial} {number}")
    quality = random.Random(trial).random()
    mean, worst = quality + 0.1 * draw.random(), quality / 2 + 0.1 * draw.random()
    compared = (mean, worst, number * (2 - quality))
    return Evaluation(
        number=number,
        updates=number,
        value=mean,
        accuracy={"qaa": mean},
        objectives=compared if objectives > 1 else (),
        train_loss=0.5,
        forward_equivalents=3.0 * number,
        seconds=1.0,
        time=float(number),
    )


def run(search: SearchStudy) -> None:
    """Run a search to its end; whose turn it is follows from how far the journal is."""
    objectives = len(search.study.select.objective)
    while True:
        records = search.records()
        running = [record for record in records if record.state is TrialState.RUNNING]
        if len(running) < WORKERS and search.ask() is not None:
            continue
        if not running:
            return
        done = sum(len(record.evaluations) for record in records)
        trial = random.Random(f"{len(records)} {done}").choice(running)
        number = len(trial.evaluations) + 1
        if number > 4:
            search.finish(trial.number, RESULT)
        else:
            search.report(trial.number, evaluation(number, trial.number, objectives))


def ends(search: SearchStudy) -> list[tuple[Any, ...]]:
    return [
        (r.number, r.state, r.reason, r.evaluations, r.configuration) for r in search.records()
    ]


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@pytest.mark.parametrize("stopping", STOPPERS.values(), ids=STOPPERS)
def test_a_search_with_workers_in_any_order_stops_the_same_trials_after_a_cut(
    stopping: Any, objective: list[str], tmp_path: Path
) -> None:
    path, study = tmp_path / "journal.log", build_study(stopping, objective)
    with SearchStudy.create(path, study, sync=lambda _: None) as search:
        run(search)
        expected = ends(search)
    stopped = [reason for _, state, reason, *_ in expected if state is TrialState.STOPPED]
    assert len(stopped) >= 2
    assert all(f"({next(iter(stopping))}" in reason for reason in stopped)
    assert all(("worst" in reason) == (len(objective) > 1) for reason in stopped)
    journal = path.read_bytes()
    start = journal.index(b'"commit"') + 100  # after the study itself
    for cut in random.Random(7).sample(range(start, len(journal)), CUTS):
        path.write_bytes(journal[:cut])
        JournalFile(path, sync=lambda _: None).close()
        with SearchStudy.open(path, sync=lambda _: None) as search:
            run(search)
            assert ends(search) == expected, f"cut at byte {cut}"


@pytest.mark.parametrize(("sampler", "trials"), [("gp", 8), ("nsga2", 16), ("grid", 14)])
def test_every_other_sampler_proposes_the_same_after_a_cut(
    sampler: str, trials: int, tmp_path: Path
) -> None:
    path = tmp_path / "journal.log"
    study = build_study("asha", ["mean"], sampler=sampler, trials=trials, startup_trials=5)

    def run_alone(search: SearchStudy) -> None:
        """Run one trial at a time: with several, a proposal depends on how far the others are."""
        while trial := next(iter(search.running()), None) or search.ask():
            for number in range(len(trial.evaluations) + 1, 7):
                if search.report(trial.number, evaluation(number, trial.number, 1)):
                    break
            else:
                search.finish(trial.number, RESULT)

    with SearchStudy.create(path, study, sync=lambda _: None) as search:
        run_alone(search)
        expected = ends(search)
    assert len(expected) == trials
    journal = path.read_bytes()
    path.write_bytes(journal[: int(0.8 * len(journal))])  # past what is drawn at random
    with SearchStudy.open(path, sync=lambda _: None) as search:
        assert len(search.records()) < trials
        run_alone(search)
        assert ends(search) == expected


# --- trials that were cut off and are tried again


def scored(number: int, value: float) -> Evaluation:
    """Return an evaluation that is as good as its value on every objective."""
    known = evaluation(number, 0, 3)
    return replace(known, value=value, objectives=(value, value / 2, 2.0 - value))


def report_new(search: SearchStudy, value: float) -> tuple[int, bool]:
    """Begin a trial and report its first value; return its number and whether it stopped."""
    trial = search.ask()
    assert trial is not None
    return trial.number, search.report(trial.number, scored(1, value))


def retry(search: SearchStudy, lost: int) -> int:
    again = search.ask()
    assert again is not None
    assert again.retry_of == lost
    return again.number


@pytest.mark.parametrize("cut", ["never", "and waits", "and begins again", "and is there again"])
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_a_trial_that_was_cut_off_and_is_tried_again_counts_once_at_a_rung(
    objective: list[str], cut: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.log"
    study = build_study(STOPPERS["asha"], objective)
    with SearchStudy.create(path, study, sync=lambda _: None) as search:
        assert report_new(search, 0.1) == (0, False)  # the baseline
        assert report_new(search, 0.9) == (1, False)
        assert report_new(search, 0.2) == (2, True)
        last = search.ask()
        assert last is not None
        if cut != "never":
            search.fail(1, "the search was ended", Failure.INTERRUPTED)
    with SearchStudy.open(path, sync=lambda _: None) as search:
        if cut in ("and begins again", "and is there again"):
            again = retry(search, 1)
        if cut == "and is there again":
            assert not search.report(again, scored(1, 0.9))
        # The second best of four: two of them go on.
        assert not search.report(last.number, scored(1, 0.8)), search.record(last.number).reason


def test_what_was_decided_while_a_training_counted_twice_stands(tmp_path: Path) -> None:
    path, study = tmp_path / "journal.log", build_study(STOPPERS["asha"], ["mean"])
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr(InRungs, "_earlier", lambda *_: ())
        with SearchStudy.create(path, study, sync=lambda _: None) as search:
            for value in (0.1, 0.9):
                report_new(search, value)
            search.fail(1, "the search was ended", Failure.INTERRUPTED)
            assert not search.report(retry(search, 1), scored(1, 0.9))
            report_new(search, 0.2)
            number, is_stopped = report_new(search, 0.8)
            assert is_stopped
            before = ends(search)
    with SearchStudy.open(path, sync=lambda _: None) as search:
        assert search.report(number, scored(1, 0.8))
        assert ends(search) == before
        assert "dev score 0.8, needed 0.9" in before[number][2]
