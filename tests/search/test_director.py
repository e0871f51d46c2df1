"""Every event goes to journal, MLflow and disk, in this order; real journal, the rest recorded."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Configuration, Stopping, Study
from rxtune.errors import ClusterError, DiskFullError
from rxtune.results import Evaluation, Failure, TrialRecord, TrialState, ZeroShot
from rxtune.search.budgets import Limits, spent
from rxtune.search.decisions import SearchStudy
from rxtune.search.director import Director
from rxtune.search.retries import NODE_LOSSES, Loss

RESULT = ZeroShot(accuracy={"eng": 0.9, "qab": 0.5}, source_language="eng", dev_languages=("qab",))


LOST = Loss(Failure.WORKER_LOST, "worker lost: killed")
NODE = Loss(Failure.NODE_LOST, "node lost: preempted")


class Spy:
    """Stands for tracker, models and workload: remembers what it is told, and in which order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.is_full = False

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*arguments: Any) -> None:
            first = arguments[0]
            if self.is_full and name == "retain":  # a mock of a full disk
                raise OSError(errno.ENOSPC, "No space left on device")
            self.told.append((name, first.number if isinstance(first, TrialRecord) else first))

        return note

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


class Clock:
    """Seconds since the first trial, as a test sets them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def direct(spy: Spy, clock: Clock, tmp_path: Path) -> Callable[..., Director]:
    def make(decisions: SearchStudy, *, shares_device: bool = False) -> Director:
        return Director(
            decisions=decisions,
            tracker=spy,  # type: ignore[arg-type]
            models=spy,  # type: ignore[arg-type]
            workload=spy,  # type: ignore[arg-type]
            tokenizer_folder=tmp_path,
            threads=2,
            device="cpu",
            failures=tmp_path / "failures",
            limits=Limits(
                search=decisions.study.search,
                evaluations=decisions.study.stopping.evaluations,
                examples=1000,
            ),
            elapsed=clock,
            shares_device=shares_device,
        )

    return make


@pytest.fixture
def limited(study: Study, tmp_path: Path, direct: Callable[..., Director]) -> Any:
    """Return a function that begins, or goes on with, a search with these limits."""

    def make(**limits: Any) -> tuple[Director, SearchStudy]:
        search = type(study.search)(**{**study.search.model_dump(mode="json"), **limits})
        journal = tmp_path / "limited.log"
        if journal.exists():
            decisions = SearchStudy.open(journal, sync=lambda _: None)
            decisions.extend(search)
        else:
            new = study.model_copy(update={"search": search})
            decisions = SearchStudy.create(journal, new, sync=lambda _: None)
        return direct(decisions), decisions

    return make


@pytest.fixture
def director(direct: Callable[..., Director], decisions: SearchStudy) -> Director:
    return direct(decisions)


def evaluation(number: int, value: float, cost: float = 30.0) -> str:
    content = Evaluation(
        number=number,
        updates=10 * number,
        value=value,
        accuracy={"qab": value},
        train_loss=1.0,
        forward_equivalents=cost,
        seconds=1.0,
        time=1.7e9,
    )
    return json.dumps({"kind": "evaluation", "evaluation": content.to_json()})


FINISHED = json.dumps(
    {"kind": "finished", "zero_shot": RESULT.to_json(), "replicate": 1, "value": 0.5}
)


def failed(reason: str, failure: Failure = Failure.ERROR, **content: str) -> str:
    return json.dumps({"kind": "failed", "reason": reason, "failure": failure, **content})


DIVERGED = failed("diverged: loss is nan", Failure.DIVERGED)


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
        "replicates": 1,
        "replicates_done": 0,
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
    assert spy.told[-3:] == [("retain", [0]), ("trial_ended", 0), ("forget", 0)]


def test_models_are_kept_in_the_order_of_the_search(director: Director, spy: Spy) -> None:
    first, worse, equal = (
        run(director, 0.4, 0.5),
        run(director, 0.45, 0.3),
        run(director, 0.5, 0.5),
    )
    told = [numbers for name, numbers in spy.told if name == "retain"]
    assert told == [[first], [first, worse], [first, equal, worse]]
    assert ("forget", worse) in spy.told


# --- a full disk


def test_a_worker_whose_disk_is_full_ends_the_search_and_its_trial_stays_as_it_is(
    director: Director, decisions: SearchStudy, spy: Spy, direct: Callable[..., Director]
) -> None:
    number = start(director)
    director.hear(number, evaluation(1, 0.4))
    assert director.hear(
        number, json.dumps({"kind": "disk full", "reason": "/x: the disk is full"})
    )
    director.left(number)
    assert director.must_end
    assert isinstance(director.error, DiskFullError)
    assert str(director.error) == "/x: the disk is full"
    assert director.next_trial() is None
    assert decisions.record(number).state is TrialState.RUNNING
    assert ("forget", number) not in spy.told
    assert start(direct(decisions)) == number


def test_a_disk_that_fills_while_the_best_model_is_kept_costs_nothing(
    director: Director, decisions: SearchStudy, spy: Spy, direct: Callable[..., Director]
) -> None:
    spy.is_full = True
    with director.answering_for_errors():
        run(director, 0.4, 0.5)
    assert isinstance(director.error, DiskFullError)
    assert decisions.record(0).state is TrialState.FINISHED
    assert ("forget", 0) not in spy.told
    spy.is_full = False
    direct(decisions).make_up()
    assert spy.told[-2:] == [("retain", [0]), ("forget_others", set())]


def test_what_a_trials_folder_held_is_noted_before_anything_in_it_is_deleted(
    director: Director, spy: Spy
) -> None:
    run(director, 0.4, 0.5)
    assert [name for name, _ in spy.told if name in ("measure", "forget")] == [
        *["measure"] * 3,
        "forget",
    ]


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
    assert record.failure is Failure.ERROR
    assert (tmp_path / "failures" / "trial-0000.txt").read_text() == "Traceback …"


def test_a_divergence_leaves_no_traceback(director: Director, tmp_path: Path) -> None:
    director.hear(start(director), DIVERGED)
    assert not (tmp_path / "failures").exists()


def test_a_worker_that_dies_after_its_trial_has_ended_changes_nothing(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    number = run(director, 0.4, 0.5)
    before, told = decisions.record(number), list(spy.told)
    director.lose(number, LOST)
    director.left(number)
    assert decisions.record(number) == before
    assert spy.told == told


def test_the_search_ends_itself_when_nothing_but_failures_has_come(director: Director) -> None:
    for count in range(1, 5):
        assert not director.must_end, count
        director.hear(start(director), DIVERGED)
    assert director.must_end
    assert director.hopeless is not None
    assert "4 x diverged: loss is nan" in director.hopeless
    assert director.next_trial() is None


def test_what_such_an_end_cuts_off_says_so(director: Director, decisions: SearchStudy) -> None:
    running = start(director)
    for _ in range(4):
        director.hear(start(director), DIVERGED)
    director.end_running()
    reason = decisions.record(running).reason
    assert reason is not None
    assert reason.startswith("ended: ")
    assert "diverged: loss is nan" in reason


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
    director: Director, decisions: SearchStudy, direct: Callable[..., Director]
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
    assert spy.told[1:] == [("retain", [best, other]), ("forget_others", {running})]


def test_nothing_is_kept_before_anything_has_finished(director: Director, spy: Spy) -> None:
    start(director)
    director.make_up()
    assert [numbers for name, numbers in spy.told if name == "retain"] == [[]]


# --- what breaks off


def lose(director: Director, number: int, loss: Loss) -> bool:
    """Lose a trial's worker, and take up what is next if the trial may go on."""
    goes_on = director.lose(number, loss)
    if goes_on:
        assert start(director) == number  # before any new trial
    return goes_on


