"""What Ray Tune is told: the director's answers, in Ray's words."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from rxtune.errors import NodeLeavingError
from rxtune.results import Failure
from rxtune.search import adapters
from rxtune.search.adapters import (
    GrowingLimiter,
    JournalScheduler,
    JournalSearcher,
    StopWhenTold,
    loss_of,
)
from rxtune.search.retries import Loss


class FakeDirector:
    """Answers as it is set to, and keeps what it hears."""

    must_end = False
    may_hand_out = False
    stops = False
    trial: dict[str, Any] | None = None
    error: Exception | None = None

    def __init__(self) -> None:
        self.heard: list[tuple[int, str]] = []
        self.lost: list[tuple[int, Loss]] = []
        self.done: list[int] = []

    @contextmanager
    def answering_for_errors(self) -> Any:
        try:
            yield
        except Exception as error:
            self.error = error

    def next_trial(self) -> dict[str, Any] | None:
        return self.trial

    def hear(self, number: int, message: str) -> bool:
        self.heard.append((number, message))
        if message == "broken":
            raise OSError(message)
        return self.stops

    def lose(self, number: int, loss: Loss) -> None:
        self.lost.append((number, loss))

    def left(self, number: int) -> None:
        self.done.append(number)


@pytest.fixture
def director() -> Any:
    return FakeDirector()


@pytest.fixture
def trial(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes a trial of Ray's, with the files that Ray writes of an error.

    It pickles an actor's. Its own `get_error` looks elsewhere, where they come much later.
    """

    def make(error: Exception | str = "The worker died.", status: str = "RUNNING") -> Any:
        pickled, text = tmp_path / "error.pkl", tmp_path / "error.txt"
        text.write_text(f"Failure # 1 (occurred at 2026-11-26_05-10-58)\n{error}\n")
        is_an_actors = isinstance(error, Exception)
        if is_an_actors:
            pickled.write_bytes(pickle.dumps(error))
        return SimpleNamespace(
            trial_id="a",
            config={"number": 3},
            ERROR="ERROR",
            PENDING="PENDING",
            PAUSED="PAUSED",
            status=status,
            pickled_error_file=str(pickled) if is_an_actors else None,
            error_file=str(text) if error else None,
            get_pickled_error=lambda: None,
            get_error=lambda: None,
            metric_analysis={"time_total_s": {"max": 1.0}},
            metric_n_steps={"time_total_s": {}},
            last_result={"message": "hello", "done": True},
        )

    return make


def test_the_searcher_hands_out_the_directors_trials_until_there_are_none(director: Any) -> None:
    searcher = JournalSearcher(director)
    director.trial = {"number": 3}
    assert searcher.suggest("any") == {"number": 3}
    director.trial, director.may_hand_out = None, True
    assert searcher.suggest("any") is None  # a trial that runs may lose its worker
    director.may_hand_out = False
    assert searcher.suggest("any") == Searcher.FINISHED


