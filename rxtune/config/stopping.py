"""When weak trials are stopped early: the rules, by name, and in which unit their rungs lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from rxtune.config.fields import BETWEEN_KEYS, Section, Whole
from rxtune.config.names import did_you_mean, show

EVALUATIONS = 6
"""Evaluations per trial where nothing else says how many."""


class _Rule(Section):
    """What every rule has: a trial is stopped after an evaluation, or not at all."""

    evaluations: Whole = Field(default=EVALUATIONS, ge=1)
    """Evaluations of a full trial, spread evenly over its training."""
    first_rung: Whole = Field(default=2, ge=1)
    """Evaluations before a trial can be stopped; regularised training is slow at first."""

    @model_validator(mode="after")
    def _first_rung_is_reached(self) -> Self:
        if self.first_rung > self.evaluations:
            limits = {"name": "first_rung", "got": self.first_rung, "most": self.evaluations}
            rule = "must be at most evaluations ({most}), got {got}; "
            hint = "lower it, or write stopping: none"
            raise PydanticCustomError(BETWEEN_KEYS, rule + hint, limits)
        return self


class Asha(_Rule):
    """Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934)."""

    reduction_factor: Whole = Field(default=3, ge=2)
    """One in this many trials goes on at a rung; rung k is after first_rung · factor^k."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """Evaluations after which a trial can be stopped, the end of a full trial excluded."""
        rungs = []
        rung = self.first_rung
        while rung < self.evaluations:
            rungs.append(rung)
            rung *= self.reduction_factor
        return tuple(rungs)


class Hyperband(Asha):
    """Successive halving in brackets that begin at different rungs (Li et al. 2018)."""


class Median(_Rule):
    """A trial stops whose best value so far is below the median of the others at its place.

    Source: Golovin et al. 2017, Google Vizier, section 3.2.1.
    """

    startup_trials: Whole = Field(default=5, ge=1)
    """Trials that must have run to their end before one can be stopped."""


Rule = Asha | Hyperband | Median
RULES: Mapping[str, type[_Rule]] = {"asha": Asha, "hyperband": Hyperband, "median": Median}
"""The rules by name."""
STOPPERS = ("asha", "hyperband", "median", "none")
"""What `stopping` may be in one word."""


def _of_word(word: str) -> dict[str, Any]:
    """Return what a rule's name alone stands for.

    Raises:
        ValueError: there is no such rule.
    """
    if word not in STOPPERS:
        *names, last = STOPPERS
        hint = did_you_mean(word, STOPPERS)
        raise ValueError(f"must be {', '.join(names)} or {last}, got {show(word)}; {hint}")
    return {"asha": None} if word == "none" else {word: {}}


class Stopping(Section):
    """When weak trials are stopped early: by one rule at most, `asha` unless another is named."""

    asha: Asha | None = None
    """Settings of successive halving."""
    hyperband: Hyperband | None = None
    """Settings of successive halving in brackets."""
    median: Median | None = None
    """Settings of the median rule."""
    unit: Literal["updates", "compute"] = "updates"
    """What a full trial has as much of as any other: optimiser updates; or forward passes, so that
    a trial with PGD gets fewer updates, and its rungs lie at equal cost."""

    @model_validator(mode="before")
    @classmethod
    def _default_is_asha(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _of_word(value)
        if isinstance(value, Mapping) and not any(name in value for name in RULES):
            return {**value, "asha": {}}
        return value

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        given = [name for name in RULES if getattr(self, name) is not None]
        if len(given) > 1:
            context = {"name": given[1], "first": given[0]}
            text = "stands beside {first}, but one rule decides; delete one of the two"
            raise PydanticCustomError(BETWEEN_KEYS, text, context)
        return self

    @property
    def rule(self) -> Rule | None:
        """The rule that stops trials; None: every trial runs to its end."""
        return self.asha or self.hyperband or self.median

    @property
    def name(self) -> str:
        """The rule's name: one of `STOPPERS`."""
        return next((name for name in RULES if getattr(self, name) is not None), "none")

    @property
    def evaluations(self) -> int:
        """Evaluations of a trial that runs to its end."""
        return self.rule.evaluations if self.rule else EVALUATIONS