def test_a_lost_worker_is_replaced_twice_then_the_trial_has_failed(
    director: Director, decisions: SearchStudy, spy: Spy
) -> None:
    number = start(director)
    assert [lose(director, number, LOST) for _ in range(3)] == [True, True, False]
    record = decisions.record(number)
    assert (record.failure, record.losses) == (Failure.WORKER_LOST, 3)
    assert record.reason == "worker lost: killed"
    assert spy.told.count(("forget", number)) == 1  # its checkpoint stays until then


def test_losses_are_counted_over_resumes(
    director: Director, decisions: SearchStudy, direct: Callable[..., Director]
) -> None:
    number = start(director)
    director.lose(number, LOST)
    director.lose(number, LOST)
    resumed = direct(decisions)
    assert start(resumed) == number
    assert resumed.lose(number, LOST) is False


def test_a_lost_machine_is_not_counted_against_a_trial_that_gets_on(
    director: Director, decisions: SearchStudy
) -> None:
    number = start(director)
    for evaluation_number in (1, 2):
        assert all(lose(director, number, NODE) for _ in range(NODE_LOSSES))
        director.hear(number, evaluation(evaluation_number, 0.5))
    assert decisions.record(number).losses == 0


def test_what_the_storage_refused_a_trial_is_counted_and_the_search_goes_on(
    director: Director, decisions: SearchStudy
) -> None:
    number = start(director)
    told = {**json.loads(evaluation(1, 0.5)), "trouble": ["a checkpoint was not written (why)"]}
    assert director.hear(number, json.dumps(told)) is False
    assert len(decisions.record(number).evaluations) == 1
    assert director.error is None
    assert director.trouble.told() == (
        f"a checkpoint was not written, once (last of trial {number}: why)",
    )


