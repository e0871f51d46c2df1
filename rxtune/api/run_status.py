"""How a run stands, from its journal alone: it runs elsewhere, has ended or has broken off."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.api.findings import read_trials
from rxtune.api.progress import Progress, Tally
from rxtune.errors import StudyError
from rxtune.results import Failure, TrialRecord
from rxtune.search.lock import pid_file
from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    from rxtune.config import Study


class RunState(StrEnum):
    """Whether somebody runs a search."""

    RUNNING = "running"
    """A driver has it."""
    ENDED = "ended"
    """All trials that were asked for have ended, or something ended it before."""
    BROKEN_OFF = "broken off"
    """By the journal trials run, but no driver has them: it or its machine went down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A run as its journal has it."""

    name: str
    folder: Path
    state: RunState
    why: str | None
    """What ended it before its trials were used up, in one line; None: nothing did, or the journal
    does not know."""
    progress: Progress
    """Without `workers`: only the driver knows how many trials would fit."""
    looked: float
    """Unix time at which the journal was read, in seconds."""
    best_model: Path | None
    """Where the best model lies; None: there is none yet."""


def is_starting(name: str, root: Path = Path("runs")) -> bool:
    """Return whether a driver has the run that has not come to its first trial yet.

    Raises:
        StudyError: the name is none.
    """
    folder = RunFolder.named(root, name)
    return not folder.has_begun and folder.has_driver


def status(name: str, root: Path = Path("runs")) -> Status:
    """Return how a run stands; only its journal is read, and its driver is not disturbed.

    Args:
        name: the run.
        root: folder of all runs.

    Raises:
        StudyError: there is no such run, it has not come to its first trial, or its journal
            cannot be read.
    """
    if is_starting(name, root):
        raise StudyError(
            f"run {name!r} is being started and has no trial yet; look again in some seconds, or"
            f" wait for it with `rxtune status {name} --watch`"
        )
    folder = RunFolder.existing(root, name)
    is_running = folder.has_driver
    study, records = read_trials(folder)
    # Again: one that came or left while the journal was read counts as running, not as broken off.
    is_running = is_running or folder.has_driver
    now = time.time()
    tally = Tally(study, since=_driver_started(folder) if is_running else 0.0)
    progress = tally.look(records, workers=None, now=now)
    state = _state(progress, is_running=is_running)
    return Status(
        name=name,
        folder=folder.path,
        state=state,
        why=_why_early(study, progress) if state is RunState.ENDED else None,
        progress=progress,
        looked=now,
        best_model=folder.best if progress.best is not None and folder.best.is_dir() else None,
    )


def _driver_started(folder: RunFolder) -> float:
    """Return when the present driver took the run, in Unix time; 0 if that cannot be told."""
    try:
        return pid_file(folder.journal).stat().st_mtime
    except OSError:
        return 0.0


def _state(progress: Progress, *, is_running: bool) -> RunState:
    if is_running:
        return RunState.RUNNING
    return RunState.BROKEN_OFF if progress.running else RunState.ENDED


def _why_early(study: Study, progress: Progress) -> str | None:
    """Return what ended a search before its trials were used up, as far as the journal knows."""
    if progress.ended >= progress.asked:
        return None
    if reason := _reason_of_the_cut(progress.records):
        return reason
    budget = study.search.compute_budget
    has_count = budget is not None and budget.unit == "forward_equivalents"
    if budget is not None and has_count and progress.forward_equivalents >= budget.amount:
        return f"the compute budget of {budget} is used up"
    return None


def _reason_of_the_cut(records: Sequence[TrialRecord]) -> str | None:
    """Return what the trials that were cut off last say of the end: `the … is used up`."""
    retried = {record.retry_of for record in records}
    cut = [r for r in records if r.failure is Failure.INTERRUPTED and r.number not in retried]
    last = max(cut, key=lambda record: record.ended or 0.0, default=None)
    if last is None or last.reason is None:
        return None
    if last.reason.startswith("interrupted"):
        return "it was interrupted"
    return last.reason.removeprefix("ended: ")
