"""Kinds of values that the sections of a study share."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from rxtune.config.names import show

BETWEEN_KEYS: Literal["between_keys"] = "between_keys"
"""pydantic's type of the error that two keys contradict; its context names the one to blame."""


def printable(name: str) -> str:
    """Return `name`.

    Raises:
        ValueError: it is empty, not printable, or has space around it.
    """
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"a printable name without space around it is required, got {show(name)}; rename it"
        )
    return name


Name = Annotated[str, Strict(), AfterValidator(printable)]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Item = TypeVar("Item")
AtLeastOne = Annotated[list[Item], Field(min_length=1)]


class Section(BaseModel):
    """A mapping of a study file: frozen, and no key is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")
