"""The search's decisions: ask, report, finish, fail, each one durable write to the journal."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from rxtune.config import Study
from rxtune.errors import StudyError
from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot
from rxtune.search.ledger import Ledger
from rxtune.search.proposals import build_sampler, propose
from rxtune.search.rungs import stop_reason
from rxtune.search.trial_attributes import (
    changed,
    evaluation_attributes,
    failure_attributes,
    is_counted,
    is_interrupted,
    is_reserved,
    retry_attributes,
    to_record,
)

_ENOUGH_FAILURES = 4


class SearchStudy:
    """The one source of truth of a search: an Optuna study in a journal.

    Every public method that changes something is one group of the journal: after a crash it has
    happened or it has not. A proposal depends on the journal and the trial's number alone, so a
    search with one worker, killed anywhere and resumed, equals the uninterrupted one. All methods
    may be called from several threads. Make one with `create` or `open`.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = ledger.journal.lock
        self._ended: dict[int, TrialRecord] = {}

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], study: Study, *, sync: Callable[[int], None] = os.fsync
    ) -> Self:
        """Start a search in a new journal, with its start points enqueued.

        Raises:
            StudyError: The journal holds a search already, or cannot be opened.
        """
        return cls(Ledger.create(path, study, sync=sync))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        sync: Callable[[int], None] = os.fsync,
        read_only: bool = False,
    ) -> Self:
        """Take up the search of a journal; `read_only` looks on while another process runs it.

        Raises:
            StudyError: There is no search, or it is in use, damaged, or of another version.
        """
        return cls(Ledger.open(path, sync=sync, read_only=read_only))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the journal; may be called twice."""
        self._ledger.journal.close()

    @property
    def study(self) -> Study:
        """The resolved study that the journal carries, its number of trials as it is now."""
        return self._ledger.study

    @property
    def trials_total(self) -> int:
        """How many trials are asked for; interrupted ones do not count."""
        return self.study.search.trials

    @property
    def recovered(self) -> str | None:
        """What a crash had left half-written and opening removed, in one line."""
        return self._ledger.journal.recovered

    def extend(self, trials: int) -> None:
        """Raise the number of trials asked for.

        Raises:
            StudyError: Fewer than before.
        """
        with self._lock:
            if trials < self.trials_total:
                raise StudyError(
                    f"--trials: this search has {self.trials_total} trials and cannot shrink to "
                    f"{trials}; ask for {self.trials_total} or more"
                )
            if trials > self.trials_total:
                with self._ledger.decision():
                    self._ledger.set_total(trials)

    def ask(self) -> TrialRecord | None:
        """Return a new running trial, or None when as many as asked for have been proposed.

        First the configurations of interrupted trials again, then the start points, then what the
        sampler proposes.
        """
        with self._lock:
            trials = self._ledger.trials()
            if sum(map(is_counted, trials)) >= self.trials_total:
                return None
            retried = {trial.user_attrs.get("retry_of") for trial in trials}
            lost = (t for t in trials if is_interrupted(t) and t.number not in retried)
            with self._ledger.decision():
                number = self._ask_again(trial) if (trial := next(lost, None)) else self._ask_new()
            return self.record(number)

    def _ask_again(self, lost: FrozenTrial) -> int:
        number = len(self._ledger.trials())
        self._ledger.optuna.add_trial(
            optuna.create_trial(
                state=OptunaState.RUNNING,
                params=lost.params,
                distributions=lost.distributions,
                user_attrs=retry_attributes(lost),
            )
        )
        return number

    def _ask_new(self) -> int:
        study, trials = self._ledger.optuna, self._ledger.trials()
        waiting = (trial for trial in trials if trial.state == OptunaState.WAITING)
        enqueued = next(waiting, None)
        idle, number = study.sampler, enqueued.number if enqueued else len(trials)
        study.sampler = build_sampler(self.study.search, number)
        try:
            trial = study.ask()
            assert trial.number == number, f"trial {number} was due, Optuna gave {trial.number}"
            self._choose(trial, enqueued)
        finally:
            study.sampler = idle
        return number

    def _choose(self, trial: optuna.Trial, enqueued: FrozenTrial | None) -> None:
        if enqueued is None:
            configuration = propose(trial, self.study.space)
            trial.set_user_attr("configuration", configuration.to_json())
        elif enqueued.system_attrs["fixed_params"]:  # none: a baseline outside of the space
            propose(trial, self.study.space)

    def describe(self, number: int, **attributes: Any) -> None:
        """Keep JSON values beside a running trial; `absolute` becomes part of its record."""
        with self._lock:
            trial = self._ledger.trial(number)
            if news := _news(trial, attributes):
                assert not trial.state.is_finished(), f"trial {number} has ended"
                with self._ledger.decision():
                    self._ledger.keep(number, news)

    def attributes(self, number: int) -> dict[str, Any]:
        """Return what `describe` and `report` have kept beside a trial."""
        with self._lock:
            attributes = self._ledger.trial(number).user_attrs
            return {key: value for key, value in attributes.items() if not is_reserved(key)}

    def report(self, number: int, evaluation: Evaluation, **attributes: Any) -> bool:
        """Record an evaluation, and return whether the trial must stop now.

        An evaluation already recorded is answered as before and writes nothing, so a trial may be
        run again from any earlier point. A value that is not finite fails the trial.

        Args:
            number: The trial.
            evaluation: Its next evaluation.
            attributes: As for `describe`, kept with the same write (its checkpoint).
        """
        with self._lock:
            trial = self._ledger.trial(number)
            if trial.state.is_finished() or evaluation.number in trial.intermediate_values:
                return _earlier_answer(trial, evaluation.number)
            with self._ledger.decision():
                if not math.isfinite(evaluation.value):
                    what = f"dev accuracy {evaluation.value} at evaluation {evaluation.number}"
                    self._tell_failed(number, what, interrupted=False)
                    return True
                self._ledger.keep(number, _news(trial, attributes))
                return self._judge(trial, evaluation)

    def _judge(self, trial: FrozenTrial, evaluation: Evaluation) -> bool:
        number, asha = trial.number, self.study.stopping.asha
        self._ledger.keep(number, evaluation_attributes(evaluation))
        running = self._ledger.handle(number)
        running.report(evaluation.value, step=evaluation.number)
        # Asked in any case: a trial that does not ask stands in no rung.
        if not running.should_prune() or asha is None:
            return False
        if "baseline" in trial.user_attrs or evaluation.number >= asha.evaluations:
            return False
        reason = stop_reason(asha, evaluation, self._ledger.trial(number), self._ledger.trials())
        self._ledger.keep(number, {"reason": reason})
        self._ledger.optuna.tell(number, state=OptunaState.PRUNED)
        return True

    def finish(self, number: int, zero_shot: ZeroShot) -> None:
        """End a trial that ran to its end; its value is its last evaluation's."""
        with self._lock:
            trial = self._ledger.trial(number)
            news = changed(trial, {"zero_shot": zero_shot.to_json()})
            if trial.state.is_finished():
                assert trial.state == OptunaState.COMPLETE, f"trial {number} ended otherwise"
                assert not news, f"trial {number} finished with another result"
                return
            value = self.record(number).value
            assert value is not None, f"trial {number} has no evaluation"
            with self._ledger.decision():
                self._ledger.keep(number, news)
                self._ledger.optuna.tell(number, value)

    def fail(self, number: int, reason: str, *, interrupted: bool = False) -> None:
        """End a trial without a result; an interrupted one is proposed again by `ask`.

        Failing twice is one failure; the first reason stands.
        """
        with self._lock:
            trial = self._ledger.trial(number)
            if trial.state.is_finished():
                assert trial.state == OptunaState.FAIL, f"trial {number} ended otherwise"
                assert is_interrupted(trial) == interrupted, f"trial {number} ended otherwise"
                return
            with self._ledger.decision():
                self._tell_failed(number, reason, interrupted)

    def _tell_failed(self, number: int, reason: str, interrupted: bool) -> None:
        self._ledger.keep(number, failure_attributes(reason, interrupted))
        self._ledger.optuna.tell(number, state=OptunaState.FAIL)

    def running(self) -> list[TrialRecord]:
        """Return the trials that are running: right after `open`, those to be taken up again."""
        return [record for record in self.records() if record.state is TrialState.RUNNING]

    def records(self) -> list[TrialRecord]:
        """Return all trials by number, without those only enqueued."""
        with self._lock:
            trials = (t for t in self._ledger.trials() if t.state != OptunaState.WAITING)
            return [self._record(trial) for trial in trials]

    def record(self, number: int) -> TrialRecord:
        """Return one trial."""
        with self._lock:
            return self._record(self._ledger.trial(number))

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        record = self._ended.get(trial.number) or to_record(trial)
        if trial.state.is_finished():
            self._ended[trial.number] = record
        return record

    def best(self) -> TrialRecord | None:
        """Return the finished trial with the highest value.

        Of equal ones a plain one, then the earliest: the winner that the report names.
        """
        finished = [r for r in self.records() if r.state is TrialState.FINISHED]
        return max(
            finished,
            key=lambda r: (r.value, r.configuration.method == "standard", -r.number),
            default=None,
        )

    def counts(self) -> Counter[TrialState]:
        """Return the number of trials in each state."""
        return Counter(record.state for record in self.records())

    def all_failed_early(self) -> str | None:
        """Return why going on is hopeless, or None.

        Hopeless: at least four trials, and as many as there are start points, have failed
        (interrupted ones do not count), and no other has an evaluation.
        """
        with self._lock:
            trials = [self._record(t) for t in self._ledger.trials() if is_counted(t)]
        failed = [trial for trial in trials if trial.state is TrialState.FAILED]
        alive = any(trial.state is not TrialState.FAILED and trial.evaluations for trial in trials)
        if alive or len(failed) < max(_ENOUGH_FAILURES, len(self.study.space.start_points())):
            return None
        reasons = Counter(trial.reason for trial in failed).most_common(2)
        named = "; ".join(f"{count} x {reason}" for reason, count in reasons)
        return f"all of the first {len(failed)} trials failed: {named}"


def _news(trial: FrozenTrial, attributes: Mapping[str, Any]) -> dict[str, Any]:
    taken = [key for key in attributes if is_reserved(key)]
    assert not taken, f"the search itself writes {', '.join(taken)}"
    return changed(trial, attributes)


def _earlier_answer(trial: FrozenTrial, evaluation: int) -> bool:
    """Return what `report` answered for an evaluation, or True for one after a trial's end."""
    if trial.state == OptunaState.PRUNED:
        return evaluation >= max(trial.intermediate_values)
    return trial.state == OptunaState.FAIL
