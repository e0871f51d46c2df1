"""Every event goes to journal, MLflow and disk, in this order; real journal, the rest recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Configuration, Study
from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.director import Director

RESULT = ZeroShot(accuracy={"eng": 0.9, "qab": 0.5}, source_language="eng", dev_languages=("qab",))


class Spy:
    """Stands for tracker, models and workload: remembers what it is told, and in which order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.models_left = True

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*arguments: Any) -> None:
            first = arguments[0]
            self.told.append((name, first.number if isinstance(first, TrialRecord) else first))

        return note

    def has_model(self, number: int) -> bool:
        return self.models_left

    def folder(self, number: int) -> str:
        return f"s3://b/trial-{number:04d}"

    def absolute(self, configuration: Configuration) -> dict[str, float]:
        return {"learning_rate": 1e-3 * configuration.learning_rate}


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def decisions(study: Study, tmp_path: Path) -> SearchStudy:
    return SearchStudy.create(tmp_path / "journal.log", study, sync=lambda _: None)


@pytest.fixture
def direct(spy: Spy, tmp_path: Path) -> Callable[[SearchStudy], Director]:
    def make(decisions: SearchStudy) -> Director:
        return Director(
            decisions=decisions,
            tracker=spy,  # type: ignore[arg-type]
            models=spy,  # type: ignore[arg-type]
            workload=spy,  # type: ignore[arg-type]
            tokenizer_folder=tmp_path,
            threads=2,
            device="cpu",
            failures=tmp_path / "failures",
        )

    return make


@pytest.fixture
def director(direct: Callable[[SearchStudy], Director], decisions: SearchStudy) -> Director:
    return direct(decisions)


def evaluation(number: int, value: float) -> str:
    content = Evaluation(
        number=number,
        updates=10 * number,
        value=value,
        accuracy={"qab": value},
        train_loss=1.0,
        forward_equivalents=30.0,
        seconds=1.0,
        time=1.7e9,
    )
    return json.dumps({"kind": "evaluation", "evaluation": content.to_json()})


FINISHED = json.dumps({"kind": "finished", "zero_shot": RESULT.to_json()})


def failed(reason: str, **content: str) -> str:
    return json.dumps({"kind": "failed", "reason": reason, **content})


def run(director: Director, *values: float) -> int:
    """Run a trial to its end, or until it is stopped."""
    number = start(director)
    for position, value in enumerate(values, start=1):
        if director.hear(number, evaluation(position, value)):
            return number
    director.hear(number, FINISHED)
    return number


def start(director: Director) -> int:
    trial = director.next_trial()
    assert trial is not None
    number: int = trial["number"]
    return number


def test_a_worker_gets_all_it_needs_as_plain_values(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    trial = director.next_trial()
    assert trial == {
        "number": 0,
        "configuration": Configuration().to_json(),
        "folder": "s3://b/trial-0000",
        "threads": 2,
        "device": "cpu",
    }
    assert json.loads(json.dumps(trial)) == trial
    assert decisions.record(0).absolute == {"learning_rate": 1e-3}
    assert spy.told == [("trial_started", 0)]


def test_there_are_no_more_trials_than_asked_for(director: Director) -> None:
    for _ in range(6):
        start(director)
    assert director.next_trial() is None


def test_a_finished_best_trial_is_crowned_before_its_files_are_forgotten(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    run(director, 0.4, 0.5)
    assert decisions.record(0).state is TrialState.FINISHED
    assert spy.told[-3:] == [("crown", 0), ("trial_ended", 0), ("forget", 0)]


def test_a_finished_trial_that_is_not_the_best_is_not_crowned(
    director: Director, spy: Spy
) -> None:
    run(director, 0.4, 0.5)
    number = run(director, 0.45, 0.3)
    assert ("crown", number) not in spy.told
    assert ("forget", number) in spy.told


def test_a_trial_that_asha_stops_is_told_so_and_wound_up(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    run(director, 0.6, 0.6)
    number = run(director, 0.2, 0.9)
    record = decisions.record(number)
    assert (record.state, record.value) == (TrialState.STOPPED, 0.2)
    told = [("evaluated", number), ("trial_ended", number), ("forget", number)]
    assert spy.told[-3:] == told


def test_a_failure_keeps_its_reason_and_its_traceback(
    director: Director, decisions: SearchStudy, tmp_path: Path
) -> None:
    number = start(director)
    assert director.hear(number, failed("OSError: disk full", traceback="Traceback …")) is False
    record = decisions.record(number)
    assert (record.state, record.reason) == (TrialState.FAILED, "OSError: disk full")
    assert (tmp_path / "failures" / "trial-0000.txt").read_text() == "Traceback …"


def test_a_divergence_leaves_no_traceback(director: Director, tmp_path: Path) -> None:
    director.hear(start(director), failed("diverged: loss is nan"))
    assert not (tmp_path / "failures").exists()


def test_a_worker_that_dies_after_its_trial_has_ended_changes_nothing(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    number = run(director, 0.4, 0.5)
    before, told = decisions.record(number), list(spy.told)
    director.lose(number, "worker lost: killed")
    assert decisions.record(number) == before
    assert spy.told == told


def test_the_search_ends_itself_when_nothing_but_failures_has_come(director: Director) -> None:
    for count in range(1, 5):
        assert not director.must_end, count
        director.hear(start(director), failed("diverged: loss is nan"))
    assert director.must_end
    assert director.hopeless is not None
    assert "4 x diverged: loss is nan" in director.hopeless
    assert director.next_trial() is None


def test_an_interrupt_ends_the_search_and_its_trials_are_told(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    finished = run(director, 0.4, 0.5)
    first, second = start(director), start(director)
    director.interrupt()
    assert director.must_end
    assert director.next_trial() is None
    director.end_running()
    assert decisions.running() == []
    assert decisions.record(finished).state is TrialState.FINISHED
    for number in (first, second):
        assert decisions.record(number).reason == "interrupted: the search was ended"
        assert ("trial_ended", number) in spy.told


def test_an_error_in_a_callback_is_kept_and_ends_the_search(director: Director) -> None:
    for error in (OSError("disk full"), ValueError("a consequence")):
        with director.answering_for_errors():
            raise error
    assert director.must_end
    assert isinstance(director.error, OSError)


def test_trials_that_a_crash_cut_off_come_first(
    director: Director, decisions: SearchStudy, direct: Callable[[SearchStudy], Director]
) -> None:
    run(director, 0.4, 0.5)
    cut_off = [start(director), start(director)]
    resumed = direct(decisions)
    assert [start(resumed) for _ in range(3)] == [*cut_off, 3]


def test_what_a_crash_kept_from_mlflow_and_the_disk_is_made_up_for(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    best = run(director, 0.4, 0.6)
    other = run(director, 0.5, 0.5)
    running = start(director)
    spy.told.clear()
    director.make_up()
    assert spy.told[0] == ("sync", decisions.records())
    assert spy.told[1:] == [("crown", best), ("forget", best), ("forget", other)]
    assert ("forget", running) not in spy.told


def test_a_best_model_that_somebody_deleted_does_not_stop_a_resume(
    director: Director, spy: Spy
) -> None:
    run(director, 0.4, 0.6)
    spy.told.clear()
    spy.models_left = False
    director.make_up()
    assert "crown" not in [name for name, *_ in spy.told]


def test_nothing_is_crowned_before_anything_has_finished(director: Director, spy: Spy) -> None:
    start(director)
    director.make_up()
    assert [name for name, _ in spy.told if name == "crown"] == []