def test_a_trial_whose_model_was_not_saved_is_left_out_before_the_best_are_kept(
    director: Director, spy: Spy
) -> None:
    number = start(director)
    director.hear(number, evaluation(1, 0.4))
    told = {**json.loads(FINISHED), "trouble": ["its model was not saved (why)"]}
    director.hear(number, json.dumps(told))
    assert spy.told.index(("leave_out", number)) < spy.told.index(("retain", [number]))


def test_a_model_that_is_owed_is_asked_for_again_at_the_end(
    director: Director, spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxtune.search.director.PAUSES", (0.0, 0.0, 0.0))
    run(director, 0.4, 0.5)
    owed = {0: "AWS Error SLOW_DOWN"}
    spy.__dict__["owed"] = owed
    before = spy.told.count(("retain", [0]))
    assert director.keep_owed() == (
        "the model of trial 0 was not brought from the storage, where it stays"
        " (AWS Error SLOW_DOWN)",
    )
    assert spy.told.count(("retain", [0])) == before + 3
    owed.clear()
    assert director.keep_owed() == ()
    assert spy.told.count(("retain", [0])) == before + 3


def test_machines_lost_in_a_row_do_not_go_on_for_ever(
    director: Director, decisions: SearchStudy
) -> None:
    number = start(director)
    assert all(lose(director, number, NODE) for _ in range(NODE_LOSSES))
    assert lose(director, number, NODE) is False
    assert decisions.record(number).failure is Failure.NODE_LOST


OUT_OF_MEMORY = failed("out of memory: 40 MB", Failure.OUT_OF_MEMORY)


def test_memory_that_others_shared_is_tried_once_more(
    decisions: SearchStudy, direct: Callable[..., Director]
) -> None:
    director = direct(decisions, shares_device=True)
    number = start(director)
    assert director.hear(number, OUT_OF_MEMORY) is True  # stopped there, to go on elsewhere
    director.left(number)  # as Ray says of every trial that is done
    assert start(director) == number
    assert director.hear(number, OUT_OF_MEMORY) is False
    assert decisions.record(number).failure is Failure.OUT_OF_MEMORY


@pytest.mark.parametrize("message", [OUT_OF_MEMORY, DIVERGED, failed("ValueError: odd")])
def test_what_would_come_out_again_is_not_tried_again(
    director: Director, decisions: SearchStudy, message: str
) -> None:
    number = start(director)
    director.hear(number, message)
    assert (decisions.record(number).state, start(director)) == (TrialState.FAILED, number + 1)


def test_a_worker_that_leaves_without_a_word_is_a_lost_one(
    director: Director, decisions: SearchStudy
) -> None:
    number = start(director)
    for _ in range(3):
        director.left(number)
        director.next_trial()
    assert decisions.record(number).reason == "worker lost: it ended without a result"


def test_as_long_as_a_trial_runs_there_may_be_one_to_hand_out(director: Director) -> None:
    numbers = [start(director) for _ in range(6)]
    assert director.next_trial() is None
    assert director.may_hand_out
    for number in numbers:
        director.hear(number, DIVERGED)
    assert not director.may_hand_out


# --- limits


def test_the_time_budget_cuts_off_what_runs_and_says_so(limited: Any, clock: Clock) -> None:
    director, decisions = limited(time_budget="90s")
    done, running = run(director, 0.4, 0.5), start(director)
    clock.now = 89.0
    assert not director.must_end
    clock.now = 90.0
    assert director.must_end  # asked by Ray's loop, without any report
    assert director.next_trial() is None
    director.end_running()
    record = decisions.record(running)
    assert (record.failure, record.reason) == (
        Failure.INTERRUPTED,
        "ended: the time budget of 1m30s is used up",
    )
    assert decisions.record(done).state is TrialState.FINISHED
    assert (director.ending.by, director.cut) == ("time_budget", 1)


def test_the_compute_budget_ends_running_trials_at_their_next_evaluation(
    limited: Any,
) -> None:
    director, decisions = limited(compute_budget=60)
    first, second = start(director), start(director)
    assert director.hear(first, evaluation(1, 0.5)) is False
    assert director.hear(second, evaluation(1, 0.5)) is True
    assert decisions.record(second).reason == "ended: the compute budget of 60 is used up"
    assert not director.must_end  # the other one is still to be heard
    assert director.next_trial() is None
    assert director.may_hand_out


def test_a_trial_that_has_trained_to_its_end_is_not_cut_off_by_the_compute_budget(
    limited: Any,
) -> None:
    director, decisions = limited(compute_budget=30)
    number = start(director)
    director.hear(number, evaluation(1, 0.5, cost=10.0))
    assert director.hear(number, evaluation(2, 0.5, cost=30.0)) is False
    director.hear(number, FINISHED)
    assert decisions.record(number).state is TrialState.FINISHED
    assert (director.next_trial(), director.cut) == (None, 0)
    assert not director.may_hand_out


def test_a_resume_without_more_compute_starts_nothing(limited: Any) -> None:
    director, decisions = limited(compute_budget=30)
    director.hear(start(director), evaluation(1, 0.5))
    before = decisions.records()
    decisions.close()
    director, decisions = limited(compute_budget=30)
    assert director.next_trial() is None
    assert not director.may_hand_out
    assert director.ending.by == "compute_budget"
    director.end_running()
    assert decisions.records() == before


def test_a_resume_with_more_compute_takes_up_what_was_cut_off(limited: Any) -> None:
    director, decisions = limited(compute_budget=30)
    director.hear(start(director), evaluation(1, 0.5))
    decisions.close()
    director, decisions = limited(compute_budget=300)
    number = start(director)
    assert decisions.record(number).configuration == decisions.record(0).configuration
    assert decisions.study.search.compute_budget.amount == 300


@pytest.mark.parametrize("limit", [{"compute_budget": 90}, {"plateau": 1}])
def test_cut_after_any_report_and_resumed_a_limited_search_ends_at_the_same_point(
    limited: Any, tmp_path: Path, limit: dict[str, Any]
) -> None:
    values = {0: (0.4, 0.5), 1: (0.45, 0.5), 2: (0.6, 0.7)}

    def go_on(director: Director, stop_after: int) -> int:
        """Run one trial at a time; return how many reports there were, at most so many."""
        reports = 0
        while (trial := director.next_trial()) is not None:
            number = trial["number"]
            for position in (1, 2):
                if reports == stop_after:
                    return reports
                reports += 1
                if director.hear(number, evaluation(position, values[number][position - 1])):
                    break
            else:
                director.hear(number, FINISHED)
        director.end_running()
        return reports

    def outcome(decisions: SearchStudy) -> list[Any]:
        return [(r.number, r.state, r.reason, r.evaluations) for r in decisions.records()]

    director, decisions = limited(**limit)
    total = go_on(director, 100)
    expected = outcome(decisions)
    assert director.ending is not None
    for cut in range(total):
        decisions.close()
        (tmp_path / "limited.log").unlink()
        director, decisions = limited(**limit)
        go_on(director, cut)
        decisions.close()
        director, decisions = limited(**limit)
        go_on(director, 100)
        assert outcome(decisions) == expected, cut


def test_a_plateau_starts_nothing_new_and_lets_the_rest_finish(limited: Any) -> None:
    director, decisions = limited(plateau=1)
    run(director, 0.5, 0.5)
    running = start(director)
    run(director, 0.5, 0.5)
    assert director.next_trial() is None
    assert director.may_hand_out
    director.hear(running, evaluation(1, 0.5))
    assert decisions.record(running).state is TrialState.RUNNING
    assert director.ending.by == "plateau"


def test_a_trial_that_time_cuts_off_after_a_plateau_is_told_of_the_time(
    limited: Any, clock: Clock
) -> None:
    director, decisions = limited(plateau=1, time_budget="90s")
    run(director, 0.5, 0.5)
    running = start(director)
    run(director, 0.5, 0.5)
    assert director.next_trial() is None
    assert director.ending.by == "plateau"
    clock.now = 90.0
    director.end_running()
    assert decisions.record(running).reason == "ended: the time budget of 1m30s is used up"
    assert director.ending.by == "time_budget"


def test_a_compute_budget_cuts_off_what_a_plateau_lets_finish(limited: Any) -> None:
    director, decisions = limited(plateau=1, compute_budget=70)
    run(director, 0.5, 0.5)
    running = start(director)
    run(director, 0.5, 0.5)
    assert director.next_trial() is None
    assert director.ending.by == "plateau"
    assert director.hear(running, evaluation(1, 0.5)) is True
    assert decisions.record(running).reason == "ended: the compute budget of 70 is used up"


def test_a_plateau_that_was_noticed_stands_even_if_a_trial_that_ran_leaves_it(
    limited: Any,
) -> None:
    director, decisions = limited(plateau=1)
    run(director, 0.5, 0.5)
    running = start(director)
    run(director, 0.5, 0.5)
    assert director.next_trial() is None
    for position in (1, 2):
        director.hear(running, evaluation(position, 0.9))
    director.hear(running, FINISHED)
    assert decisions.record(running).state is TrialState.FINISHED
    assert director.next_trial() is None
    assert director.ending.by == "plateau"


def test_an_interrupt_is_told_as_such_even_if_the_time_is_up(limited: Any, clock: Clock) -> None:
    director, decisions = limited(time_budget="1s")
    number = start(director)
    director.interrupt()
    clock.now = 2.0
    director.end_running()
    assert decisions.record(number).reason == "interrupted: the search was ended"


def finished(replicate: int, value: float) -> str:
    told = {"zero_shot": RESULT.to_json(), "replicate": replicate, "value": value}
    return json.dumps({"kind": "finished", **told})


def test_of_a_trial_on_several_seeds_only_a_contender_goes_on(
    study: Study, tmp_path: Path, spy: Spy, direct: Callable[..., Director]
) -> None:
    several = study.search.model_copy(update={"replicates": 2})
    search = study.model_copy(update={"search": several, "stopping": Stopping(asha=None)})
    with SearchStudy.create(tmp_path / "several.log", search, sync=lambda _: None) as decisions:
        director = direct(decisions)
        strong, weak = start(director), start(director)
        for number, value in ((strong, 0.6), (weak, 0.5)):
            for position in (1, 2):
                assert not director.hear(number, evaluation(position, value))
        assert not director.hear(strong, finished(1, 0.6))  # goes on with its second seed
        assert director.hear(weak, finished(1, 0.5))  # told to stop, with its result
        assert decisions.record(weak).state is TrialState.FINISHED
        assert decisions.record(strong).state is TrialState.RUNNING
        assert not director.hear(strong, finished(2, 0.8))  # has no more seeds
        assert decisions.record(strong).value == pytest.approx(0.7)
        assert spy.told.count(("trial_ended", strong)) == 1


def test_a_trial_that_was_cut_off_goes_on_from_its_files_under_its_new_number(
    director: Director, direct: Callable[..., Director], decisions: SearchStudy, spy: Spy
) -> None:
    number = start(director)
    director.hear(number, evaluation(1, 0.5))
    director.interrupt()
    director.end_running()
    assert ("forget", number) not in spy.told
    resumed = direct(decisions)
    resumed.make_up()
    assert spy.told[-1] == ("forget_others", {number})
    again = start(resumed)
    assert ("adopt", number) in spy.told
    assert decisions.record(again).retry_of == number
    # What it reports again is one training, not two.
    resumed.hear(again, evaluation(1, 0.5))
    limits = Limits(search=decisions.study.search, evaluations=2, examples=1000)
    assert spent(limits, "forward_equivalents", decisions.records()) == 30.0
    spy.told.clear()
    direct(decisions).make_up()
    assert spy.told[-1] == ("forget_others", {again})


def test_a_crash_between_a_new_number_and_its_files_loses_no_checkpoint(
    director: Director, direct: Callable[..., Director], decisions: SearchStudy, spy: Spy
) -> None:
    lost = start(director)
    director.hear(lost, evaluation(1, 0.5))
    director.interrupt()
    director.end_running()
    again = decisions.ask()  # killed here: its files still lie under the old number
    assert again is not None
    assert again.retry_of == lost
    spy.told.clear()
    direct(decisions).make_up()
    assert [told for told in spy.told if told[0] in ("adopt", "forget_others")] == [
        ("adopt", lost),
        ("forget_others", {again.number}),
    ]


def test_a_used_up_compute_budget_starts_no_further_seed(
    study: Study, tmp_path: Path, direct: Callable[..., Director]
) -> None:
    limits = {**study.search.model_dump(mode="json"), "replicates": 3, "compute_budget": 60}
    several = study.model_copy(update={"search": type(study.search)(**limits)})
    with SearchStudy.create(tmp_path / "several.log", several, sync=lambda _: None) as decisions:
        director = direct(decisions)
        number = start(director)
        for position, cost in ((1, 20.0), (2, 40.0)):
            assert not director.hear(number, evaluation(position, 0.6, cost=cost))
        assert not director.hear(number, finished(1, 0.6))  # the baseline goes on
        assert director.hear(number, finished(2, 0.8))  # told to stop, with both results
        record = decisions.record(number)
        assert (record.state, len(record.replicates)) == (TrialState.FINISHED, 2)
        assert record.value == pytest.approx(0.7)
        assert director.ending is not None
        assert director.ending.by == "compute_budget"


def test_a_resume_settles_a_trial_whose_next_seed_its_used_up_budget_does_not_pay_for(
    limited: Any, spy: Spy
) -> None:
    director, decisions = limited(replicates=3, compute_budget=30)
    number = start(director)
    for position, cost in ((1, 10.0), (2, 20.0)):
        assert not director.hear(number, evaluation(position, 0.6, cost=cost))
    assert not director.hear(number, finished(1, 0.6))  # the baseline goes on
    decisions.close()  # killed in its second seed
    director, decisions = limited(replicates=3, compute_budget=20)
    spy.told.clear()
    assert director.next_trial() is None
    record = decisions.record(number)
    assert (record.state, len(record.replicates), record.value) == (TrialState.FINISHED, 1, 0.6)
    assert spy.told == [("retain", [number]), ("trial_ended", number), ("forget", number)]
    assert not director.may_hand_out


def test_a_resume_goes_on_with_the_seed_at_which_a_trial_was_lost(limited: Any) -> None:
    director, decisions = limited(replicates=3)
    number = start(director)
    for position in (1, 2):
        director.hear(number, evaluation(position, 0.6))
    assert not director.hear(number, finished(1, 0.6))
    decisions.close()
    director, decisions = limited(replicates=3)
    trial = director.next_trial()
    assert (trial["number"], trial["replicates_done"]) == (number, 1)
    assert decisions.record(number).state is TrialState.RUNNING


def test_a_driver_whose_search_was_taken_over_ends_and_says_by_whom(
    decisions: SearchStudy, direct: Callable[..., Director]
) -> None:
    director = direct(decisions)
    assert director.next_trial() is not None
    director.taken_over("other-head")
    assert director.must_end
    assert director.next_trial() is None
    assert isinstance(director.error, ClusterError)
    assert "another driver, on other-head, goes on with this search" in str(director.error)
