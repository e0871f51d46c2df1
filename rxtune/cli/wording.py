"""Numbers and counts of a search in the few words that its table and its outcome share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rxtune.config import Study, TaskFile
from rxtune.results import Failure, TrialRecord, TrialState


def percent(value: float | None) -> str:
    """Return a score in [0, 1] as points."""
    return "–" if value is None else f"{100 * value:.1f}"


def duration(seconds: float) -> str:
    """Return a time as a clock shows it: `3:20`, `2:00:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}:{minutes_left:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def task_name(study: Study) -> str:
    """Return what the task of a study is called, wherever its data lies."""
    if isinstance(study.task, str):
        return study.task
    return study.task.name if isinstance(study.task, TaskFile) else study.task.catalogue


def is_cut_off(record: TrialRecord) -> bool:
    """Return whether a trial ended only because the search did; a resume starts it again."""
    return record.failure is Failure.INTERRUPTED


def has_ended(record: TrialRecord) -> bool:
    """Return whether a trial has used up one of those asked for."""
    return record.state is not TrialState.RUNNING and not is_cut_off(record)


def failed_text(records: Iterable[TrialRecord]) -> str:
    """Return how many trials failed and of what, `3 failed: 2 diverged, 1 error`; or nothing."""
    failed = [r for r in records if r.state is TrialState.FAILED and not is_cut_off(r)]
    kinds = Counter((r.failure or Failure.ERROR).value for r in failed)
    return f"{len(failed)} failed: {failed_kinds(dict(kinds.most_common()))}" if failed else ""


def failed_kinds(kinds: Mapping[str, int]) -> str:
    """Return how many trials failed of what: `2 diverged, 1 error`."""
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
