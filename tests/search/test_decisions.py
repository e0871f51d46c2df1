"""What the search decides, and that every decision is one write."""

from __future__ import annotations

import gc
import json
import math
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from rxtune.config import (
    Choice,
    Configuration,
    Constant,
    Int,
    LogInt,
    LogUniform,
    Parameter,
    SearchSettings,
    Space,
    Study,
    TaskChoice,
    TaskFile,
    Uniform,
)
from rxtune.errors import RxtuneError, StudyError
from rxtune.report import summarise
from rxtune.results import Evaluation, Failure, TrialRecord, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.in_rungs import goes_on, needed_value
from rxtune.search.ledger import Ledger, _study_from_json, _study_to_json

RATE = Parameter("learning_rate", LogUniform(0.3, 3.0))
SIGMA = Parameter("sigma", LogUniform(0.1, 3.0))
BOTH = Parameter("method", Choice(("standard", "rs_rp")))


def build_study(*parameters: Parameter, stopping: Any = None, **search: Any) -> Study:
    space = Space({p.name: p for p in parameters or (BOTH, SIGMA, RATE)})
    given = {"space": space, "search": {"trials": 8, **search}}
    return Study.model_validate(given if stopping is None else {**given, "stopping": stopping})


def evaluation(number: int, value: float) -> Evaluation:
    return Evaluation(
        number=number,
        updates=number,
        value=value,
        accuracy={"qaa": value},
        train_loss=0.5,
        forward_equivalents=3.0,
        seconds=1.0,
        time=time.time(),
    )


RESULT = ZeroShot(accuracy={"eng": 0.9, "qaa": 0.5}, source_language="eng", dev_languages=("qaa",))


def create(path: Path, *parameters: Parameter, **search: Any) -> SearchStudy:
    return SearchStudy.create(path, build_study(*parameters, **search), sync=lambda _: None)


def ask(search: SearchStudy) -> TrialRecord:
    trial = search.ask()
    assert trial is not None
    return trial


def run(search: SearchStudy, values: list[float]) -> TrialRecord:
    """Run one trial with these values, to its end or until it is stopped."""
    number = ask(search).number
    for step, value in enumerate(values, start=1):
        if search.report(number, evaluation(step, value)):
            return search.record(number)
    search.finish(number, RESULT)
    return search.record(number)


def asked(search: SearchStudy, trials: int) -> SearchSettings:
    return search.study.search.model_copy(update={"trials": trials})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.log"


@pytest.fixture
def search(path: Path) -> SearchStudy:
    return create(path)


def commits(path: Path) -> int:
    return path.read_text().count('"commit":true')


# --- asking


def test_the_baseline_comes_first_then_one_trial_per_method(search: SearchStudy) -> None:
    first, second = ask(search), ask(search)
    assert first.is_baseline
    assert first.configuration == Configuration()
    assert not second.is_baseline
    assert [first.configuration, second.configuration] == search.study.start_points()


def test_as_many_trials_are_proposed_as_asked_for(path: Path) -> None:
    search = create(path, trials=3)
    assert [ask(search).number for _ in range(3)] == [0, 1, 2]
    assert search.ask() is None
    assert [record.state for record in search.records()] == [TrialState.RUNNING] * 3


def test_a_baseline_outside_of_the_space_is_run_all_the_same(path: Path) -> None:
    search = create(path, Parameter("method", Constant("rs_rp")), SIGMA, RATE)
    assert ask(search).configuration == Configuration(method="standard")
    assert ask(search).configuration.method == "rs_rp"
    assert search._ledger.trial(0).params == {}
    assert search._ledger.trial(1).params["method"] == "rs_rp"


def test_every_kind_of_domain_is_proposed_within_its_bounds(path: Path) -> None:
    search = create(
        path,
        Parameter("method", Constant("adv")),
        Parameter("radius", Uniform(0.1, 0.2)),
        Parameter("pgd_steps", Int(1, 3)),
        Parameter("norm", Choice(("l2", "linf")), when={"pgd_steps": (1, 2)}),
        Parameter("batch_size", LogInt(8, 64)),
        RATE,
        trials=30,
        sampler="random",
    )
    proposed = [ask(search).configuration for _ in range(30)][2:]
    space = search.study.space
    for configuration in proposed:
        for name, parameter in space.parameters.items():
            if space.is_active(name, configuration.to_json()):
                assert parameter.domain.contains(getattr(configuration, name))
    assert {c.norm for c in proposed if c.pgd_steps == 3} == {"l2"}
    assert {c.norm for c in proposed} == {"l2", "linf"}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_proposal_depends_on_the_seed_and_the_journal_alone(
    tmp_path: Path, sampler: str
) -> None:
    def proposed(name: str, seed: int) -> list[Configuration]:
        search = create(tmp_path / name, sampler=sampler, seed=seed, startup_trials=2)
        return [run(search, [0.5, 0.6]).configuration for _ in range(8)]

    assert proposed("a", seed=1) == proposed("b", seed=1) != proposed("c", seed=2)


