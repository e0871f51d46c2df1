"""The search's one mind: hears workers, asks the journal, tells MLflow, keeps the best model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rxtune.errors import DiskFullError, TakenOverError
from rxtune.results import Evaluation, Failure, TrialRecord, TrialState
from rxtune.search.budgets import (
    Ending,
    Limits,
    ends_seeds,
    is_cut,
    reason_to_end,
    time_is_up,
)
from rxtune.search.decisions import SearchStudy
from rxtune.search.models import ModelStore
from rxtune.search.retries import NODE_LOSSES, RETRIES, Loss, NodeLosses, may_retry
from rxtune.search.storage_trouble import StorageTrouble
from rxtune.search.trial import UNSAVED, parse
from rxtune.search.workload import Workload
from rxtune.storage import PAUSES, named_if_full
from rxtune.track import Tracker


class Director:
    """Every event of the search goes through here, in the order journal, MLflow, disk.

    The journal comes first: what the others miss in a crash is made up for from it.
    """

    def __init__(
        self,
        *,
        decisions: SearchStudy,
        tracker: Tracker,
        models: ModelStore,
        workload: Workload,
        tokenizer_folder: Path,
        threads: int,
        device: str,
        failures: Path,
        limits: Limits,
        elapsed: Callable[[], float],
        shares_device: bool,
    ) -> None:
        self._decisions = decisions
        self._tracker = tracker
        self._models = models
        self._workload = workload
        self._tokenizer_folder = tokenizer_folder
        self._threads = threads
        self._device = device
        self._failures = failures
        self._limits = limits
        self._elapsed = elapsed
        self._shares_device = shares_device
        self._node_losses = NodeLosses()
        self._interrupted = threading.Event()
        self._to_take_up = deque(record.number for record in decisions.running())
        self.ending: Ending | None = None
        """The first limit of the search that was reached, if any was."""
        self.trouble = StorageTrouble()
        """What the trials' storage has refused."""
        self.cut = 0
        """Trials that the search's end has cut off."""
        self.hopeless: str | None = None
        """Why the search ended itself, if it did."""
        self.error: Exception | None = None
        """What went wrong inside a callback of Ray; raised again when Ray's loop has ended."""

    def interrupt(self) -> None:
        """Ask the search to end at the next opportunity; safe in a signal handler."""
        self._interrupted.set()

    def taken_over(self, host: str) -> None:
        """End this driver: another one writes this search's journal now."""
        self.error = self.error or TakenOverError(
            f"another driver, on {host}, goes on with this search, as if this machine were lost;"
            " this driver ends. Go on there, and delete the run's folder here"
        )

    @property
    def interrupted(self) -> bool:
        """Whether somebody asked the search to end."""
        return self._interrupted.is_set()

    @property
    def must_end(self) -> bool:
        """Whether the search is to end before its trials are used up."""
        broken = self.interrupted or self.hopeless is not None or self.error is not None
        return broken or time_is_up(self._limits, self._elapsed())

    @property
    def exhausted(self) -> str | None:
        """Why there is nothing more to try although trials are left, in one line."""
        return self._decisions.exhausted

    @property
    def may_hand_out(self) -> bool:
        """Whether a trial that runs now could come back and be given to another worker."""
        return not self.must_end and bool(self._decisions.running())

    @contextmanager
    def answering_for_errors(self) -> Iterator[None]:
        """End the search on an error inside the block; Ray would make a text of it."""
        try:
            yield
        except Exception as error:
            self.error = self.error or named_if_full(error, str(self._failures.parent))

    def next_trial(self) -> dict[str, Any] | None:
        """Return what a worker needs for the next trial: first those that broke off."""
        if self.must_end:
            return None
        self._mind_limits()
        record = self._next_broken_off()
        if record is None and self.ending is None:
            record = self._decisions.ask()
        if record is None:
            return None
        self._adopt_files(record)
        absolute = self._workload.absolute(record.configuration)
        self._decisions.describe(record.number, absolute)
        self._tracker.trial_started(self._decisions.record(record.number))
        return {
            "number": record.number,
            "configuration": record.configuration.to_json(),
            "folder": self._models.folder(record.number),
            "threads": self._threads,
            "device": self._device,
            "replicates": self._decisions.study.search.replicates,
            "replicates_done": len(record.replicates),
        }

    def _adopt_files(self, record: TrialRecord) -> None:
        """Hand a trial what the interrupted one left that it goes on with; a second time nothing.

        Once it has reported, it has a checkpoint of its own.
        """
        if record.retry_of is not None and not record.evaluations:
            self._models.adopt(record.retry_of, record.number)

    def _next_broken_off(self) -> TrialRecord | None:
        """Return a trial that a crash or a lost worker has cut off, if it is to go on."""
        while self._to_take_up:
            record = self._decisions.record(self._to_take_up.popleft())
            if record.replicates and ends_seeds(self.ending):
                self._decisions.settle(record.number)
                self._keep_best()
                self._wind_up(record.number)
            elif is_cut(self._limits, self.ending, record):
                self._cut(record.number)
            else:
                return record
        return None

    def _mind_limits(self) -> None:
        """Notice a limit that is reached; the first one stands.

        But a plateau lets trials finish that a budget would cut off, so a budget comes after it.
        """
        if self.ending is None or self.ending.by == "plateau":
            records = self._decisions.records()
            found = reason_to_end(self._limits, records, self._elapsed())
            self.ending = found or self.ending

    def _cut(self, number: int) -> None:
        """End a running trial because the search ends; a resume goes on from its checkpoint."""
        self.cut += 1
        why = "interrupted: the search was ended"
        if self.hopeless is not None and not self.interrupted:
            why = f"ended: {self.hopeless}"
        elif self.ending is not None and not self.interrupted:
            why = self.ending.reason
        self._decisions.fail(number, why, Failure.INTERRUPTED)
        self._tracker.trial_ended(self._decisions.record(number))

    def hear(self, number: int, message: str) -> bool:
        """Act on a worker's report; return whether the trial must stop."""
        content = parse(message)
        for line in content.get("trouble", ()):
            self.trouble.add(number, line)
            if line.startswith(UNSAVED):
                self._models.leave_out(number)
        if self._decisions.record(number).state is not TrialState.RUNNING:
            return True  # a worker that was thought lost is late
        self._models.measure(number, content.get("held"))
        if content["kind"] == "evaluation":
            return self._hear_evaluation(number, content["evaluation"])
        if content["kind"] == "finished":
            return self._hear_finished(number, content)
        if content["kind"] == "disk full":
            # No fault of the trial's: it stays as it is, and a resume takes it up again.
            self._to_take_up.append(number)
            self.error = self.error or DiskFullError(content["reason"])
            return True
        self._keep_traceback(number, content.get("traceback"))
        return self.lose(number, Loss(content["failure"], content["reason"]))

    def _hear_evaluation(self, number: int, evaluation: Evaluation) -> bool:
        stop = self._decisions.report(number, evaluation)
        self._tracker.evaluated(number, evaluation)
        if stop:
            self._wind_up(number)
        self._mind_limits()
        if not stop and is_cut(self._limits, self.ending, self._decisions.record(number)):
            self._cut(number)
            return True
        return stop

    def _hear_finished(self, number: int, content: dict[str, Any]) -> bool:
        """Hear the result of one seed; return whether the trial must stop before its others."""
        replicate = content["replicate"]
        if self._decisions.finish(
            number, content["zero_shot"], replicate=replicate, value=content["value"]
        ):
            self._mind_limits()
            if not ends_seeds(self.ending):
                return False
            self._decisions.settle(number)
        self._keep_best()
        self._wind_up(number)
        return bool(replicate < self._decisions.study.search.replicates)

    def _keep_best(self) -> None:
        ranking = [record.number for record in self._decisions.ranking()]
        self._models.retain(ranking, self._tokenizer_folder)

    def keep_owed(self) -> tuple[str, ...]:
        """Try again to get the models that the storage has not given; return what is missing."""
        for pause in PAUSES:
            if not self._models.owed or self.interrupted:
                break
            time.sleep(pause)
            self._keep_best()
        return tuple(
            f"the model of trial {number} was not brought from the storage, where it stays ({why})"
            for number, why in self._models.owed.items()
        )

    def lose(self, number: int, loss: Loss) -> bool:
        """Hear that a trial broke off; return whether it goes on elsewhere instead of failing.

        Ends the search if there is no hope left.
        """
        record = self._decisions.record(number)
        if record.state is not TrialState.RUNNING:
            return False  # its worker died after the trial had been told to stop
        if self._gets_another_chance(record, loss.failure):
            self._to_take_up.append(number)
            return True
        self._decisions.fail(number, loss.reason, loss.failure)
        self._wind_up(number)
        self.hopeless = self._decisions.all_failed_early()
        return False

    def _gets_another_chance(self, record: TrialRecord, failure: Failure) -> bool:
        if not may_retry(failure, shares_device=self._shares_device):
            return False
        if failure is Failure.NODE_LOST:
            evaluations = len(record.evaluations)
            return self._node_losses.count(record.number, evaluations) <= NODE_LOSSES
        return self._decisions.lost(record.number) <= RETRIES[failure]

    def left(self, number: int) -> None:
        """Hear that a trial's worker is done with it; it should have told how it ended."""
        if number not in self._to_take_up:
            self.lose(number, Loss(Failure.WORKER_LOST, "worker lost: it ended without a result"))

    def _wind_up(self, number: int) -> None:
        self._tracker.trial_ended(self._decisions.record(number))
        self._models.forget(number)

    def _keep_traceback(self, number: int, traceback: str | None) -> None:
        if traceback:
            self._failures.mkdir(exist_ok=True)
            (self._failures / f"trial-{number:04d}.txt").write_text(traceback, encoding="utf-8")

    def make_up(self) -> None:
        """After a crash: give MLflow and the disk what only the journal has."""
        records = self._decisions.records()
        self._tracker.sync(records)
        self._keep_best()
        for record in self._decisions.running():
            self._adopt_files(record)  # before it is nobody's, and so deleted
        self._models.forget_others(_unfinished(records))

    def end_running(self) -> None:
        """Tell the trials that the end of the search cut off."""
        self._mind_limits()
        for record in self._decisions.running():
            self._cut(record.number)


def _unfinished(records: Sequence[TrialRecord]) -> set[int]:
    """Return the trials that a resume goes on with: running ones, and those cut off."""
    retried = {record.retry_of for record in records}
    return {
        record.number
        for record in records
        if record.state is TrialState.RUNNING
        or (record.failure is Failure.INTERRUPTED and record.number not in retried)
    }
