"""The search's decisions: ask, report, finish, fail, each one durable write to the journal."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from rxtune.config import GROWING, SearchSettings, Study
from rxtune.errors import StudyError
from rxtune.results import Evaluation, Failure, Replicate, TrialRecord, ZeroShot
from rxtune.search.interruptions import Interruptions
from rxtune.search.ledger import Ledger
from rxtune.search.proposals import Proposal
from rxtune.search.proposer import Proposer, again
from rxtune.search.replicates import mean_result, replicate_seed
from rxtune.search.standings import Standings
from rxtune.search.trial_attributes import (
    changed,
    earlier_answer,
    evaluation_attributes,
    evaluations_of,
    failure_attributes,
    has_evaluation,
    is_interrupted,
    last_evaluation,
    replicate_attributes,
    replicates_of,
    retry_attributes,
)
from rxtune.search.uncollected import uncollected
from rxtune.search.verdicts import gets_another_seed, reason_to_stop, why_hopeless
from rxtune.search.warm_start import WarmStart

WARM_START = "warm_start"
EXHAUSTED = "every effectively different configuration of the space has been tried"


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
        self._standings = Standings()
        self._interruptions = Interruptions()
        self._proposer = Proposer(ledger.study, ledger.attribute(WARM_START))
        self.exhausted: str | None = None
        """Why `ask` has nothing more to propose although trials are left, in one line."""

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        study: Study,
        *,
        warm_start: WarmStart | None = None,
        sync: Callable[[int], None] = os.fsync,
    ) -> Self:
        """Start a search in a new journal, with what earlier searches have taught.

        Raises:
            StudyError: The journal holds a search already, or cannot be opened.
        """
        taught = {} if warm_start is None else {WARM_START: warm_start.to_json()}
        return cls(Ledger.create(path, study, sync=sync, attributes=taught))

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
        with uncollected():
            search = cls(Ledger.open(path, sync=sync, read_only=read_only))
            try:
                search.records()  # what everybody asks for next, and as many objects again
            except BaseException:
                search.close()
                raise
        return search

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the journal; may be called twice."""
        self._ledger.journal.close()

    @property
    def study(self) -> Study:
        """The resolved study that the journal carries, what may grow in it as it is now."""
        return self._ledger.study

    @property
    def trials_total(self) -> int:
        """How many trials are asked for; interrupted ones do not count."""
        return self.study.search.trials

    @property
    def recovered(self) -> str | None:
        """What a crash had left half-written and opening removed, in one line."""
        return self._ledger.journal.recovered

    def extend(self, search: SearchSettings) -> None:
        """Take over how long the search goes on and what it keeps; the rest stays as it is.

        Raises:
            StudyError: Fewer trials than before.
        """
        with self._lock:
            if search.trials < self.trials_total:
                raise StudyError(
                    f"--trials: this search has {self.trials_total} trials and cannot shrink to "
                    f"{search.trials}; ask for {self.trials_total} or more"
                )
            if any(getattr(search, name) != getattr(self.study.search, name) for name in GROWING):
                with self._ledger.decision():
                    self._ledger.grow(search)
                self.exhausted = None

    def ask(self) -> TrialRecord | None:
        """Return a new running trial, or None when as many as asked for have been proposed.

        First the configurations of interrupted trials again, then the start points, then what the
        sampler proposes; None as well when the space holds nothing that was not tried.
        """
        with self._lock:
            trials = self._ledger.trials()
            self._interruptions.update(trials)
            if len(trials) - len(self._interruptions.lost) >= self.trials_total:
                return None
            if trial := self._interruptions.next:
                number = self._begin(again(trial), retry_attributes(trial))
            # Once used up the space stays so, and Ray asks again and again while trials run.
            elif self.exhausted is None and (found := self._proposer.next(trials)):
                number = self._begin(*found)
            else:
                self.exhausted = EXHAUSTED
                return None
            return self.record(number)

    def _begin(self, proposal: Proposal, attributes: Mapping[str, Any]) -> int:
        configuration = proposal.configuration.to_json()
        trial = optuna.create_trial(
            state=OptunaState.RUNNING,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            user_attrs={"configuration": configuration, **attributes},
            system_attrs=dict(proposal.memory),
        )
        with self._ledger.decision():
            return self._ledger.add(trial)

    def describe(self, number: int, absolute: Mapping[str, float]) -> None:
        """Keep the absolute values behind a running trial's configuration."""
        with self._lock:
            trial = self._ledger.trial(number)
            if news := changed(trial, {"absolute": dict(absolute)}):
                assert not trial.state.is_finished(), f"trial {number} has ended"
                with self._ledger.decision():
                    self._ledger.keep(number, news)

    def report(self, number: int, evaluation: Evaluation) -> bool:
        """Record an evaluation, and return whether the trial must stop now.

        An evaluation already recorded is answered as before and writes nothing, so a trial may be
        run again from any earlier point; nor does one stop a trial that the interrupted trial
        before it had passed. A value that is not finite fails the trial.

        Args:
            number: The trial.
            evaluation: Its next evaluation.
        """
        with self._lock:
            trial = self._ledger.trial(number)
            if trial.state.is_finished() or has_evaluation(trial, evaluation.number):
                return earlier_answer(trial, evaluation.number)
            with self._ledger.decision():
                if not all(map(math.isfinite, (evaluation.value, *evaluation.objectives))):
                    what = f"dev score {evaluation.value} at evaluation {evaluation.number}"
                    self._tell_failed(number, what, Failure.DIVERGED)
                    return True
                return self._judge(trial, evaluation)

    def _judge(self, trial: FrozenTrial, evaluation: Evaluation) -> bool:
        self._ledger.keep(trial.number, evaluation_attributes(evaluation))
        reason = reason_to_stop(self._ledger, self.records(), trial, evaluation)
        if reason is None:
            return False
        self._ledger.keep(trial.number, {"reason": reason})
        self._ledger.optuna.tell(trial.number, state=OptunaState.PRUNED)
        return True

    def finish(
        self, number: int, zero_shot: ZeroShot, *, replicate: int = 1, value: float | None = None
    ) -> bool:
        """Record that a trial ran to its end; return whether it goes on with another seed.

        Its value is its last evaluation's or, of several seeds, the mean. Only a contender goes
        on: one that fewer than a third of the trials with as many seeds beat. The baseline
        always does, as all others are measured against it. An end told again is answered as
        before and writes nothing.

        Args:
            number: The trial.
            zero_shot: Its result on this seed.
            replicate: Which of its seeds this was, from 1.
            value: What its last evaluation on this seed gave; needed from the second one on.
        """
        with self._lock:
            trial = self._ledger.trial(number)
            if trial.state.is_finished():
                assert trial.state == OptunaState.COMPLETE, f"trial {number} ended otherwise"
                several = self.study.search.replicates > 1
                is_known = several or not changed(trial, {"zero_shot": zero_shot.to_json()})
                assert is_known, f"trial {number} finished with another result"
                return False
            if replicate <= len(replicates_of(trial)):
                return True
            if replicate == 1:
                value = self.record(number).value
            assert value is not None, f"trial {number} has no evaluation"
            with self._ledger.decision():
                return self._end_seed(trial, zero_shot, value)

    def _end_seed(self, trial: FrozenTrial, zero_shot: ZeroShot, value: float) -> bool:
        number = trial.number
        if self.study.search.replicates == 1:
            self._tell_finished(number, zero_shot, [value])
            return False
        done = replicates_of(trial)
        seed = replicate_seed(self.study.search.seed, len(done))
        done = (*done, Replicate(seed=seed, value=value, zero_shot=zero_shot))
        self._ledger.keep(number, replicate_attributes(len(done), done[-1]))
        if gets_another_seed(self.study.search, self.records(), self.record(number)):
            return True
        self._tell_mean(number, done)
        return False

    def settle(self, number: int) -> None:
        """End a running trial that has a result with the seeds that are done: it gets no more."""
        with self._lock:
            trial = self._ledger.trial(number)
            done = replicates_of(trial)
            assert not trial.state.is_finished(), f"trial {number} has ended"
            assert done, f"trial {number} has no result"
            with self._ledger.decision():
                self._tell_mean(number, done)

    def _tell_mean(self, number: int, done: Sequence[Replicate]) -> None:
        values = [replicate.value for replicate in done]
        self._tell_finished(number, mean_result([r.zero_shot for r in done]), values)

    def _tell_finished(self, number: int, zero_shot: ZeroShot, values: Sequence[float]) -> None:
        self._ledger.keep(number, {"zero_shot": zero_shot.to_json()})
        trial = self._ledger.trial(number)
        objectives = evaluations_of(trial)[last_evaluation(trial)].objectives
        self._ledger.optuna.tell(number, [fmean(values), *objectives[1:]])

    def lost(self, number: int) -> int:
        """Count that a running trial's worker was lost; return how often by now."""
        with self._lock:
            trial = self._ledger.trial(number)
            assert not trial.state.is_finished(), f"trial {number} has ended"
            losses = int(trial.user_attrs.get("losses", 0)) + 1
            with self._ledger.decision():
                self._ledger.keep(number, {"losses": losses})
            return losses

    def fail(self, number: int, reason: str, failure: Failure = Failure.ERROR) -> None:
        """End a trial without a result; an interrupted one is proposed again by `ask`.

        Failing twice is one failure; the first reason stands.
        """
        with self._lock:
            trial = self._ledger.trial(number)
            if trial.state.is_finished():
                assert trial.state == OptunaState.FAIL, f"trial {number} ended otherwise"
                again = failure is Failure.INTERRUPTED
                assert is_interrupted(trial) == again, f"trial {number} ended otherwise"
                return
            with self._ledger.decision():
                self._tell_failed(number, reason, failure)

    def _tell_failed(self, number: int, reason: str, failure: Failure) -> None:
        self._ledger.keep(number, failure_attributes(reason, failure))
        self._ledger.optuna.tell(number, state=OptunaState.FAIL)

    def running(self) -> list[TrialRecord]:
        """Return the trials that are running: right after `open`, those to be taken up again."""
        with self._lock:
            return self._up_to_date().running

    def records(self) -> list[TrialRecord]:
        """Return all trials by number."""
        with self._lock:
            return list(self._up_to_date().records)

    def record(self, number: int) -> TrialRecord:
        """Return one trial."""
        with self._lock:
            assert number == self._ledger.trial(number).number
            return self._up_to_date().records[number]

    def best(self) -> TrialRecord | None:
        """Return the winner, which is the one that the report names."""
        return next(iter(self.ranking()), None)

    def ranking(self) -> list[TrialRecord]:
        """Return the finished trials, the one with the highest value first.

        Of equal ones a plain one, then the earliest.
        """
        with self._lock:
            return list(self._up_to_date().ranking)

    def _up_to_date(self) -> Standings:
        self._standings.update(self._ledger.trials())
        return self._standings

    def all_failed_early(self) -> str | None:
        """Return why going on is hopeless, or None: see `why_hopeless`."""
        counted = [r for r in self.records() if r.failure is not Failure.INTERRUPTED]
        return why_hopeless(counted, len(self._proposer.start_points))
