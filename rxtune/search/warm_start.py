"""What earlier searches teach a new one: their trials, measured against their own baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from rxtune.config import Configuration, Space, Study
from rxtune.errors import StudyError
from rxtune.results import TrialRecord, TrialState
from rxtune.search.distributions import params_of
from rxtune.search.history import Lesson

_KINDS = {TrialState.FINISHED: "finished", TrialState.STOPPED: "stopped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What one earlier search teaches."""

    run: str
    best: Configuration | None
    """Of its configurations that lie in the new space; None: none of them finished there."""
    gains: tuple[Lesson, ...]
    """Its trials, their values less those of its baseline."""
    dropped: int
    """How many of its trials lie outside of the new space."""

    def __str__(self) -> str:
        """Return how much of the earlier search is taken over."""
        taken = len(self.gains)
        if not self.dropped:
            return f"{taken} trial{'s' * (taken != 1)} of {self.run}"
        lie = "lies" if self.dropped == 1 else "lie"
        return (
            f"{taken} of the {taken + self.dropped} trials of {self.run}"
            f" ({self.dropped} {lie} outside of this space)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What earlier searches teach, as it is kept in the new journal."""

    earlier: tuple[Earlier, ...]

    def __str__(self) -> str:
        """Return how much of every earlier search is taken over, in one line."""
        return "; ".join(map(str, self.earlier))

    @property
    def start_points(self) -> list[Configuration]:
        """The best configuration of every earlier search."""
        return [one.best for one in self.earlier if one.best is not None]

    def lessons(self, baseline: Sequence[float] | None) -> list[Lesson]:
        """Return the lessons in the scores of this search.

        Another task, encoder or language has scores of its own, so that a gain over plain
        fine-tuning is what carries over.

        Args:
            baseline: What this search's own baseline reached; None: it is not known yet, and the
                lessons compare with each other alone.
        """
        found = []
        for lesson in (lesson for one in self.earlier for lesson in one.gains):
            above = baseline or (0.0,) * len(lesson.values)
            values = tuple(a + gain for a, gain in zip(above, lesson.values, strict=True))
            found.append(replace(lesson, values=values, is_own=False))
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """Return a JSON-serialisable list; `from_json` reads it back."""
        return [
            {
                "run": one.run,
                "best": one.best and one.best.to_json(),
                "dropped": one.dropped,
                "gains": [
                    {
                        "configuration": lesson.configuration.to_json(),
                        "kind": lesson.kind,
                        "values": list(lesson.values),
                        "step": lesson.step,
                    }
                    for lesson in one.gains
                ],
            }
            for one in self.earlier
        ]

    @classmethod
    def from_json(cls, record: Sequence[Mapping[str, Any]], space: Space) -> Self:
        """Return the warm start that `to_json` wrote, for a search of this space."""
        return cls(
            earlier=tuple(
                Earlier(
                    run=one["run"],
                    best=one["best"] and Configuration.from_json(one["best"]),
                    dropped=one["dropped"],
                    gains=tuple(_lesson(gain, space) for gain in one["gains"]),
                )
                for one in record
            )
        )


def _lesson(gain: Mapping[str, Any], space: Space) -> Lesson:
    configuration = Configuration.from_json(gain["configuration"])
    return Lesson(
        configuration=configuration,
        params=params_of(space, configuration) or {},
        kind=gain["kind"],
        values=tuple(gain["values"]),
        step=gain["step"],
    )


def learn(run: str, study: Study, records: Sequence[TrialRecord], new: Study) -> Earlier:
    """Return what a search teaches a new one.

    Args:
        run: Name of the earlier search.
        study: What it searched.
        records: Its trials.
        new: What is to be searched.

    Raises:
        StudyError: its results cannot be compared with those to come.
    """
    _require_comparable(run, study, new)
    baseline = next((r for r in records if r.is_baseline and r.state in _KINDS), None)
    if baseline is None:
        raise StudyError(
            f"--warm-start: the baseline of run {run!r} has no result, and gains are counted from"
            f" it; let it finish with `rxtune search --name {run} --resume`"
        )
    usable = [r for r in records if r.state in _KINDS and r.evaluations]
    inside = {r.number: params_of(new.space, r.configuration) for r in usable}
    finished = [r for r in usable if inside[r.number] and r.state is TrialState.FINISHED]
    best = max(finished, key=lambda r: (r.value or 0.0, -r.number), default=None)
    steps = new.stopping.evaluations / study.stopping.evaluations
    return Earlier(
        run=run,
        best=best.configuration if best else None,
        gains=tuple(
            _gain(record, params, baseline, steps)
            for record in usable
            if (params := inside[record.number])
        ),
        dropped=sum(not params for params in inside.values()),
    )


def _gain(
    record: TrialRecord, params: Mapping[str, Any], baseline: TrialRecord, steps: float
) -> Lesson:
    values = _values(record)
    # A stopped trial stands beside the baseline at the same place, not at its end.
    at = {e.number: e.objectives or (e.value,) for e in baseline.evaluations}
    stopped = record.state is TrialState.STOPPED
    beside = at.get(record.evaluations[-1].number) if stopped else None
    against = beside or _values(baseline)
    return Lesson(
        configuration=record.configuration,
        params=params,
        kind=_KINDS[record.state],
        values=tuple(a - b for a, b in zip(values, against, strict=True)),
        step=max(1, round(record.evaluations[-1].number * steps)),
    )


def _values(record: TrialRecord) -> tuple[float, ...]:
    assert record.value is not None
    return (record.value, *record.objectives[1:])


def _require_comparable(run: str, study: Study, new: Study) -> None:
    for name, then, now in (
        ("units", study.units, new.units),
        ("select.metric", study.select.metric, new.select.metric),
        ("select.objective", study.select.objective, new.select.objective),
    ):
        if then != now:
            raise StudyError(
                f"--warm-start: run {run!r} was searched with {name} {_show(then)} and cannot"
                f" teach a search with {_show(now)}; set {name} to the same, or leave the run out"
            )


def _show(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
