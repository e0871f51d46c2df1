"""A search with several objectives: what it keeps, stops, crowns and proposes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Study
from rxtune.results import Evaluation, Failure, TrialRecord, TrialState
from rxtune.search.decisions import SearchStudy
from tests.search.test_decisions import RESULT, ask, build_study, evaluation

FRONT = ["mean", "worst", "compute"]


def study(**search: Any) -> Study:
    plain = build_study(trials=12, startup_trials=3, **search)
    select = plain.select.model_copy(update={"objective": tuple(FRONT)})
    return plain.model_copy(update={"select": select})


def seen(number: int, mean: float, worst: float, compute: float) -> Evaluation:
    told = evaluation(number, mean)
    cost = compute * number
    return replace(told, objectives=(mean, worst, cost), forward_equivalents=cost)


def run(search: SearchStudy, mean: float, worst: float, compute: float) -> TrialRecord:
    number = ask(search).number
    for step in range(1, 7):
        if search.report(number, seen(step, mean, worst, compute)):
            return search.record(number)
    search.finish(number, RESULT)
    return search.record(number)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.log"


@pytest.fixture
def search(path: Path) -> SearchStudy:
    return SearchStudy.create(path, study(), sync=lambda _: None)


def test_the_journal_keeps_every_objective_as_optuna_has_it(search: SearchStudy) -> None:
    record = run(search, 0.5, 0.4, 10.0)
    assert record.objectives == (0.5, 0.4, 60.0)
    assert search._ledger.optuna.trials[0].values == [0.5, 0.4, 60.0]
    assert [d.name for d in search._ledger.optuna.directions] == [
        "MAXIMIZE",
        "MAXIMIZE",
        "MINIMIZE",
    ]


def test_only_a_trial_that_is_beaten_on_every_count_is_stopped(search: SearchStudy) -> None:
    run(search, 0.5, 0.4, 10.0)
    run(search, 0.6, 0.5, 9.0)
    assert run(search, 0.1, 0.1, 8.0).state is TrialState.FINISHED  # the cheapest
    beaten = run(search, 0.55, 0.45, 9.5)
    assert beaten.state is TrialState.STOPPED
    assert len(beaten.evaluations) == 2
    assert "evaluation 2 of 6" in (beaten.reason or "")


def test_the_first_objective_names_the_winner(search: SearchStudy) -> None:
    run(search, 0.5, 0.4, 10.0)
    run(search, 0.6, 0.1, 12.0)
    best = search.best()
    assert best is not None
    assert best.number == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_objective_that_is_not_finite_fails_the_trial(search: SearchStudy, place: int) -> None:
    values = [0.5, 0.4, 10.0]
    values[place] = math.nan
    number = ask(search).number
    assert search.report(number, replace(seen(1, 0.5, 0.4, 1.0), objectives=tuple(values)))
    assert search.record(number).failure is Failure.DIVERGED


def test_a_front_is_searched_on_as_if_it_had_never_been_closed(path: Path) -> None:
    def course(search: SearchStudy, trials: int) -> None:
        for number in range(trials):
            place = len(search.records())
            run(search, 0.5 + 0.03 * (place % 5), 0.4 + 0.02 * (number % 1), 10.0 - place % 3)

    with SearchStudy.create(path, study(), sync=lambda _: None) as search:
        course(search, 12)
        whole = [(r.configuration, r.state, r.objectives) for r in search.records()]
    path.unlink()
    with SearchStudy.create(path, study(), sync=lambda _: None) as search:
        course(search, 5)
    with SearchStudy.open(path) as search:
        course(search, 7)
        assert [(r.configuration, r.state, r.objectives) for r in search.records()] == whole
