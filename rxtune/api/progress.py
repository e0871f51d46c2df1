"""How far a search is: its trials counted, its standing, its cost, and the time that is left."""

from __future__ import annotations

import time
from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rxtune.config import Study
from rxtune.config.stopping import Asha, Hyperband
from rxtune.results import Failure, TrialRecord, TrialState
from rxtune.search.changes import Changes

_HOUR = 3600.0
LATEST = 10
"""Trials without a result that are kept in mind, to tell why they have none."""
SILENT_TIMES = 10
"""A trial is silent that lets this many times the longest way between two evaluations pass …"""
SILENT_SECONDS = 300.0
"""… and at least this long: its last evaluation is in all languages, and its model is saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A search at one moment."""

    study: Study
    records: Sequence[TrialRecord]
    """All trials by number."""
    running: tuple[TrialRecord, ...]
    ended: int
    """Trials that have used up one of those asked for: not the ones that run or were cut off."""
    finished: int
    stopped: int
    failed: Mapping[str, int]
    """By kind."""
    cut_off: int
    """Trials that ended only because the search did, and were not taken up again."""
    latest: tuple[TrialRecord, ...]
    """The last few that were stopped, failed or were cut off, in the order of their ends."""
    best: TrialRecord | None
    """The best finished trial; of equals a plain one, then the first."""
    baseline: TrialRecord | None
    """Plain fine-tuning at default parameters, as far as it is."""
    workers: int | None
    """Trials at a time; None: the journal alone does not say."""
    forward_equivalents: float
    """Training of all trials together, in forward passes of one example."""
    plain_cost: float | None
    """What plain fine-tuning to its end costs, in the same unit; None: not known yet."""
    compute_share: float | None
    """What is used of the study's compute budget; None: there is none, or a trial's devices are
    not known, whose hours it counts."""
    began: float | None
    """Unix time at which the first trial started, in seconds."""
    heard: float | None
    """Unix time at which a trial last started, was evaluated or ended, in seconds."""
    seconds_left: float | None
    """What the rest takes at the speed so far; None before the first evaluation."""
    silent: tuple[tuple[TrialRecord, float], ...]
    """Running trials of which nothing was heard for suspiciously long, in seconds."""

    @property
    def asked(self) -> int:
        """Trials that were asked for."""
        return self.study.search.trials

    @property
    def without_result(self) -> int:
        """Trials that were stopped, failed or are cut off."""
        return self.stopped + sum(self.failed.values()) + self.cut_off

    @property
    def plain_trainings(self) -> float | None:
        """The cost of all trials in trainings of plain fine-tuning."""
        return None if not self.plain_cost else self.forward_equivalents / self.plain_cost

    @property
    def gain(self) -> float | None:
        """Dev score of the best trial above the baseline's last one."""
        if self.best is None or self.baseline is None:
            return None
        one, other = self.best.value, self.baseline.value
        return None if one is None or other is None else one - other


class _Cost(NamedTuple):
    """What training has cost, of all seeds of a trial together."""

    forward_equivalents: float
    seconds: float

    def plus(self, other: _Cost, sign: float = 1.0) -> _Cost:
        """Return the sum, or with -1 the difference."""
        return _Cost(*(one + sign * more for one, more in zip(self, other, strict=True)))


def _cost_of(record: TrialRecord) -> _Cost:
    if not record.evaluations:
        return _Cost(0.0, 0.0)
    seconds = record.evaluations[-1].seconds * max(1, len(record.replicates))
    return _Cost(record.forward_equivalents, seconds)


