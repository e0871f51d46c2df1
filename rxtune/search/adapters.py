"""Ray Tune executes and does not decide: a searcher and a scheduler that ask the director."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.exceptions import RayActorError
from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from rxtune.results import Failure
from rxtune.search.retries import Loss

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial

    from rxtune.search.director import Director

_NODE_IS_GONE = ("its node has died", "the node it was running on is dead")
_KILLED_FOR_MEMORY = ("due to memory pressure", "due to the node running low on memory")
_GUESSES = " Some common causes include:"
"""What Ray adds to the death of every process."""


class _Listener:
    """What asks the director. Ray pickles it for a restore that never happens, so without him."""

    _director: Director

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the director, who holds a lock and an open file."""
        return {name: value for name, value in vars(self).items() if name != "_director"}


class JournalSearcher(_Listener, Searcher):
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


class JournalScheduler(_Listener, FIFOScheduler):
    """Passes every report to the director, which decides."""

    def __init__(self, director: Director) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._director = director
        self._given_up: set[str] = set()

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return what Ray's order says; and hear of trials that Ray gave up without a word.

        It does so where a process that is to be used again has not let go of its last trial.
        """
        for trial in tune_controller.get_trials():  # type: ignore[no-untyped-call]
            if trial.status == trial.ERROR and trial.trial_id not in self._given_up:
                self.on_trial_error(tune_controller, trial)
        return super().choose_trial_to_run(tune_controller)

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


class StopWhenTold(_Listener, Stopper):
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
    error = trial.get_pickled_error()
    text = str(error or trial.get_error() or "no reason given").strip()
    failure = _kind_of(error, text)
    why = text.splitlines()[-1].partition(_GUESSES)[0].strip()
    return Loss(failure, f"{failure}: {why}"[:500])


def _kind_of(error: object, text: str) -> Failure:
    preempted = isinstance(error, RayActorError) and error.preempted
    if preempted or any(words in text for words in _NODE_IS_GONE):
        return Failure.NODE_LOST
    if any(words in text for words in _KILLED_FOR_MEMORY):
        return Failure.OUT_OF_MEMORY
    return Failure.WORKER_LOST