def test_asking_warns_of_nothing(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = create(path, startup_trials=2)
        for _ in range(6):
            run(search, [0.5])


def test_an_interrupted_trial_is_proposed_again_before_anything_new(path: Path) -> None:
    search = create(path, trials=3)
    baseline, second = ask(search), ask(search)
    search.fail(second.number, "interrupted", Failure.INTERRUPTED)
    search.fail(baseline.number, "interrupted", Failure.INTERRUPTED)
    again = [ask(search), ask(search)]
    assert [trial.configuration for trial in again] == [
        baseline.configuration,
        second.configuration,
    ]
    assert [trial.is_baseline for trial in again] == [True, False]
    assert search._ledger.trial(again[0].number).params == search._ledger.trial(0).params
    assert ask(search).configuration not in [trial.configuration for trial in again]
    assert search.ask() is None


def test_a_retry_that_is_interrupted_is_proposed_once_more(path: Path) -> None:
    search = create(path, trials=1)
    for _ in range(3):
        search.fail(ask(search).number, "interrupted", Failure.INTERRUPTED)
    assert ask(search).is_baseline
    assert search.ask() is None


def test_a_search_can_grow_and_its_missing_start_points_come_first(path: Path) -> None:
    search = create(path, trials=1)
    ask(search)
    assert search.ask() is None
    search.extend(asked(search, 3))
    assert search.trials_total == 3
    assert ask(search).configuration == search.study.start_points()[1]
    search.close()
    again = SearchStudy.open(path)
    assert again.trials_total == again.study.search.trials == 3


def test_a_search_cannot_shrink(search: SearchStudy) -> None:
    with pytest.raises(StudyError, match="has 8 trials and cannot shrink to 5; ask for 8 or more"):
        search.extend(asked(search, 5))


# --- stopping


def test_a_weak_trial_is_stopped_at_the_rung_and_learns_what_was_needed(
    search: SearchStudy,
) -> None:
    for value in (0.5, 0.6):
        run(search, [value] * 6)
    weak = run(search, [0.1, 0.412, 0.9])
    assert weak.state is TrialState.STOPPED
    assert weak.reason == "stopped at evaluation 2 of 6: dev score 0.412, needed 0.6 (asha)"
    assert weak.value == 0.412
    assert len(weak.evaluations) == 2


def test_the_baseline_stands_in_the_rungs_but_is_never_stopped(search: SearchStudy) -> None:
    baseline, strong = ask(search), ask(search)
    for step in range(1, 7):
        assert not search.report(strong.number, evaluation(step, 0.9))
        assert not search.report(baseline.number, evaluation(step, 0.1))
    assert search._ledger.trial(0).system_attrs["completed_rung_0"] == 0.1


def test_after_its_last_evaluation_a_trial_is_not_stopped_but_stands_in_the_rung(
    search: SearchStudy,
) -> None:
    run(search, [0.5] * 6)
    run(search, [0.9] * 6)
    last = run(search, [0.95, 0.95, 0.95, 0.95, 0.95, 0.2])
    assert last.state is TrialState.FINISHED
    assert last.value == 0.2
    assert search._ledger.trial(last.number).system_attrs["completed_rung_1"] == 0.2


def test_without_asha_nothing_is_stopped(path: Path) -> None:
    search = create(path, stopping={"asha": None})
    for value in (0.9, 0.8, 0.1):
        assert run(search, [value] * 9).state is TrialState.FINISHED


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=10), st.integers(2, 4))
def test_the_needed_value_is_exactly_where_going_on_begins(values: list[float], eta: int) -> None:
    rivals = sorted(values[1:])
    needed = needed_value(eta, sorted(values))
    if not goes_on(values[0], rivals, eta):
        assert goes_on(needed, rivals, eta)
        assert not goes_on(math.nextafter(needed, -1), rivals, eta)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_fails_the_trial(search: SearchStudy, value: float) -> None:
    number = ask(search).number
    assert not search.report(number, evaluation(1, 0.5))
    assert search.report(number, evaluation(2, value))
    record = search.record(number)
    assert record.state is TrialState.FAILED
    assert record.reason == f"dev score {value} at evaluation 2"
    assert record.value == 0.5