class Tally:
    """Counts trials as they end, so that a look costs what runs and not all there was.

    Args:
        study: What is searched.
        plain_cost: Of plain fine-tuning to its end, in forward-equivalents; None: the baseline
            will tell.
        devices: What a trial occupies, for a budget in hours of a device; None: not known.
        since: Unix time before which nothing could have been heard: the start of this driver.
    """

    def __init__(
        self,
        study: Study,
        *,
        plain_cost: float | None = None,
        devices: float | None = None,
        since: float = 0.0,
    ) -> None:
        self._study = study
        self._plain_cost = plain_cost
        self._devices = devices
        self._since = since
        self._changes: Changes[TrialRecord] = Changes(
            lambda record: record.state is not TrialState.RUNNING
        )
        self._states: Counter[TrialState] = Counter()
        self._failed: Counter[str] = Counter()
        self._costs: dict[int, _Cost] = {}  # of what has ended and was not taken up again
        self._cost = _Cost(0.0, 0.0)  # the sum of these
        self._lengths: list[float] = []  # seconds of every trial that has ended by itself
        self._retries: dict[int, int] = {}  # what goes on with what was cut off
        self._cut_off: set[int] = set()
        self._latest: list[TrialRecord] = []
        self._usual = 0.0
        self._best: TrialRecord | None = None
        self._baseline: int | None = None
        self._began: float | None = None
        self._heard: float | None = None

    def look(
        self, records: Sequence[TrialRecord], *, workers: int | None, now: float | None = None
    ) -> Progress:
        """Return how far the search is.

        Args:
            records: All trials by number.
            workers: Trials at a time; None: not known.
            now: Unix time in seconds; None: it is read.
        """
        now = time.time() if now is None else now
        for record in self._changes.since(records):
            self._count(record)
        running = tuple(records[place] for place in self._changes.open)
        baseline = None if self._baseline is None else records[self._baseline]
        cost = self._cost
        for record in running:
            cost = cost.plus(_cost_of(record))
        return Progress(
            study=self._study,
            records=records,
            running=running,
            ended=self._states.total(),
            finished=self._states[TrialState.FINISHED],
            stopped=self._states[TrialState.STOPPED],
            failed=dict(self._failed.most_common()),
            cut_off=len(self._cut_off),
            latest=tuple(self._latest),
            best=self._best,
            baseline=baseline,
            workers=None if workers is None else max(workers, len(running)),
            forward_equivalents=cost.forward_equivalents,
            plain_cost=self._plain_cost or self._plain_cost_by(baseline),
            compute_share=self._compute_share(cost),
            began=self._began,
            heard=self._heard,
            seconds_left=self._seconds_left(running, workers, now),
            silent=tuple(self._silent(running, now)),
        )

    def _count(self, record: TrialRecord) -> None:
        """Take over a trial that is new, has been evaluated or has ended."""
        self._take_up(record)
        if record.is_baseline:
            self._baseline = record.number
        self._usual = max(self._usual, _longest_way(record))
        if record.started is not None:
            self._began = min(record.started, self._began or record.started)
        self._heard = max(self._heard or 0.0, *_signs(record)) or None
        if record.state is not TrialState.RUNNING:
            self._count_ended(record)

    def _take_up(self, record: TrialRecord) -> None:
        """Count a trial no longer with which this one goes on: its training is this one's own."""
        if record.retry_of is not None:
            self._retries[record.number] = record.retry_of
            self._cut_off.discard(record.retry_of)
        earlier = record.retry_of if record.evaluations else None
        while earlier is not None:
            self._cost = self._cost.plus(self._costs.pop(earlier, _Cost(0.0, 0.0)), -1.0)
            earlier = self._retries.get(earlier)

    def _count_ended(self, record: TrialRecord) -> None:
        self._costs[record.number] = cost = _cost_of(record)
        self._cost = self._cost.plus(cost)
        if record.state is not TrialState.FINISHED:
            insort(self._latest, record, key=lambda r: (r.ended or 0.0, r.number))
            del self._latest[:-LATEST]
        if record.failure is Failure.INTERRUPTED:
            self._cut_off.add(record.number)
            return
        self._states[record.state] += 1
        if record.state is TrialState.FAILED:
            self._failed[(record.failure or Failure.ERROR).value] += 1
        if (length := _length(record)) is not None:
            self._lengths.append(length)
        if record.state is TrialState.FINISHED and record.value is not None:
            self._best = max((self._best or record, record), key=_rank)

    def _plain_cost_by(self, baseline: TrialRecord | None) -> float | None:
        """Return the cost of the baseline at its end, of which it may have done a part."""
        if baseline is None or not baseline.evaluations:
            return None
        last = baseline.evaluations[-1]
        return last.forward_equivalents * self._study.stopping.evaluations / last.number

    def _compute_share(self, cost: _Cost) -> float | None:
        budget = self._study.search.compute_budget
        if budget is None:
            return None
        if budget.unit == "forward_equivalents":
            return cost.forward_equivalents / budget.amount
        if self._devices is None:
            return None
        return cost.seconds * self._devices / _HOUR / budget.amount

    def _seconds_left(
        self, running: Sequence[TrialRecord], workers: int | None, now: float
    ) -> float | None:
        """Return what the rest takes; a running trial counts by the share it has done.

        Trials differ in length: each is taken to be as long as the mean of those that have ended
        or, before there is one, as those that run will be by their evaluations so far.
        """
        whole = self._lengths or [
            r.evaluations[-1].seconds * self._study.stopping.evaluations / r.evaluations[-1].number
            for r in running
            if r.evaluations
        ]
        if not whole:
            return None
        mean = sum(whole) / len(whole)
        to_come = mean * max(0, self._study.search.trials - self._states.total() - len(running))
        to_come += sum(max(0.0, mean - self._seconds_done(record, now)) for record in running)
        return to_come / max(1, workers or len(running))

    def _seconds_done(self, record: TrialRecord, now: float) -> float:
        """Return how long a trial has run, without the time in which no driver did."""
        before = record.evaluations[-1].seconds if record.evaluations else 0.0
        return before + max(0.0, now - max(self._since, *_signs(record)))

    def _silent(
        self, running: Sequence[TrialRecord], now: float
    ) -> Iterator[tuple[TrialRecord, float]]:
        """Yield the trials that may hang, and since when nothing was heard of them.

        Ray notices a process that dies, but waits for ever for one that hangs.
        """
        for record in running if self._usual else ():
            seconds = now - max(self._since, *_signs(record))
            if seconds > max(SILENT_SECONDS, SILENT_TIMES * self._usual):
                yield record, seconds


