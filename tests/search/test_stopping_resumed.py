"""Searches with every stopper and with several objectives, cut anywhere and resumed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Choice, LogUniform, Parameter, Space, Study
from rxtune.results import Evaluation, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
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
