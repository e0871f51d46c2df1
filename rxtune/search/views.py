"""What others see of a search: while it runs, and when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rxtune.config import Study
from rxtune.data.task import Task
from rxtune.results import TrialRecord
from rxtune.search.cluster import Capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchView:
    """What a spectator may look at while the search runs, from any thread."""

    name: str
    study: Study
    task: Task
    dev_languages: tuple[str, ...]
    encoder: str
    capacity: Capacity
    folder: Path
    tracking_uri: str
    forecast: float
    """Cost of one plain trial that runs to its end, in forward-equivalents."""
    dev_examples: int
    """Examples behind a dev score, all dev languages together."""
    records: Callable[[], list[TrialRecord]]
    began: float
    """`time.monotonic()` at the start of the first trial."""
    recovered: str | None
    """What a crash had left half-written, if anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """How a search ended."""

    view: SearchView
    records: tuple[TrialRecord, ...]
    interrupted: bool
    seconds: float
    """Wall time of the trials, without Ray's start and end."""
    best_model: Path | None
    problems: tuple[str, ...]
    """What MLflow did not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the search leaves on its parent run in MLflow."""

    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    description: str
    """Markdown."""
    artifacts: Mapping[str, str]
    """Text by file name."""


Watch = Callable[[SearchView], AbstractContextManager[None]]
"""Entered when the first trial starts and left after the last one."""
Conclude = Callable[[SearchResult], Conclusion]
