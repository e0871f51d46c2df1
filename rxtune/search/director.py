"""The search's one mind: hears workers, asks the journal, tells MLflow, keeps the best model."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.models import ModelStore
from rxtune.search.trial import parse
from rxtune.search.workload import Workload
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
    ) -> None:
        self._decisions = decisions
        self._tracker = tracker
        self._models = models
        self._workload = workload
        self._tokenizer_folder = tokenizer_folder
        self._threads = threads
        self._device = device
        self._failures = failures
        self._interrupted = threading.Event()
        self._to_take_up: deque[TrialRecord] = deque(decisions.running())
        self.hopeless: str | None = None
        """Why the search ended itself, if it did."""
        self.error: Exception | None = None
        """What went wrong inside a callback of Ray; raised again when Ray's loop has ended."""

    def interrupt(self) -> None:
        """Ask the search to end at the next opportunity; safe in a signal handler."""
        self._interrupted.set()

    @property
    def interrupted(self) -> bool:
        """Whether somebody asked the search to end."""
        return self._interrupted.is_set()

    @property
    def must_end(self) -> bool:
        """Whether the search is to end before its trials are used up."""
        return self.interrupted or self.hopeless is not None or self.error is not None

    @contextmanager
    def answering_for_errors(self) -> Iterator[None]:
        """End the search on an error inside the block; Ray would make a text of it."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error

    def next_trial(self) -> dict[str, Any] | None:
        """Return what a worker needs for the next trial: first those that a crash cut off."""
        if self.must_end:
            return None
        record = self._to_take_up.popleft() if self._to_take_up else self._decisions.ask()
        if record is None:
            return None
        absolute = self._workload.absolute(record.configuration)
        self._decisions.describe(record.number, absolute=absolute)
        self._tracker.trial_started(self._decisions.record(record.number))
        return {
            "number": record.number,
            "configuration": record.configuration.to_json(),
            "folder": self._models.folder(record.number),
            "threads": self._threads,
            "device": self._device,
        }

    def hear(self, number: int, message: str) -> bool:
        """Act on a worker's report; return whether the trial must stop."""
        content = parse(message)
        if content["kind"] == "evaluation":
            return self._hear_evaluation(number, content["evaluation"])
        if content["kind"] == "finished":
            self._hear_finished(number, content["zero_shot"])
        else:
            self._keep_traceback(number, content.get("traceback"))
            self.lose(number, content["reason"])
        return False

    def _hear_evaluation(self, number: int, evaluation: Evaluation) -> bool:
        stop = self._decisions.report(number, evaluation)
        self._tracker.evaluated(number, evaluation)
        if stop:
            self._wind_up(number)
        return stop

    def _hear_finished(self, number: int, zero_shot: ZeroShot) -> None:
        self._decisions.finish(number, zero_shot)
        best = self._decisions.best()
        if best is not None and best.number == number:
            self._models.crown(number, self._tokenizer_folder)
        self._wind_up(number)

    def lose(self, number: int, reason: str) -> None:
        """Record a failure; end the search if there is no hope left."""
        if self._decisions.record(number).state is not TrialState.RUNNING:
            return  # its worker died after the trial had been told to stop
        self._decisions.fail(number, reason)
        self._wind_up(number)
        self.hopeless = self._decisions.all_failed_early()

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
        best = self._decisions.best()
        if best is not None and self._models.has_model(best.number):
            self._models.crown(best.number, self._tokenizer_folder)
        for record in records:
            if record.state is not TrialState.RUNNING:
                self._models.forget(record.number)

    def end_running(self) -> None:
        """Tell the trials that the end of the search cut off."""
        for record in self._decisions.running():
            self._decisions.fail(
                record.number, "interrupted: the search was ended", interrupted=True
            )
            self._wind_up(record.number)
