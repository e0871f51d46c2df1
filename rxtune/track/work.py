"""What a tracker hands to its writer: a piece of work for one key, and how two become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rxtune.results import Evaluation, TrialRecord


@dataclass(frozen=True, slots=True)
class TrialWork:
    """What is to be written about one trial."""

    record: TrialRecord | None
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchWork:
    """What is to be written about the end of the search."""

    state: str
    ended: float
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FileWork:
    """One artifact of the search."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class EntityWork:
    """What MLflow has calls of their own for: views of the page, data sets, the best model."""

    write: Callable[[], None]


Work = TrialWork | SearchWork | FileWork | EntityWork


def merge(older: Work, newer: Work) -> Work:
    """Return what is left to be written of two pieces of work for one key."""
    if not isinstance(newer, TrialWork) or not isinstance(older, TrialWork):
        return newer
    return TrialWork(newer.record or older.record, older.evaluations + newer.evaluations)
