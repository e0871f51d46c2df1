"""A trial on several seeds: only contenders get more than one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rxtune.results import Failure, Replicate, TrialRecord, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.replicates import is_contender, mean_result, replicate_seed
from tests.search.test_decisions import RESULT, build_study, evaluation


def create(path: Path, replicates: int = 3) -> SearchStudy:
    return SearchStudy.create(path, build_study(stopping="none", trials=9, replicates=replicates))


def run(search: SearchStudy, *values: float) -> TrialRecord:
    """Run a trial that reaches these values on its seeds, on as many as it is given."""
    record = search.ask()
    assert record is not None
    number = record.number
    for step in range(1, 7):
        assert not search.report(number, evaluation(step, values[0]))
    for replicate, value in enumerate(values, start=1):
        if not search.finish(number, result(value), replicate=replicate, value=value):
            break
    return search.record(number)


def result(value: float) -> ZeroShot:
    return replace(RESULT, accuracy={"eng": 0.9, "qaa": value})


def test_the_baseline_is_trained_on_every_seed_and_its_value_is_the_mean(tmp_path: Path) -> None:
    search = create(tmp_path / "journal.log")
    record = run(search, 0.5, 0.6, 0.7)
    assert record.state is TrialState.FINISHED
    assert record.value == pytest.approx(0.6)
    assert record.zero_shot is not None
    assert record.zero_shot.accuracy["qaa"] == pytest.approx(0.6)
    assert [r.value for r in record.replicates] == [0.5, 0.6, 0.7]
    assert len({r.seed for r in record.replicates}) == 3
    assert search._ledger.trial(0).value == pytest.approx(0.6)


def test_a_weak_trial_gets_one_seed_and_a_contender_more(tmp_path: Path) -> None:
    search = create(tmp_path / "journal.log")
    run(search, 0.5, 0.5, 0.5)
    assert len(run(search, 0.4, 0.9, 0.9).replicates) == 1
    assert len(run(search, 0.6, 0.6, 0.6).replicates) == 3
    # Lucky on one seed: the second tells.
    assert len(run(search, 0.9, 0.1, 0.9).replicates) == 2
    best = search.best()
    assert best is not None
    assert best.number == 2


def test_an_end_told_again_is_answered_as_before_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    search = create(path)
    record = search.ask()
    assert record is not None
    search.report(0, evaluation(6, 0.5))
    assert search.finish(0, result(0.5), replicate=1)
    before = path.read_bytes()
    assert search.finish(0, result(0.5), replicate=1)
    assert path.read_bytes() == before
    search.close()
    with SearchStudy.open(path) as again:
        assert again.finish(0, result(0.6), replicate=2, value=0.6)
        assert not again.finish(0, result(0.7), replicate=3, value=0.7)
        assert not again.finish(0, result(0.7), replicate=3, value=0.7)
        assert again.record(0).value == pytest.approx(0.6)


def test_without_replicates_a_trial_has_none(tmp_path: Path) -> None:
    record = run(create(tmp_path / "journal.log", replicates=1), 0.5, 0.6)
    assert record.replicates == ()
    assert record.value == 0.5


def test_a_contender_is_among_the_best_third() -> None:
    def replicates(value: float) -> tuple[Replicate, ...]:
        return (Replicate(seed=0, value=value, zero_shot=RESULT),)

    trials = {number: replicates(number / 10) for number in range(9)}
    assert [number for number in trials if is_contender(number, trials)] == [6, 7, 8]
    assert is_contender(0, {0: replicates(0.1)})


def test_seeds_are_the_searchs_own_and_then_others_that_follow_from_it() -> None:
    seeds = [replicate_seed(7, index) for index in range(4)]
    assert seeds[0] == 7
    assert len(set(seeds)) == 4
    assert seeds == [replicate_seed(7, index) for index in range(4)]
    assert seeds[1] != replicate_seed(8, 1)


def test_the_mean_of_results_is_taken_language_by_language() -> None:
    one = replace(RESULT, macro_f1={"eng": 0.8, "qaa": 0.2}, noisy_source=0.5)
    other = replace(RESULT, accuracy={"eng": 0.7, "qaa": 0.7}, macro_f1={"eng": 0.6, "qaa": 0.4})
    mean = mean_result([one, other])
    assert mean.accuracy == pytest.approx({"eng": 0.8, "qaa": 0.6})
    assert mean.macro_f1 == pytest.approx({"eng": 0.7, "qaa": 0.3})
    assert mean.noisy_source == 0.5
    assert mean.generalized is None


def test_a_trial_that_goes_on_with_another_does_not_compete_twice(tmp_path: Path) -> None:
    search = create(tmp_path / "journal.log")
    run(search, 0.5, 0.5, 0.5)
    for weak in (0.1, 0.2, 0.3):
        run(search, weak, weak, weak)
    best = search.ask()
    assert best is not None
    search.report(best.number, evaluation(6, 0.9))
    assert search.finish(best.number, result(0.9))
    search.fail(best.number, "the search was ended", Failure.INTERRUPTED)
    assert len(run(search, 0.9, 0.9, 0.9).replicates) == 3
    # Second of six is among the best third; third of seven would not be.
    assert len(run(search, 0.7, 0.7, 0.7).replicates) > 1
