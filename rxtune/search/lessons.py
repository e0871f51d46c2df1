"""What the trials of a search have to teach; of many, the best and the latest."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Self

from optuna.trial import FrozenTrial, TrialState

from rxtune.config import Configuration
from rxtune.config.canonical import canonical
from rxtune.search.changes import Changes
from rxtune.search.history import Lesson
from rxtune.search.trial_attributes import evaluations_of, is_interrupted, last_evaluation

LEARNT_FROM = 400
"""Most trials that a sampler sees: its cost grows with them, and its advice hardly improves."""
_BEST = 100

_KINDS = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What a search knows when it proposes a trial."""

    lessons: Sequence[Lesson]
    """What its sampler is to see, in the order of the trials."""
    tried: AbstractSet[Configuration]
    """What it has tried itself, in canonical form."""
    known: int
    """How many of all its lessons say how good a configuration is."""


NOTHING = Experience(lessons=(), tried=frozenset(), known=0)


class Lessons:
    """What trials have to teach, kept from proposal to proposal.

    It is a function of the trials alone, and only made faster by being kept.

    Args:
        minimised: Whether the first objective is to be low.
    """

    def __init__(self, *, minimised: bool) -> None:
        self.known = 0
        self._sign = 1.0 if minimised else -1.0
        self._lessons: dict[int, Lesson] = {}
        self._best: list[tuple[float, int]] = []  # the lowest first, and its number
        self._tried: set[Configuration] = set()
        self._changes: Changes[FrozenTrial] = Changes(lambda trial: trial.state.is_finished())

    @classmethod
    def of(cls, lessons: Sequence[Lesson], *, minimised: bool = False) -> Self:
        """Return what these lessons, one for each trial, come to."""
        found = cls(minimised=minimised)
        for number, lesson in enumerate(lessons):
            found._put(number, lesson)
        return found

    def learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in what has changed.

        Args:
            trials: All of them, by number.
        """
        for trial in self._changes.since(trials):
            if is_interrupted(trial):  # another one goes on with its configuration
                self._lessons.pop(trial.number, None)
            else:
                self._put(trial.number, lesson_of(trial))

    def _put(self, number: int, lesson: Lesson) -> None:
        if lesson.is_own and number not in self._lessons:
            self._tried.add(canonical(lesson.configuration))
        self._lessons[number] = lesson
        self.known += lesson.says_how_good
        if lesson.kind == "finished":
            insort(self._best, (self._sign * lesson.values[0], number))
            del self._best[_BEST:]

    def experience(self, earlier: Sequence[Lesson] = ()) -> Experience:
        """Return what a proposal is to be made from.

        Args:
            earlier: Lessons of other searches, which come before all of this one.
        """
        return Experience(
            lessons=self._bounded(earlier),
            tried=self._tried,
            known=self.known + sum(lesson.says_how_good for lesson in earlier),
        )

    def _bounded(self, earlier: Sequence[Lesson]) -> list[Lesson]:
        """Return the best and the latest of many lessons, in their order."""
        if len(earlier) + len(self._lessons) <= LEARNT_FROM:
            return [*earlier, *self._lessons.values()]
        before = dict(enumerate(earlier, start=-len(earlier)))
        best = self._best + [
            (self._sign * lesson.values[0], place)
            for place, lesson in before.items()
            if lesson.kind == "finished"
        ]
        own = islice(reversed(self._lessons.items()), LEARNT_FROM - _BEST)
        chosen = {place: self._at(place, before) for _, place in sorted(best)[:_BEST]} | dict(own)
        if len(self._lessons) < LEARNT_FROM - _BEST:
            chosen |= islice(reversed(before.items()), LEARNT_FROM - _BEST - len(self._lessons))
        return [chosen[place] for place in sorted(chosen)]

    def _at(self, place: int, before: dict[int, Lesson]) -> Lesson:
        return before[place] if place < 0 else self._lessons[place]


def lesson_of(trial: FrozenTrial) -> Lesson:
    """Return what a trial has to teach, whoever ran it."""
    kind, step = _KINDS[trial.state], last_evaluation(trial)
    values: tuple[float, ...] = ()
    if kind == "finished":
        values = tuple(trial.values)
    elif kind == "stopped":
        reached = evaluations_of(trial)[step]
        values = reached.objectives or (reached.value,)
    return Lesson(
        configuration=Configuration.from_json(trial.user_attrs["configuration"]),
        params=trial.params,
        kind=kind,
        values=values,
        step=step,
        memory={k: v for k, v in trial.system_attrs.items() if is_memory(k)},
    )


def is_memory(key: str) -> bool:
    """Return whether a sampler, and not a stopper, wrote this system attribute."""
    return key.endswith(":generation")
