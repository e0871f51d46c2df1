"""What others see of a search: while it runs, and when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rxtune.config import Study
from rxtune.data.task import Task
from rxtune.results import TrialRecord
from rxtune.search.budgets import Ending, Limits
from rxtune.search.cluster import Capacity

EndedBy = Literal[
    "trials", "space", "time_budget", "compute_budget", "plateau", "interrupt", "failures"
]
"""What ended a search: MLflow's tag `ended_by`."""


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
    limits: Limits
    """What may end the search before its trials are used up."""
    disk_forecast: int = 0
    """What it needs on disk at its peak, in bytes."""
    notes: tuple[str, ...] = ()
    """What to doubt before it starts, one line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """How a search ended."""

    view: SearchView
    records: tuple[TrialRecord, ...]
    ended_by: EndedBy
    """What ended it; `trials`: all that were asked for have run."""
    ending: Ending | None
    """The first limit that was reached, if any was."""
    exhausted: str | None
    """Why there was nothing more to try, if there was not."""
    cut: int
    """Trials that the end has cut off in this call."""
    seconds: float
    """Wall time of the trials, without Ray's start and end."""
    best_model: Path | None
    problems: tuple[str, ...]
    """What MLflow did not take."""
    storage_problems: tuple[str, ...] = ()
    """What the storage did not take or give, and the search went on without."""
    cluster_problems: tuple[str, ...] = ()
    """Hosts that joined and could not be used."""
    disk_peak: int = 0
    """The most it was seen to hold on disk since this call's start, in bytes."""

    @property
    def all_problems(self) -> tuple[str, ...]:
        """Everything that the search went on without: of MLflow, storage and cluster."""
        return (*self.problems, *self.storage_problems, *self.cluster_problems)

    @property
    def interrupted(self) -> bool:
        """Whether somebody ended the search by a signal."""
        return self.ended_by == "interrupt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the search leaves on its parent run in MLflow."""

    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    description: str
    """Markdown."""
    artifacts: Mapping[str, str]
    """Text by file name."""
    best_trial: int | None = None
    """Whose model is kept as the best; None: there is none."""


Watch = Callable[[SearchView], AbstractContextManager[None]]
"""Entered when the first trial starts and left after the last one."""
Conclude = Callable[[SearchResult], Conclusion]
