"""Ray Tune executes and does not decide: a searcher and a scheduler that ask the director."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial

    from rxtune.search.director import Director


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
        """Return the next trial's config, or that there is none."""
        with self._director.answering_for_errors():
            config = self._director.next_trial()
            if config is not None:
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

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Return whether the trial goes on."""
        with self._director.answering_for_errors():
            if not self._director.hear(trial.config["number"], result["message"]):
                return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Tell of a worker that is gone, unless Ray gives the trial to another one."""
        # Ray sets ERROR before it requeues a trial; on the last failure the state still stands.
        recovers = trial.should_recover()  # type: ignore[no-untyped-call]
        if trial.status == trial.ERROR and recovers:
            return
        with self._director.answering_for_errors():
            why = str(trial.get_error() or "no reason given")
            self._director.lose(trial.config["number"], f"worker lost: {_last_line(why)}")


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


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