# --- one decision, one write; told twice, done once


def test_every_decision_is_one_group_of_the_journal(search: SearchStudy, path: Path) -> None:
    counts = [commits(path)]

    def counted(_: object) -> None:
        counts.append(commits(path))

    for _ in range(2):
        number = ask(search).number
        counted(search.describe(number, {"sigma": 0.1}))
        counted([search.report(number, evaluation(n, 0.9)) for n in (1, 2)])
        counted(search.finish(number, RESULT))
    third = ask(search).number
    counted(search.report(third, evaluation(1, 0.1)))
    counted(search.report(third, evaluation(2, 0.1)))
    counted(search.fail(ask(search).number, "out of memory"))
    counted(search.extend(asked(search, 20)))
    assert counts == [1, 3, 5, 6, 8, 10, 11, 13, 14, 16, 17]


def test_an_evaluation_reported_again_is_answered_as_before_and_writes_nothing(
    search: SearchStudy, path: Path
) -> None:
    good = run(search, [0.9] * 6)
    run(search, [0.8] * 6)
    weak = run(search, [0.1, 0.1])
    before = path.read_bytes()
    for step in range(1, 7):
        assert not search.report(good.number, evaluation(step, 0.3))
    assert not search.report(weak.number, evaluation(1, 0.1))
    assert search.report(weak.number, evaluation(2, 0.1))
    assert search.report(weak.number, evaluation(3, 0.99))
    assert path.read_bytes() == before


def test_an_end_told_twice_is_told_once(search: SearchStudy, path: Path) -> None:
    done = run(search, [0.9] * 6).number
    failed = ask(search).number
    search.fail(failed, "out of memory")
    before = path.read_bytes()
    search.finish(done, RESULT)
    search.fail(failed, "out of memory again")
    assert path.read_bytes() == before
    assert search.record(failed).reason == "out of memory"


def test_another_end_than_before_is_a_mistake(search: SearchStudy) -> None:
    done = run(search, [0.9] * 6).number
    failed = ask(search).number
    search.fail(failed, "out of memory")
    other = ZeroShot(accuracy={"eng": 1.0}, source_language="eng", dev_languages=())
    with pytest.raises(AssertionError, match="another result"):
        search.finish(done, other)
    with pytest.raises(AssertionError, match="ended otherwise"):
        search.fail(done, "late")
    with pytest.raises(AssertionError, match="ended otherwise"):
        search.finish(failed, RESULT)
    with pytest.raises(AssertionError, match="there is no trial 99"):
        search.fail(99, "unknown")


def test_a_trial_without_evaluation_cannot_finish(search: SearchStudy) -> None:
    with pytest.raises(AssertionError, match="trial 0 has no evaluation"):
        search.finish(ask(search).number, RESULT)


