"""Ray Tune executes and does not decide: a searcher and a scheduler that ask the director."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.exceptions import ActorUnavailableError, RayActorError
from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher

from rxtune.errors import NodeLeavingError
from rxtune.results import Failure
from rxtune.search.retries import Loss

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial

    from rxtune.search.director import Director

LOOK_SECONDS = 2.0
"""How often a cluster is asked whether it has grown."""
_NODE_IS_GONE = ("its node has died", "the node it was running on is dead")
_KILLED_FOR_MEMORY = ("due to memory pressure", "due to the node running low on memory")
_GUESSES = " Some common causes include:"
"""What Ray adds to the death of every process."""


class _Pickled:
    """What Ray pickles for a restore that never happens, so without what belongs to the search.

    The director holds a lock and an open file, what looks for room all data of the search.
    """

    _LEFT_OUT = ("_director", "_room")

    def __getstate__(self) -> dict[str, Any]:
        """Return everything else."""
        return {name: value for name, value in vars(self).items() if name not in self._LEFT_OUT}


class JournalSearcher(_Pickled, Searcher):
    """Hands Ray the next trial; results reach the journal through the scheduler."""

    def __init__(self, director: Director) -> None:
        super().__init__(metric="message", mode="max")
        self._director = director

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial's config, None if there may be one later, or that there is none.

        As long as trials run one of them may lose its worker, and then needs another.
        """
        with self._director.answering_for_errors():
            config = self._director.next_trial()
            if config is not None or self._director.may_hand_out:
                return config
        return Searcher.FINISHED  # type: ignore[return-value]  # Ray's own signature omits it

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the director has heard it already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal remembers."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal remembers."""


class GrowingLimiter(_Pickled, ConcurrencyLimiter):
    """Keeps so many trials going as the cluster has had room for at any time.

    Not fewer when a host is lost: its trial waits for the place of another one, or for a new host.
    """

    def __init__(self, searcher: Searcher, workers: int, room: Callable[[], int]) -> None:
        super().__init__(searcher, max_concurrent=workers)
        self._room = room
        self._looked = time.monotonic()

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial's config if there is room for it."""
        now = time.monotonic()
        if now >= self._looked + LOOK_SECONDS:
            self._looked = now
            self.max_concurrent = max(self.max_concurrent, self._room())
        return super().suggest(trial_id)

    def get_state(self) -> dict[str, Any]:
        """Return nothing to be saved: the journal remembers."""
        return {}


class JournalScheduler(_Pickled, FIFOScheduler):
    """Passes every report to the director, which decides."""

    def __init__(self, director: Director) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._director = director
        self._given_up: set[str] = set()
        self._waiting: list[Trial] = []

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Note that a trial waits for a worker."""
        self._waiting.append(trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return the first that waits; and hear of trials that Ray gave up without a word.

        It does so where a process that is to be used again has not let go of its last trial. Ray's
        own choice looks at all trials that there ever were, many times a second.
        """
        for trial in list(tune_controller.get_live_trials()):  # type: ignore[no-untyped-call]
            if trial.status == trial.ERROR and trial.trial_id not in self._given_up:
                self.on_trial_error(tune_controller, trial)
        self._waiting = [trial for trial in self._waiting if trial.status == trial.PENDING]
        return next(iter(self._waiting), None)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Return whether the trial goes on."""
        with self._director.answering_for_errors():
            if not self._director.hear(trial.config["number"], result["message"]):
                return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Tell of a worker that is gone; what becomes of its trial is not Ray's decision."""
        self._given_up.add(trial.trial_id)
        with self._director.answering_for_errors():
            self._director.lose(trial.config["number"], loss_of(trial))

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Tell that a worker is done with a trial."""
        with self._director.answering_for_errors():
            self._director.left(trial.config["number"])
        _release(trial)


def _release(trial: Trial) -> None:
    """Drop what Ray keeps of an ended trial's reports: most of its memory, and nobody reads it."""
    trial.metric_analysis.clear()
    trial.metric_n_steps.clear()
    if "message" in trial.last_result:
        # Not removed: Ray announces a trial that ends with nothing to show.
        trial.last_result["message"] = "ended"


class StopWhenTold(_Pickled, Stopper):
    """Ends the whole search as soon as the director says so."""

    def __init__(self, director: Director) -> None:
        self._director = director

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return that no single trial is to stop: that is the scheduler's decision."""
        return False

    def stop_all(self) -> bool:
        """Return whether the search is to end."""
        return self._director.must_end


def loss_of(trial: Trial) -> Loss:
    """Return why Ray gave a trial up, from the last error that it keeps of it."""
    error = _error_of(trial)
    text = str(error or _text_of(trial) or "no reason given").strip()
    failure = _kind_of(error, text)
    why = text.splitlines()[-1].partition(_GUESSES)[0].strip()
    return Loss(failure, f"{failure}: {why}"[:500])


def _error_of(trial: Trial) -> Exception | None:
    """Return the error of a worker or its machine, if it was one.

    Read where Ray has just written it, on the driver's disk: Ray's own `get_pickled_error` and
    `get_error` look in its storage, where that comes only when the search has ended.
    """
    if trial.pickled_error_file is None:
        return None
    with suppress(Exception):  # some exceptions cannot be rebuilt; their text is there as well
        error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
        return error if isinstance(error, Exception) else None
    return None


def _text_of(trial: Trial) -> str:
    path = trial.error_file
    return Path(path).read_text(encoding="utf-8") if path and Path(path).exists() else ""


def _kind_of(error: object, text: str) -> Failure:
    preempted = isinstance(error, NodeLeavingError) or (
        isinstance(error, RayActorError) and error.preempted
    )
    # Of a process that dies alone its machine tells; here the machine does not answer either.
    unreachable = isinstance(error, ActorUnavailableError)
    if preempted or unreachable or any(words in text for words in _NODE_IS_GONE):
        return Failure.NODE_LOST
    if any(words in text for words in _KILLED_FOR_MEMORY):
        return Failure.OUT_OF_MEMORY
    return Failure.WORKER_LOST
