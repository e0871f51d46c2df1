"""What Ray Tune is told: the director's answers, in Ray's words."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from rxtune.search.adapters import JournalScheduler, JournalSearcher, StopWhenTold


class FakeDirector:
    """Answers as it is set to, and keeps what it hears."""

    must_end = False
    stops = False
    trial: dict[str, Any] | None = None
    error: Exception | None = None

    def __init__(self) -> None:
        self.heard: list[tuple[int, str]] = []
        self.lost: list[tuple[int, str]] = []

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

    def lose(self, number: int, reason: str) -> None:
        self.lost.append((number, reason))


@pytest.fixture
def director() -> Any:
    return FakeDirector()


def trial(*, recovers: bool, status: str = "ERROR") -> Any:
    return SimpleNamespace(
        config={"number": 3},
        ERROR="ERROR",
        status=status,
        should_recover=lambda: recovers,
        get_error=lambda: RuntimeError("first line\nThe worker died.\n"),
    )


def test_the_searcher_hands_out_the_directors_trials_until_there_are_none(director: Any) -> None:
    searcher = JournalSearcher(director)
    director.trial = {"number": 3}
    assert searcher.suggest("any") == {"number": 3}
    director.trial = None
    assert searcher.suggest("any") == Searcher.FINISHED


def test_the_scheduler_passes_reports_on_and_stops_what_must_stop(director: Any) -> None:
    scheduler = JournalScheduler(director)
    result = {"message": "hello"}
    running = trial(recovers=False)
    assert scheduler.on_trial_result(None, running, result) == TrialScheduler.CONTINUE
    director.stops = True
    assert scheduler.on_trial_result(None, running, result) == TrialScheduler.STOP
    assert director.heard == [(3, "hello"), (3, "hello")]


def test_an_error_while_hearing_stops_the_trial_and_is_answered_for(director: Any) -> None:
    scheduler, broken = JournalScheduler(director), {"message": "broken"}
    assert scheduler.on_trial_result(None, trial(recovers=False), broken) == TrialScheduler.STOP
    assert isinstance(director.error, OSError)


def test_a_lost_worker_fails_its_trial_only_when_ray_gives_up(director: Any) -> None:
    scheduler = JournalScheduler(director)
    scheduler.on_trial_error(None, trial(recovers=True))
    assert director.lost == []
    scheduler.on_trial_error(None, trial(recovers=False))
    assert director.lost == [(3, "worker lost: The worker died.")]


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
