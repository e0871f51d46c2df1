"""The study: what to search, how, when to stop a trial, and by what to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    Strict,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from rxtune.config.augment import Augment, Evaluate
from rxtune.config.configuration import Configuration
from rxtune.config.fields import BETWEEN_KEYS, Name, Number, Section, Whole, printable
from rxtune.config.names import show
from rxtune.config.source import write_yaml
from rxtune.config.space import Space, Units
from rxtune.config.task_file import TaskChoice, TaskFile

EVALUATIONS = 6
"""Evaluations per trial where early stopping is off."""


def _as_languages(value: Any) -> Any:
    if value == "auto":
        return value
    codes = [value] if isinstance(value, str) else value
    if not isinstance(codes, list | tuple) or not all(isinstance(code, str) for code in codes):
        raise ValueError(
            f"auto or language codes are required, got {show(value)}; write [sw, ur], with "
            "quotes around what is no text"
        )
    if not codes:
        raise ValueError("at least one dev language is required, got []; name one or write auto")
    for position, code in enumerate(codes):
        if code in codes[:position]:
            raise ValueError(f"every language must stand once, got {show(code)} twice; delete one")
        if code == "auto":
            raise ValueError("auto must stand alone, got it in a list; write languages: auto")
        printable(code)
    return tuple(codes)


Languages = Annotated[Literal["auto"] | tuple[str, ...], BeforeValidator(_as_languages)]


class SearchSettings(Section):
    """How trials are proposed."""

    sampler: Literal["tpe", "random"] = "tpe"
    """Optuna sampler that proposes trials once the start points are used up."""
    trials: Whole = Field(default=24, ge=1)
    """Number of trials, the baseline included."""
    seed: Whole = Field(default=0, ge=0)
    """Seed of the proposals and of every trial."""
    startup_trials: Whole = Field(default=8, ge=0)
    """Number of ended trials before the sampler models them; until then it draws at random."""


class Asha(Section):
    """Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934)."""

    evaluations: Whole = Field(default=EVALUATIONS, ge=1)
    """Evaluations of a full trial, spread evenly over its training."""
    first_rung: Whole = Field(default=2, ge=1)
    """Evaluations before a trial can be stopped; regularised training is slow at first."""
    reduction_factor: Whole = Field(default=3, ge=2)
    """One in this many trials goes on at a rung; rung k is after first_rung · factor^k."""

    @model_validator(mode="after")
    def _first_rung_is_reached(self) -> Self:
        if self.first_rung > self.evaluations:
            limits = {"name": "first_rung", "got": self.first_rung, "most": self.evaluations}
            rule = "must be at most evaluations ({most}), got {got}; "
            hint = "lower it, or write stopping: none"
            raise PydanticCustomError(BETWEEN_KEYS, rule + hint, limits)
        return self

    @property
    def rungs(self) -> tuple[int, ...]:
        """Evaluations after which a trial can be stopped, the end of a full trial excluded."""
        rungs = []
        rung = self.first_rung
        while rung < self.evaluations:
            rungs.append(rung)
            rung *= self.reduction_factor
        return tuple(rungs)


class Stopping(Section):
    """When weak trials are stopped early."""

    asha: Asha | None = Asha()
    """Settings of successive halving; null: every trial runs to its end."""

    @property
    def evaluations(self) -> int:
        """Evaluations of a trial that runs to its end."""
        return self.asha.evaluations if self.asha else EVALUATIONS


class Select(Section):
    """By what trials are compared."""

    languages: Languages = "auto"
    """Dev languages, by code; auto: the task's low-resource dev language."""
    aggregate: Literal["mean"] = "mean"
    """How the accuracies of several dev languages become one value."""


class TrainDefaults(Section):
    """Training settings that all trials share; null: the task's default."""

    epochs: Number | None = Field(default=None, gt=0)
    """Passes over the training data; a part of one is allowed."""
    batch_size: Whole | None = Field(default=None, ge=1)
    """Examples per update."""
    max_length: Whole | None = Field(default=None, ge=1)
    """Tokens per example, special tokens included; longer ones are cut."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the forward passes; auto: bf16 on a GPU that computes it, else fp32."""
    accumulation: Whole = Field(default=1, ge=1)
    """Parts in which an update's examples go through the encoder: less memory, the same update."""
    gradient_checkpointing: Annotated[bool, Strict()] = False
    """Whether activations are recomputed in the backward pass: less memory, a third more time."""
    attention: Literal["auto", "eager", "sdpa"] = "auto"
    """auto: torch's fused attention (sdpa) where transformers has it for the encoder."""


class Study(Section):
    """Everything that defines a search; `load_study` reads it from a file."""

    task: str | TaskFile | TaskChoice = "babel"
    """Name of a task of the catalogue; or what a task file, or a mapping in its place, says."""
    model: Name | None = None
    """Encoder: a Hugging Face id or a folder; null: the task's default."""
    units: Units = "relative"
    """relative: sigma and radius in units of m, learning_rate as a factor; or absolute values."""
    space: InstanceOf[Space]
    """Parameters to search; takes over `units`."""
    search: SearchSettings = SearchSettings()
    """How trials are proposed."""
    stopping: Stopping = Stopping()
    """When weak trials are stopped early; the word none: never."""
    select: Select = Select()
    """By what trials are compared."""
    train: TrainDefaults = TrainDefaults()
    """Training settings that all trials share."""
    augment: Augment = Augment()
    """Tables of words for `rs_da` and `code_switch`."""
    evaluate: Evaluate = Evaluate()
    """What is measured besides the accuracy in every language."""

    @model_validator(mode="before")
    @classmethod
    def _share_units(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        space, units = data.get("space"), data.get("units", "relative")
        if not isinstance(space, Space) or units not in ("relative", "absolute"):
            return data
        return {**data, "space": replace(space, units=units)}

    @field_validator("task", mode="plain")
    @classmethod
    def _is_named_or_read(cls, value: Any) -> str | TaskFile | TaskChoice:
        if isinstance(value, TaskFile | TaskChoice):
            return value
        if not isinstance(value, str):
            raise ValueError(f"text is required, got {show(value)}; the default is babel")
        return printable(value)

    @field_serializer("task")
    def _as_written(self, task: str | TaskFile | TaskChoice) -> Any:
        return task if isinstance(task, str) else task.model_dump(mode="json")

    @field_validator("stopping", mode="before")
    @classmethod
    def _none_is_off(cls, value: Any) -> Any:
        return Stopping(asha=None) if value == "none" else value

    @field_validator("train")
    @classmethod
    def _is_not_searched(cls, train: TrainDefaults, info: ValidationInfo) -> TrainDefaults:
        space = info.data.get("space")
        for name in ("epochs", "batch_size"):
            if getattr(train, name) is not None and space and name in space.parameters:
                text = "is also a parameter of the space; keep one of the two"
                raise PydanticCustomError(BETWEEN_KEYS, text, {"name": name})
        return train

    def start_points(self) -> list[Configuration]:
        """Return the first trials: see `Space.start_points`."""
        return self.space.start_points()

    def to_yaml(self) -> str:
        """Return the whole study as a file that `load_study` reads back to an equal one."""
        plain = self.model_dump(mode="json", exclude={"space"})
        head = {name: plain.pop(name) for name in ("task", "model", "units")}
        return write_yaml({**head, "space": self.space.to_plain(), **plain})