def test_a_decision_that_breaks_off_leaves_neither_file_nor_memory_changed(
    search: SearchStudy, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = ask(search).number
    before = path.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SearchStudy, "_judge", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search.report(number, evaluation(1, 0.5))
    assert path.read_bytes() == before
    assert search.record(number).evaluations == ()
    assert not search.report(number, evaluation(1, 0.5))
    assert search.record(number).value == 0.5


def test_after_a_failed_write_the_study_says_why_it_is_of_no_use(path: Path) -> None:
    full: list[bool] = []

    def sync(_: int) -> None:
        if full:
            raise OSError(28, "No space left on device")

    search = SearchStudy.create(path, build_study(), sync=sync)
    full.append(True)
    for _ in range(2):
        with pytest.raises(RxtuneError, match=r"No space left on device.*make room, then resume"):
            search.ask()
    search.close()
    assert SearchStudy.open(path).records() == []


def test_reports_of_several_threads_are_all_kept(path: Path) -> None:
    search = create(path, trials=6, stopping={"asha": None})
    numbers = [ask(search).number for _ in range(6)]

    def work(number: int) -> None:
        for step in range(1, 11):
            search.report(number, evaluation(step, 0.5))
            search.records()
        search.finish(number, RESULT)

    threads = [threading.Thread(target=work, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    search.close()
    records = SearchStudy.open(path).records()
    assert [len(record.evaluations) for record in records] == [10] * 6
    assert {record.state for record in records} == {TrialState.FINISHED}


# --- what the journal gives back


def test_records_come_back_from_the_journal_as_they_were(search: SearchStudy, path: Path) -> None:
    began = time.time()
    number = ask(search).number
    search.describe(number, {"learning_rate": 2e-5})
    search.report(number, evaluation(1, 0.5))
    search.finish(number, RESULT)
    run(search, [0.9] * 6)
    run(search, [0.1] * 6)
    running = ask(search)
    before = search.records()
    search.close()
    with SearchStudy.open(path) as again:
        assert again.records() == before
        assert again.running() == [running]
        assert again.study == search.study
        assert again.record(number).absolute == {"learning_rate": 2e-5}
        assert again.record(number).zero_shot == RESULT
    assert before[0].started is not None
    assert before[0].ended is not None
    assert began - 1 <= before[0].started <= before[0].ended <= time.time() + 1


def test_describing_again_writes_only_what_changed(search: SearchStudy, path: Path) -> None:
    number = ask(search).number
    search.describe(number, {"sigma": math.nan, "radius": 0.5})
    before = commits(path)
    search.describe(number, {"radius": 0.5, "sigma": math.nan})
    assert commits(path) == before
    search.describe(number, {"sigma": 1.5})
    assert search.record(number).absolute == {"sigma": 1.5}


def test_the_best_trial_has_the_highest_last_value_and_is_the_earliest_of_equals(
    path: Path,
) -> None:
    search = create(path, Parameter("method", Constant("rs_rp")), SIGMA, stopping={"asha": None})
    assert search.best() is None
    run(search, [0.9, 0.5])
    run(search, [0.1, 0.7])
    run(search, [0.7])
    search.fail(run_until(search, 0.99), "out of memory")
    best = search.best()
    assert best is not None
    assert best.number == 1


def test_of_equal_trials_a_plain_one_is_best_as_in_the_report(path: Path) -> None:
    search = create(path, startup_trials=99, trials=30, stopping={"asha": None})
    run(search, [0.5])
    assert run(search, [0.7]).configuration.method == "rs_rp"
    while run(search, [0.7]).configuration.method == "rs_rp":
        continue
    best = search.best()
    assert best is not None
    assert best.configuration.method == "standard"
    assert best == summarise(search.records()).winner


def run_until(search: SearchStudy, value: float) -> int:
    """Return a running trial with one evaluation."""
    number = ask(search).number
    search.report(number, evaluation(1, value))
    return number


def test_optunas_own_backend_reads_the_search(search: SearchStudy, path: Path) -> None:
    run(search, [0.9] * 6)
    stock = JournalStorage(JournalFileBackend(str(path)))
    assert stock.get_all_trials(stock.get_study_id_from_name("rxtune")) == search._ledger.trials()


def test_a_search_can_be_looked_at_while_it_runs(search: SearchStudy, path: Path) -> None:
    run(search, [0.9] * 6)
    with SearchStudy.open(path, read_only=True) as reader:
        assert reader.records() == search.records()


@pytest.mark.parametrize("stopping", ["none", {"asha": {"evaluations": 4, "first_rung": 1}}])
def test_the_study_survives_the_journal(stopping: Any) -> None:
    parameters = (
        BOTH,
        Parameter("sigma", LogUniform(0.1, 3.0), when={"method": ("rs_rp",)}),
        RATE,
    )
    study = build_study(*parameters, stopping=stopping)
    assert _study_from_json(json.loads(json.dumps(_study_to_json(study)))) == study


OWN = {
    "name": "own",
    "labels": ["good", "bad"],
    "source_language": "en",
    "target_languages": ["sw"],
    "columns": {"text": "text", "label": "label"},
    "files": {"train": {"en": "/d/a.tsv"}, "dev": {"sw": "/d/b.tsv"}, "test": {"sw": "/d/c.tsv"}},
}
CHOSEN = {"catalogue": "sib200", "folder": "/d/sib200"}


@pytest.mark.parametrize(
    "task",
    [TaskFile.model_validate(OWN), TaskChoice.model_validate(CHOSEN)],
    ids=["own", "chosen"],
)
def test_a_task_of_ones_own_survives_the_journal(task: TaskFile | TaskChoice) -> None:
    study = build_study(BOTH, Parameter("sigma", LogUniform(0.1, 3.0)), RATE)
    study = study.model_copy(update={"task": task})
    assert _study_from_json(json.loads(json.dumps(_study_to_json(study)))) == study


# --- giving up


def test_four_failures_and_nothing_else_end_the_search_with_their_reasons(path: Path) -> None:
    search = create(path)
    search.fail(ask(search).number, "interrupted", Failure.INTERRUPTED)
    for reason in ("out of memory", "diverged", "out of memory"):
        search.fail(ask(search).number, reason)
    assert search.all_failed_early() is None
    search.fail(ask(search).number, "no such layer")
    message = search.all_failed_early()
    assert message == "all of the first 4 trials failed: 2 x out of memory; 1 x diverged"


def test_a_trial_that_gets_somewhere_keeps_the_search_alive(path: Path) -> None:
    search = create(path)
    run_until(search, 0.5)
    for _ in range(6):
        search.fail(ask(search).number, "out of memory")
    assert search.all_failed_early() is None


# --- refusals


def test_a_second_search_in_one_journal_is_refused(search: SearchStudy, path: Path) -> None:
    search.close()
    with pytest.raises(StudyError, match="holds a search already; continue it with --resume"):
        create(path)
    SearchStudy.open(path).close()


def test_a_search_that_is_not_there_cannot_be_resumed(path: Path) -> None:
    with pytest.raises(StudyError, match="no such search; start it without --resume"):
        SearchStudy.open(path)
    assert not path.exists()
    path.touch()
    with pytest.raises(StudyError, match="holds no search yet"):
        SearchStudy.open(path)


def test_a_journal_of_another_version_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("rxtune.search.ledger.FORMAT", 1)
        create(path).close()
    with pytest.raises(StudyError, match=r"format 1, needed 2\); use the version that wrote it"):
        Ledger.open(path, sync=lambda _: None, read_only=False)


def test_a_configuration_of_another_version_is_refused_and_its_journal_released(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_json = Configuration.to_json
    with monkeypatch.context() as patch:
        patch.setattr(Configuration, "to_json", lambda self: {**to_json(self), "torsion": 1})
        with create(path) as search, pytest.raises(StudyError, match="'torsion'"):
            search.ask()
    for _ in range(2):  # the second time it would be in use
        with pytest.raises(StudyError, match=r"'torsion'.*the version of rxtune that wrote it"):
            SearchStudy.open(path)


def test_the_garbage_collector_rests_while_a_journal_is_read_and_not_longer(path: Path) -> None:
    with create(path, trials=40) as search:
        while search.ask() is not None:
            pass
    collections: list[str] = []
    threshold = gc.get_threshold()
    gc.callbacks.append(lambda phase, _: collections.append(phase))
    gc.set_threshold(100)
    try:
        SearchStudy.open(path).close()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.pop()
    assert collections.count("start") <= 2  # before and afterwards
    assert gc.isenabled()


def test_a_space_that_is_used_up_is_not_looked_through_again(path: Path) -> None:
    search = create(path, Parameter("method", Constant("standard")))
    ask(search)
    assert search.ask() is None
    assert search.exhausted is not None

    def refuse(*_: object) -> None:
        raise AssertionError("Ray asks many times a second while a trial runs")

    search._proposer.next = refuse  # type: ignore[assignment,method-assign]
    assert search.ask() is None
    search.fail(0, "the search was ended", Failure.INTERRUPTED)
    assert ask(search).retry_of == 0  # what broke off goes on all the same
    assert search.exhausted is not None


def test_what_a_trial_had_passed_before_it_was_cut_off_does_not_stop_it_afterwards(
    search: SearchStudy,
) -> None:
    run(search, [0.5] * 6)
    first, *others = (ask(search).number for _ in range(4))
    assert not any(search.report(first, evaluation(step, 0.6)) for step in (1, 2))
    for number in others:
        assert not any(search.report(number, evaluation(step, 0.9)) for step in (1, 2))
    search.fail(first, "the search was ended", Failure.INTERRUPTED)
    again = ask(search)
    assert again.retry_of == first
    # What was good enough for the rung then is not asked again, though it would not be now.
    assert not any(search.report(again.number, evaluation(step, 0.6)) for step in (1, 2))
    assert search.report(ask(search).number, evaluation(2, 0.6))
