"""When a search is over before its trials are used up: a budget of time or compute, a plateau."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rxtune.config.budget import write_duration
from rxtune.config.search_settings import SearchSettings
from rxtune.config.select import Objective
from rxtune.results import TrialRecord, TrialState, continued

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the rules need to know of a search, besides its trials."""

    search: SearchSettings
    objectives: tuple[Objective, ...] = ("mean",)
    evaluations: int
    """Of a trial that runs to its end."""
    devices: float = 1.0
    """What a trial occupies: its GPUs or a share of one; without a GPU, its CPUs."""
    examples: int
    """Dev examples behind a score."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What ended a search before its trials were used up."""

    by: Literal["time_budget", "compute_budget", "plateau"]
    what: str
    """Such as `time budget of 2h`."""

    @property
    def reason(self) -> str:
        """Why a trial that it cut off has no result, in one line."""
        return f"ended: the {self.what} is used up"


def reason_to_end(limits: Limits, records: Sequence[TrialRecord], elapsed: float) -> Ending | None:
    """Return what ends a search now, or None.

    Args:
        limits: The search's.
        records: All trials.
        elapsed: Wall time since this call's trials began, in seconds.
    """
    if time_is_up(limits, elapsed):
        return Ending("time_budget", f"time budget of {write_duration(_seconds(limits))}")
    budget = limits.search.compute_budget
    if budget is not None and spent(limits, budget.unit, records) >= budget.amount:
        return Ending("compute_budget", f"compute budget of {budget}")
    if has_plateau(limits, records):
        length = limits.search.plateau
        return Ending("plateau", f"plateau of {length} trial{'' if length == 1 else 's'}")
    return None


def time_is_up(limits: Limits, elapsed: float) -> bool:
    """Return whether the wall time is used up: every trial ends at once, wherever it is."""
    return elapsed >= _seconds(limits)


def _seconds(limits: Limits) -> float:
    budget = limits.search.time_budget
    return math.inf if budget is None else budget


def is_cut(limits: Limits, ending: Ending | None, record: TrialRecord) -> bool:
    """Return whether a running trial ends at the evaluation that it has just reported.

    A plateau starts no new trial and lets those that run come to their end. A compute budget cuts
    them off, but for one that has trained to its end: what it still does costs no training.
    """
    if ending is None or ending.by == "plateau":
        return False
    return len(record.evaluations) < limits.evaluations


def ends_seeds(ending: Ending | None) -> bool:
    """Return whether a trial that has a result gets no further seed: each is another training."""
    return ending is not None and ending.by != "plateau"


def spent(
    limits: Limits,
    unit: Literal["hours", "forward_equivalents"],
    records: Iterable[TrialRecord],
) -> float:
    """Return the training that all trials have reported, in hours of a device or forward passes.

    A trial on several seeds counts as often; each costs what the first one did. One that goes on
    with an interrupted trial has reported that one's training as its own.
    """
    records = list(records)
    reported_again = continued(records)
    total = 0.0
    for record in records:
        if record.evaluations and record.number not in reported_again:
            last, seeds = record.evaluations[-1], max(1, len(record.replicates))
            hours = last.seconds / _HOUR * limits.devices
            total += seeds * (hours if unit == "hours" else last.forward_equivalents)
    return total


def has_plateau(limits: Limits, records: Iterable[TrialRecord]) -> bool:
    """Return whether the last trials have brought nothing better, beyond the noise.

    `plateau` trials in a row, in the order in which they ended, of those that finished or were
    stopped; a stopped one cannot win, so it brings nothing, whatever its score was on the way. A
    finished one brings something if it beats every trial before them in at least one objective by
    more than one standard error of the other's score. With one objective: the best one by more
    than its error. With several: what no earlier trial matches within the noise would stand on
    the Pareto front. Compute is counted, so without error.
    """
    length = limits.search.plateau
    if length is None:
        return False
    ended = (r for r in records if r.state in (TrialState.FINISHED, TrialState.STOPPED))
    ordered = sorted(ended, key=lambda r: (r.ended or 0.0, r.number))
    if len(ordered) <= length:
        return False
    before = _scores(limits, ordered[:-length])
    latest = _scores(limits, ordered[-length:])
    return bool(before) and not any(_brings(limits, scores, before) for scores in latest)


def _scores(limits: Limits, records: Iterable[TrialRecord]) -> list[tuple[float, ...]]:
    """Return the objectives of the finished trials, all of them to be high."""
    found = []
    for record in records:
        if record.state is TrialState.FINISHED and record.value is not None:
            values = (record.value, *record.objectives[1:])
            found.append(tuple(map(_to_be_high, limits.objectives, values)))
    return found


def _to_be_high(objective: Objective, value: float) -> float:
    return -value if objective == "compute" else value


def _brings(limits: Limits, scores: Sequence[float], before: Iterable[Sequence[float]]) -> bool:
    return all(
        any(map(lambda *pair: _exceeds(limits, *pair), limits.objectives, scores, earlier))
        for earlier in before
    )


def _exceeds(limits: Limits, objective: Objective, score: float, earlier: float) -> bool:
    if objective == "compute":
        return score > earlier
    share = min(max(earlier, 0.0), 1.0)
    return score > earlier + math.sqrt(share * (1.0 - share) / limits.examples)
