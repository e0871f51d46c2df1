"""What earlier searches teach a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Choice, Configuration, Constant, LogUniform, Parameter, Space, Study
from rxtune.errors import StudyError
from rxtune.results import Failure, TrialRecord, TrialState
from rxtune.search.decisions import SearchStudy
from rxtune.search.history import Lesson
from rxtune.search.lessons import Experience
from rxtune.search.proposals import Proposal, propose
from rxtune.search.warm_start import Earlier, WarmStart, learn
from tests.search.test_decisions import RESULT, build_study, evaluation, run

METHOD = Parameter("method", Choice(("standard", "rs_rp")))
METHOD_ALONE = Parameter("method", Constant("standard"))
RATE = Parameter("learning_rate", LogUniform(0.3, 3.0))


def study_with(*sigma: float, **given: Any) -> Study:
    parameters = [METHOD, RATE, Parameter("sigma", LogUniform(*sigma))]
    space = Space({p.name: p for p in parameters})
    return Study.model_validate({"space": space, **given})


def earlier(path: Path) -> SearchStudy:
    """A search whose noisy trials beat its baseline by 0.1 times their sigma."""
    search = SearchStudy.create(path, build_study(trials=8, startup_trials=8))
    for _ in range(8):
        record = search.ask()
        assert record is not None
        for step in range(1, 7):
            value = 0.6 + 0.1 * record.configuration.sigma + 0.001 * step
            if search.report(record.number, evaluation(step, value)):
                break
        else:
            search.finish(record.number, RESULT)
    return search


@pytest.fixture
def search(tmp_path: Path) -> SearchStudy:
    return earlier(tmp_path / "earlier.log")


def taught(search: SearchStudy, new: Study) -> WarmStart:
    return WarmStart(earlier=(learn("first", search.study, search.records(), new),))


def test_gains_over_the_baseline_carry_over(search: SearchStudy) -> None:
    warm = taught(search, search.study)
    for lesson in warm.lessons((0.4,)):
        assert lesson.values[0] == pytest.approx(0.4 + 0.1 * lesson.configuration.sigma)
        assert not lesson.is_own
    assert len(warm.lessons(None)) == 8


def test_what_lies_outside_of_the_new_space_is_dropped_with_a_count(search: SearchStudy) -> None:
    sigmas = [record.configuration.sigma for record in search.records()]
    limit = sorted(sigmas)[-2]
    (one,) = taught(search, study_with(0.01, limit)).earlier
    assert one.dropped == 1
    assert max(lesson.configuration.sigma for lesson in one.gains) <= limit
    assert one.best is not None
    assert one.best.sigma <= limit


def test_it_says_how_many_trials_were_taken_and_how_many_not(search: SearchStudy) -> None:
    (whole,) = taught(search, search.study).earlier
    assert str(whole) == "8 trials of first"
    limit = sorted(record.configuration.sigma for record in search.records())[-2]
    (part,) = taught(search, study_with(0.01, limit)).earlier
    assert str(part) == "7 of the 8 trials of first (1 lies outside of this space)"
    assert str(WarmStart(earlier=(whole, part))) == f"{whole}; {part}"


def test_the_new_search_starts_with_the_best_of_the_earlier_one(
    search: SearchStudy, tmp_path: Path
) -> None:
    warm = taught(search, search.study)
    new = SearchStudy.create(tmp_path / "new.log", build_study(trials=5), warm_start=warm)
    best = search.best()
    assert best is not None
    assert [run(new, [0.5] * 6).configuration for _ in range(2)] == [
        search.study.start_points()[0],
        best.configuration,
    ]
    # The typical point of the method that is settled is left out, and its own trials alone count.
    assert run(new, [0.5] * 6).configuration not in search.study.start_points()
    assert [record.number for record in new.records()] == [0, 1, 2]


def test_the_baseline_stays_the_first_trial_even_if_an_earlier_search_found_it_best(
    tmp_path: Path,
) -> None:
    study = build_study(trials=4)
    plain, typical = study.start_points()
    warm = WarmStart(
        earlier=tuple(
            Earlier(run=name, best=best, gains=(), dropped=0)
            for name, best in (("a", replace(plain, sigma=0.2)), ("b", typical))
        )
    )
    with SearchStudy.create(tmp_path / "new.log", study, warm_start=warm) as new:
        first, second = run(new, [0.5] * 6), run(new, [0.6] * 6)
    assert (first.configuration, first.is_baseline) == (plain, True)
    assert (second.configuration, second.is_baseline) == (typical, False)


def test_the_sampler_goes_at_once_where_the_earlier_search_was_good(
    search: SearchStudy, tmp_path: Path
) -> None:
    def third(name: str, warm: WarmStart | None) -> list[float]:
        sigmas = []
        for seed in range(8):
            study = build_study(trials=4, startup_trials=6, seed=seed)
            new = SearchStudy.create(tmp_path / f"{name}{seed}", study, warm_start=warm)
            for _ in range(3):
                run(new, [0.5] * 6)
            record = new.ask()
            assert record is not None
            sigmas.append(record.configuration.sigma)
            new.close()
        return sigmas

    warm = third("warm", taught(search, search.study))
    cold = third("cold", None)
    assert sum(warm) > sum(cold)


def test_a_warm_start_survives_the_journal(search: SearchStudy, tmp_path: Path) -> None:
    warm = taught(search, search.study)
    path = tmp_path / "new.log"

    def proposals(new: SearchStudy, count: int) -> list[TrialRecord]:
        return [run(new, [0.5] * 6) for _ in range(count)]

    with SearchStudy.create(path, build_study(trials=6), warm_start=warm) as new:
        whole = [r.configuration for r in proposals(new, 6)]
    path.unlink()
    with SearchStudy.create(path, build_study(trials=6), warm_start=warm) as new:
        proposals(new, 3)
    with SearchStudy.open(path) as new:
        proposals(new, 3)
        assert [r.configuration for r in new.records()] == whole


def test_a_configuration_of_the_earlier_search_may_be_tried_again(tmp_path: Path) -> None:
    study = Study.model_validate(
        {"space": Space({"method": Parameter("method", Constant("standard"))})}
    )
    first = SearchStudy.create(tmp_path / "first.log", study)
    run(first, [0.5] * 6)
    assert first.ask() is None
    assert first.exhausted is not None
    warm = taught(first, study)
    with SearchStudy.create(tmp_path / "second.log", study, warm_start=warm) as second:
        assert second.ask() is not None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"select": {"metric": "macro_f1"}}, "with select.metric accuracy and cannot teach"),
        ({"select": {"objective": "worst"}}, "select.objective mean and cannot teach .* worst"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(
    search: SearchStudy, given: Any, text: str
) -> None:
    with pytest.raises(StudyError, match=text):
        learn("first", search.study, search.records(), study_with(0.1, 3.0, **given))


def test_other_units_are_refused(search: SearchStudy) -> None:
    rate = Parameter("learning_rate", LogUniform(1e-5, 1e-4))
    space = Space({"method": METHOD_ALONE, "learning_rate": rate}, "absolute")
    absolute = Study.model_validate({"units": "absolute", "space": space})
    with pytest.raises(StudyError, match=r"with units relative and cannot teach .* absolute"):
        learn("first", search.study, search.records(), absolute)


def test_a_search_without_a_baseline_result_teaches_nothing(tmp_path: Path) -> None:
    search = SearchStudy.create(tmp_path / "earlier.log", build_study())
    search.ask()
    with pytest.raises(StudyError, match=r"the baseline of run 'first' has no result, .*--resume"):
        learn("first", search.study, search.records(), search.study)


def test_a_stopped_trial_is_measured_against_the_baseline_at_the_same_place(
    search: SearchStudy,
) -> None:
    warm = taught(search, search.study)
    stopped = [r for r in search.records() if r.state is TrialState.STOPPED]
    assert stopped
    by_configuration = {lesson.configuration: lesson for lesson in warm.lessons((0.0,))}
    for record in stopped:
        lesson = by_configuration[record.configuration]
        assert lesson.kind == "stopped"
        assert lesson.step == record.evaluations[-1].number
        assert lesson.values[0] == pytest.approx(0.1 * record.configuration.sigma)


def test_without_a_baseline_gains_do_not_stand_beside_scores(
    search: SearchStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sequence[Lesson]] = []

    def note(study: Study, number: int, experience: Experience) -> Proposal | None:
        seen.append(experience.lessons)
        return propose(study, number, experience)

    monkeypatch.setattr("rxtune.search.proposer.propose", note)
    warm = taught(search, search.study)
    new = SearchStudy.create(tmp_path / "new.log", build_study(trials=9), warm_start=warm)
    baseline, best = new.ask(), new.ask()
    assert baseline is not None
    assert best is not None
    new.ask()
    assert sum(not lesson.is_own for lesson in seen[-1]) == 8  # they compare with each other
    new.fail(baseline.number, "diverged: loss is nan", Failure.DIVERGED)
    for step in range(1, 7):
        new.report(best.number, evaluation(step, 0.6))
    new.finish(best.number, RESULT)
    new.ask()
    assert all(lesson.is_own for lesson in seen[-1])


def test_a_search_is_not_hopeless_before_its_last_start_point(tmp_path: Path) -> None:
    points = [Configuration(method="rs_rp", sigma=0.2 * n, learning_rate=1.0) for n in range(1, 6)]
    runs = [Earlier(run=str(n), best=p, gains=(), dropped=0) for n, p in enumerate(points)]
    warm = WarmStart(earlier=tuple(runs))
    new = SearchStudy.create(tmp_path / "new.log", build_study(trials=9), warm_start=warm)
    for count in range(1, 7):
        record = new.ask()
        assert record is not None
        new.fail(record.number, "diverged: loss is nan", Failure.DIVERGED)
        assert (new.all_failed_early() is None) == (count < 1 + len(points))
