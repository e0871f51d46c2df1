"""The study: what to search, how, when to stop a trial, and by what to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
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
from rxtune.config.points import points_of
from rxtune.config.search_settings import SearchSettings
from rxtune.config.select import Select
from rxtune.config.source import write_yaml
from rxtune.config.space import Space, Units
from rxtune.config.stopping import Stopping
from rxtune.config.task_file import TaskChoice, TaskFile


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
    tokens_per_pass: Whole | None = Field(default=None, ge=1)
    """Most tokens of such a part, padding included: only updates of long texts are divided."""
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

    @field_validator("stopping")
    @classmethod
    def _has_updates_to_fix(cls, stopping: Stopping, info: ValidationInfo) -> Stopping:
        space = info.data.get("space")
        if stopping.unit == "compute" and space and "epochs" in space.parameters:
            text = (
                "is compute, so all trials cost the same, but epochs is searched; fix one of them"
            )
            raise PydanticCustomError(BETWEEN_KEYS, text, {"name": "unit"})
        return stopping

    @field_validator("select")
    @classmethod
    def _has_costs_to_compare(cls, select: Select, info: ValidationInfo) -> Select:
        stopping = info.data.get("stopping")
        if stopping and stopping.unit == "compute" and "compute" in select.objective:
            text = "holds compute, but stopping.unit compute makes all costs equal; delete one"
            raise PydanticCustomError(BETWEEN_KEYS, text, {"name": "objective"})
        return select

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
        """Return the first trials: the baseline, the study's own points, one per other method.

        The baseline is plain fine-tuning at the default learning rate, whether or not the space
        holds the method `standard`.

        Raises:
            StudyError: a point is not of the space.
        """
        baseline, *typical = self.space.start_points()
        points = points_of(self.space, self.search.points)
        seen = {point.method for point in points}
        found = [baseline, *points, *(p for p in typical if p.method not in seen)]
        return list(dict.fromkeys(found))

    def to_yaml(self) -> str:
        """Return the whole study as a file that `load_study` reads back to an equal one."""
        plain = self.model_dump(mode="json", exclude={"space"})
        head = {name: plain.pop(name) for name in ("task", "model", "units")}
        return write_yaml({**head, "space": self.space.to_plain(), **plain})