def _rank(record: TrialRecord) -> tuple[float, bool, int]:
    """Return what orders finished trials, by the report's rule."""
    assert record.value is not None
    return (record.value, record.configuration.method == "standard", -record.number)


def _signs(record: TrialRecord) -> list[float]:
    """Return when something was heard of a trial; 0 if never."""
    times = [evaluation.time for evaluation in record.evaluations[-1:]]
    return [record.started or 0.0, *times, record.ended or 0.0]


def _length(record: TrialRecord) -> float | None:
    """Return how long a trial that has ended has run, in seconds.

    Its evaluations count the time in which it ran, whatever lay between its driver's crash and the
    resume; after the last one come its results in all languages, and its other seeds.
    """
    if record.started is None or record.ended is None:
        return None
    if not record.evaluations:
        return record.ended - record.started
    last = record.evaluations[-1]
    return last.seconds + max(0.0, record.ended - last.time)


def _longest_way(record: TrialRecord) -> float:
    """Return the longest time between two evaluations of a trial, in seconds."""
    seconds = [0.0, *(evaluation.seconds for evaluation in record.evaluations)]
    return max((after - before for before, after in pairwise(seconds)), default=0.0)


def rung_of(study: Study, record: TrialRecord) -> int | None:
    """Return the last rung that a trial has come to, as the number of its evaluation.

    None: it has come to none yet, or the study's rule has no rungs.
    """
    rule, done = study.stopping.rule, len(record.evaluations)
    if not isinstance(rule, Asha):
        return None
    bracket = 0
    if isinstance(rule, Hyperband):
        from rxtune.search.rungs import bracket_of  # and with it Optuna

        bracket = bracket_of(rule, record.number if record.began_as is None else record.began_as)
    return max((rung for rung in rule.rungs[bracket:] if rung <= done), default=None)
