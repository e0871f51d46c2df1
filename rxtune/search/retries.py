"""Which failures are tried again, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rxtune.results import Failure

RETRIES: Mapping[Failure, int] = {Failure.WORKER_LOST: 2, Failure.OUT_OF_MEMORY: 1}
"""How often a trial goes on after such a failure. What is missing here would come out again."""
NODE_LOSSES = 10
"""Machines that a trial may lose in a row without an evaluation in between."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a trial broke off, and of which kind that is."""

    failure: Failure
    reason: str
    """In one line."""


def may_retry(failure: Failure, *, shares_device: bool) -> bool:
    """Return whether a trial that fails so may get another chance.

    A worker or a machine can be lost by chance. A device that other trials use as well may have
    more memory left the next time; one of the trial's own has what it has. A divergence or an
    error is a function of configuration, data and seed, and would be the same again.
    """
    if failure is Failure.OUT_OF_MEMORY:
        return shares_device
    return failure in RETRIES or failure is Failure.NODE_LOST


class NodeLosses:
    """Counts, per trial, the machines lost since its last evaluation.

    Not in the journal: a preempted machine says nothing about the trial, and whoever resumes a
    search has looked at it.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}

    def count(self, number: int, evaluations: int) -> int:
        """Return how many in a row a trial has lost by now, this one counted."""
        at, times = self._seen.get(number, (evaluations, 0))
        times = times + 1 if at == evaluations else 1
        self._seen[number] = (evaluations, times)
        return times
