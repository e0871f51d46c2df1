"""Everything that a report shows, read once: trials, data, confirmation, versions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxtune.config import Study
from rxtune.report.page.confirmed import ConfirmedResults, read_confirmed
from rxtune.report.page.data_facts import DataFacts, read_facts
from rxtune.report.summary import Summary, summarise
from rxtune.results import Failure, TrialRecord, TrialState, ZeroShot, continued

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An evaluated trial as the sampler knows it."""

    number: int
    value: float
    """Its last dev score, a share."""
    params: Mapping[str, Any]
    """What it reads of the space."""
    distributions: Mapping[str, BaseDistribution]


@dataclass(frozen=True, kw_only=True)  # without slots: it keeps what it has computed
class Findings:
    """What is known of a search at one moment."""

    name: str
    study: Study
    records: tuple[TrialRecord, ...]
    """All trials by number."""
    points: tuple[Point, ...]
    summary: Summary
    data: DataFacts
    confirmed: ConfirmedResults | None
    """None: `rxtune confirm` has tested nothing yet."""
    problems: tuple[str, ...]
    """What could not be read, a sentence each."""
    is_running: bool
    versions: Mapping[str, str]
    """Of the libraries that are installed as the report is written."""
    written: datetime

    @cached_property
    def shown(self) -> list[TrialRecord]:
        """The trials that plots show: without those that another one goes on with."""
        handed_on = continued(self.records)
        return [record for record in self.records if record.number not in handed_on]

    @cached_property
    def evaluated(self) -> list[TrialRecord]:
        """The trials that have a dev score, however they ended."""
        return [r for r in self.shown if r.value is not None and math.isfinite(r.value)]

    @property
    def ended(self) -> int:
        """How many of the trials asked for have ended."""
        own = [r for r in self.records if r.failure is not Failure.INTERRUPTED]
        return sum(record.state is not TrialState.RUNNING for record in own)

    @property
    def result(self) -> ZeroShot | None:
        """Any trial's result in all languages, the winner's if there is one."""
        own = [self.summary.winner] if self.summary.winner else []
        return next((r.zero_shot for r in (*own, *self.records) if r.zero_shot), None)

    @cached_property
    def plain_cost(self) -> float | None:
        """Cost of a full trial of plain fine-tuning, in forward passes of one example.

        A trial that has done e of E evaluations at cost c stands for c · E / e: they are equally
        spaced. None: none has been evaluated.
        """
        plain = [r for r in self.evaluated if r.configuration.method == "standard"]
        plain.sort(key=lambda r: (not r.is_baseline, r.state is not TrialState.FINISHED))
        for record in plain:
            last = record.evaluations[-1]
            return last.forward_equivalents * self.study.stopping.evaluations / last.number
        return None


def gather(
    *,
    name: str,
    study: Study,
    records: Sequence[TrialRecord],
    points: Sequence[Point],
    confirmation: Path,
    predictions: Path,
    is_running: bool,
    written: datetime,
) -> Findings:
    """Return everything that a report shows; what cannot be read becomes a problem.

    Args:
        name: Of the run.
        study: What was searched.
        records: All trials.
        points: Those that have a dev score, as the sampler knows them.
        confirmation: The file of `rxtune confirm`; it may be missing.
        predictions: The folder with the predictions of its runs.
        is_running: Whether a process is running the search.
        written: When the report is written.
    """
    from rxtune.track import versions

    records = tuple(sorted(records, key=lambda record: record.number))
    data = read_facts(study, records)
    confirmed, problem = read_confirmed(confirmation, predictions, records, data)
    return Findings(
        name=name,
        study=study,
        records=records,
        points=tuple(point for point in points if point.number not in continued(records)),
        summary=summarise(
            records,
            evaluations=study.stopping.evaluations,
            space=study.space,
            examples=data.score_examples,
            objective=study.select.objective[0],
        ),
        data=data,
        confirmed=confirmed,
        problems=tuple(text for text in (data.problem, problem) if text),
        is_running=is_running,
        versions=versions(),
        written=written,
    )
