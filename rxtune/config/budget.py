"""Budgets as people write them: `2h`, `1h30m`, `40h` of a device, `3e9` forward passes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, InstanceOf, PlainSerializer

from rxtune.config.names import short, show

_LONGEST = 10_000 * 86_400.0
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"\s*(?:\d+(?:\.\d+)?\s*[dhms]\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])")


def parse_duration(value: Any) -> float:
    """Return a duration in seconds, from text such as `2h`, `1h30m` or `90s`.

    Raises:
        ValueError: it is no such text, or no time at all.
    """
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError(
            f"a time with its unit is required, got {show(value)}; write 2h, 1h30m, 45m or 90s"
        )
    parts = (float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(value))
    seconds = round(sum(parts), 6)
    if not 0 < seconds <= _LONGEST:
        raise ValueError(
            f"a time above 0, of 10,000 days at most, is required, got {show(value)}; write 2h or"
            " 45m"
        )
    return seconds


def write_duration(seconds: float) -> str:
    """Return a duration as `parse_duration` reads it, such as `1h30m`."""
    parts = []
    for unit in "dhm":
        count, seconds = divmod(seconds, _SECONDS[unit])
        parts += [f"{count:.0f}{unit}"] if count else []
    rest = f"{seconds:.6f}".rstrip("0").rstrip(".")
    return "".join(parts + ([f"{rest}s"] if rest != "0" or not parts else []))


@dataclass(frozen=True, slots=True)
class Compute:
    """An amount of computation."""

    amount: float
    unit: Literal["hours", "forward_equivalents"]
    """Hours of a device (a trial's share of a GPU, or without one its CPUs) in training; or
    forward passes of one example."""

    def __str__(self) -> str:
        """Return it as a person writes it: `40h`, `3e9`."""
        if self.unit == "hours":
            hours = f"{self.amount:g}h"
            exact = write_duration(round(self.amount * _SECONDS["h"], 6))
            return hours if "e" not in hours and parse_compute(hours) == self else exact
        return short(self.amount)

    def to_plain(self) -> str | float:
        """Return it as a study file has it: text with a unit, or a number."""
        return str(self) if self.unit == "hours" else self.amount


def parse_compute(value: Any) -> Compute:
    """Return an amount of computation, from `40h` (hours of a device) or `3e9` (forward passes).

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, Compute):
        return value
    try:
        if isinstance(value, str) and value.strip()[-1:] in {"d", "h", "m", "s"}:
            return Compute(parse_duration(value) / _SECONDS["h"], "hours")
        amount = float(value) if not isinstance(value, bool) else 0.0
    except (OverflowError, TypeError, ValueError):
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise ValueError(
            "hours of a device (40h) or a number of forward passes of one example (3e9) is"
            f" required, got {show(value)}"
        )
    return Compute(amount, "forward_equivalents")


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(write_duration, return_type=str),
]
"""Seconds; written with units."""
ComputeBudget = Annotated[
    InstanceOf[Compute],
    BeforeValidator(parse_compute, json_schema_input_type=str | float),
    PlainSerializer(Compute.to_plain, return_type=str | float),
]
