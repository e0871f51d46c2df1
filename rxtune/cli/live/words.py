"""A trial in words: what its row, its line and its ending say."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rxtune.cli.wording import percent
from rxtune.config import Study
from rxtune.results import Failure, TrialRecord, TrialState

_NAMES = {
    "sigma": "sigma",
    "radius": "radius",
    "pgd_steps": "K",
    "replace_probability": "q",
    "learning_rate": "lr",
}
_SHORT = {"sigma": "sig", "radius": "rad"}
_KINDS: Mapping[str | None, str] = {Failure.INTERRUPTED: "cut off"}
_SHORT_KINDS: Mapping[str | None, str] = {
    **_KINDS,
    Failure.OUT_OF_MEMORY: "no memory",
    Failure.WORKER_LOST: "lost",
    Failure.NODE_LOST: "lost",
}
"""Kinds of failure whose names are too long for a narrow table, or say too little."""


_NEEDED = re.compile(r"(?:best )?dev score (?:so far )?\S+, needed (the median of )?([\d.]+)")


def describe(record: TrialRecord) -> str:
    """Return method and parameters in one line."""
    return f"{record.configuration.method} {parameters(record)}"


def parameters(record: TrialRecord, *, short: bool = False) -> str:
    """Return the parameters that are searched; `short` for a narrow table."""
    searched = record.configuration.searched()
    if not short:
        return " ".join(f"{_NAMES[n]} {searched[n]:.3g}" for n in _NAMES if n in searched)
    parts = [f"{_SHORT.get(n, _NAMES[n])} {searched[n]:.2g}" for n in _NAMES if n in searched]
    return " ".join(parts).replace(" 0.", " .")


def method(record: TrialRecord) -> str:
    """Return the method; of plain fine-tuning at default parameters, that it is the baseline."""
    return "baseline" if record.is_baseline else record.configuration.method


def state(record: TrialRecord, *, is_alive: bool = True, short: bool = False) -> str:
    """Return the state in a word or two; of a failure, its kind.

    Args:
        record: The trial.
        is_alive: Whether there is a driver: without one nothing runs.
        short: For a narrow table.
    """
    if record.state is TrialState.RUNNING and not is_alive:
        return "broken off"
    if record.state is TrialState.RUNNING and record.losses and not short:
        return f"running, {record.losses} lost"
    failure = record.failure
    if record.state is TrialState.FAILED and failure not in (None, Failure.ERROR):
        return _SHORT_KINDS.get(failure, failure) if short else _KINDS.get(failure, failure)
    return record.state.value


def dev_score(record: TrialRecord) -> str:
    """Return the dev score in points, and over how many seeds it is a mean."""
    seeds = len(record.replicates)
    return percent(record.value) + (f" ({seeds} seeds)" if seeds > 1 else "")


def evaluations(record: TrialRecord, study: Study) -> str:
    """Return how many of its evaluations are done: `3/6`."""
    return f"{len(record.evaluations)}/{study.stopping.evaluations}"


def reason(record: TrialRecord) -> str:
    """Return why it was stopped or failed, without what its state and its evaluations say."""
    if record.state is TrialState.RUNNING:
        return loss(record) if record.losses else ""
    text = " ".join((record.reason or "").split())
    if record.state is TrialState.STOPPED:
        text = text.partition(": ")[2] or text
        return _NEEDED.sub(lambda found: _needed(found, record), text)
    return text.removeprefix(f"{record.failure}: ")


def _needed(found: re.Match[str], record: TrialRecord) -> str:
    """Return what a trial would have needed, in points as its own score beside it."""
    needed = float(found[2])
    is_close = percent(needed) == percent(record.value)
    return f"needed {found[1] or ''}{100 * needed:.{2 if is_close else 1}f}"


def loss(record: TrialRecord) -> str:
    """Return that a trial has lost its worker, and what becomes of it."""
    return f"broke off (time {record.losses}), goes on from its last checkpoint on another worker"