def test_more_trials_run_where_a_cluster_has_grown_and_never_fewer(
    director: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(adapters, "time", clock)
    rooms: list[int] = []
    limiter = GrowingLimiter(JournalSearcher(director), 1, lambda: rooms.pop(0))
    director.trial = {"number": 3}
    assert limiter.suggest("a") == {"number": 3}
    assert limiter.suggest("b") is None
    rooms.append(2)
    assert limiter.suggest("b") is None  # not asked again so soon
    clock.now = adapters.LOOK_SECONDS
    assert limiter.suggest("b") == {"number": 3}
    clock.now *= 2
    rooms.append(0)  # both hosts are gone
    assert limiter.suggest("c") is None
    limiter.on_trial_complete("a")
    assert limiter.suggest("c") == {"number": 3}  # waits for the next host
    assert rooms == []


def test_the_scheduler_passes_reports_on_and_stops_what_must_stop(
    director: Any, trial: Any
) -> None:
    scheduler = JournalScheduler(director)
    result = {"message": "hello"}
    running = trial()
    assert scheduler.on_trial_result(None, running, result) == TrialScheduler.CONTINUE
    director.stops = True
    assert scheduler.on_trial_result(None, running, result) == TrialScheduler.STOP
    assert director.heard == [(3, "hello"), (3, "hello")]


def test_an_error_while_hearing_stops_the_trial_and_is_answered_for(
    director: Any, trial: Any
) -> None:
    scheduler, broken = JournalScheduler(director), {"message": "broken"}
    assert scheduler.on_trial_result(None, trial(), broken) == TrialScheduler.STOP
    assert isinstance(director.error, OSError)


def test_what_ray_gives_up_is_told_once_and_what_is_done_as_well(
    director: Any, trial: Any
) -> None:
    scheduler = JournalScheduler(director)
    lost = trial()
    controller = SimpleNamespace(get_live_trials=lambda: [lost])
    scheduler.choose_trial_to_run(controller)
    assert director.lost == []
    scheduler.on_trial_error(controller, lost)
    lost.status = "ERROR"
    scheduler.choose_trial_to_run(controller)
    assert director.lost == [(3, Loss(Failure.WORKER_LOST, "worker lost: The worker died."))]
    scheduler.on_trial_complete(controller, trial(), {})
    assert director.done == [3]


def test_of_an_ended_trial_ray_keeps_no_reports(director: Any, trial: Any) -> None:
    ended = trial()
    JournalScheduler(director).on_trial_complete(None, ended, {})
    assert ended.metric_analysis == ended.metric_n_steps == {}
    assert ended.last_result == {"message": "ended", "done": True}


def test_a_trial_that_ray_drops_without_a_word_is_told_of(director: Any, trial: Any) -> None:
    dropped = trial("Trainable runner reuse requires reset_config()", status="ERROR")
    controller = SimpleNamespace(get_live_trials=lambda: [dropped])
    scheduler = JournalScheduler(director)
    scheduler.choose_trial_to_run(controller)
    scheduler.choose_trial_to_run(controller)
    ((number, loss),) = director.lost
    assert (number, loss.failure) == (3, Failure.WORKER_LOST)


def test_trials_wait_in_the_order_in_which_they_came(director: Any, trial: Any) -> None:
    scheduler, controller = JournalScheduler(director), SimpleNamespace(get_live_trials=list)
    assert scheduler.choose_trial_to_run(controller) is None
    first, second = trial(status="PENDING"), trial(status="PENDING")
    for one in (first, second):
        scheduler.on_trial_add(controller, one)
    assert scheduler.choose_trial_to_run(controller) is first
    assert scheduler.choose_trial_to_run(controller) is first  # until it has a worker
    first.status = "RUNNING"
    assert scheduler.choose_trial_to_run(controller) is second
    second.status = "RUNNING"
    assert scheduler.choose_trial_to_run(controller) is None


DIED = (
    "The actor died unexpectedly before finishing this task.\n\tactor_id: 1\n"
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
    " Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file."
    " Some common causes include: (1) the process was killed by the OOM killer due to high"
    " memory usage, (2) ray stop --force was called"
)
NODE_DIED = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: A\n"
    "The actor died because its node has died. Node Id: 3b72\n\tthe actor's node was terminated"
    " unexpectedly: health check failed due to missing too many heartbeats"
)
PREEMPTED = RayActorError(error_msg="The actor died.\nthe node is drained", preempted=True)
UNREACHABLE = ActorUnavailableError(
    "The actor is temporarily unavailable: RpcError: RPC error: Socket closed rpc_code: 14",
    b"sixteen bytes id",
)


@pytest.mark.parametrize(
    ("error", "failure", "end"),
    [
        (RayActorError(error_msg=DIED), Failure.WORKER_LOST, "error code 2. End of file."),
        (RayActorError(error_msg=NODE_DIED), Failure.NODE_LOST, "missing too many heartbeats"),
        (PREEMPTED, Failure.NODE_LOST, "the node is drained"),
        (NodeLeavingError("update 3 of 9: the machine leaves"), Failure.NODE_LOST, "leaves"),
        (UNREACHABLE, Failure.NODE_LOST, "may not have been executed on the actor."),
        ("Killed due to the node running low on memory.", Failure.OUT_OF_MEMORY, "memory."),
        ("", Failure.WORKER_LOST, "no reason given"),
    ],
)  # fmt: skip
def test_rays_words_tell_what_was_lost(trial: Any, error: Any, failure: Failure, end: str) -> None:
    loss = loss_of(trial(error))
    assert loss.failure is failure
    assert loss.reason.startswith(f"{failure.value}: ")
    assert loss.reason.endswith(end)
    assert "\n" not in loss.reason


def test_the_whole_search_stops_when_the_director_says_so(director: Any) -> None:
    stopper = StopWhenTold(director)
    assert not stopper.stop_all()
    director.must_end = True
    assert stopper.stop_all()
    assert not stopper("any", {})


def test_ray_pickles_them_without_the_director_and_his_open_journal(director: Any) -> None:
    director.lock = open  # not the real one, but as unwilling
    director.unpicklable = lambda: None
    for listener in (
        JournalSearcher(director),
        JournalScheduler(director),
        StopWhenTold(director),
    ):
        assert not hasattr(pickle.loads(pickle.dumps(listener)), "_director")


def test_ray_pickles_the_limiter_without_what_looks_for_room_and_all_that_it_knows(
    director: Any,
) -> None:
    limiter = GrowingLimiter(JournalSearcher(director), 3, lambda: 0)
    again = pickle.loads(pickle.dumps(limiter))
    assert again.max_concurrent == 3
    assert not hasattr(again, "_room")
    assert limiter.get_state() == {}  # which Ray pickles as well
