"""The values a parameter may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rxtune.config.names import show

Value = str | int | float | bool
"""A value of a parameter."""


def is_number(value: object) -> bool:
    """Return whether `value` is a finite number; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def is_whole(value: object) -> bool:
    """Return whether `value` is an int; a bool is none."""
    return isinstance(value, int) and is_number(value)


def is_scalar(value: object) -> bool:
    """Return whether `value` is a name, a finite number, or true or false."""
    return isinstance(value, str | bool) or is_number(value)


def is_same(one: object, other: object) -> bool:
    """Return whether two values are equal; true is not 1, as it would be in Python."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@dataclass(frozen=True, slots=True)
class Constant:
    """One fixed value."""

    value: Value
    kind: ClassVar[str] = "value"

    def __post_init__(self) -> None:
        _refuse_non_scalars((self.value,))

    @property
    def argument(self) -> Any:
        """What stands behind `kind` in a space file."""
        return self.value

    def contains(self, value: object) -> bool:
        """Return whether a trial can have `value`."""
        return is_same(value, self.value)

    def middle(self) -> Value:
        """Return a typical value: where a search starts."""
        return self.value

    def closest(self, wanted: float) -> Value:
        """Return the value of the domain that is closest to `wanted`."""
        return self.value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values without order."""

    values: tuple[Value, ...]
    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise ValueError("at least one value is required, got []; list the values to try")
        _refuse_non_scalars(self.values)
        for position, value in enumerate(self.values):
            if any(is_same(value, earlier) for earlier in self.values[:position]):
                raise ValueError(
                    f"every value must stand once, got {show(value)} twice; delete one"
                )

    @property
    def argument(self) -> Any:
        """What stands behind `kind` in a space file."""
        return list(self.values)

    def contains(self, value: object) -> bool:
        """Return whether a trial can have `value`."""
        return any(is_same(value, own) for own in self.values)

    def middle(self) -> Value:
        """Return the first value: where a search starts."""
        return self.values[0]

    def closest(self, wanted: float) -> Value:
        """Return the number among the values that is closest to `wanted`."""
        return min(
            (v for v in self.values if not isinstance(v, str)), key=lambda v: abs(v - wanted)
        )


@dataclass(frozen=True, slots=True)
class _Range:
    """All numbers from `low` to `high`, both included."""

    low: float
    high: float
    kind: ClassVar[str]
    is_log: ClassVar[bool] = False
    is_int: ClassVar[bool] = False

    def __post_init__(self) -> None:
        got = f"got {show([self.low, self.high])}"
        if self.is_int and not (is_whole(self.low) and is_whole(self.high)):
            raise ValueError(f"two whole numbers [low, high] are required, {got}")
        if not (is_number(self.low) and is_number(self.high)):
            raise ValueError(f"two finite numbers [low, high] are required, {got}")
        if self.is_log and self.low <= 0:
            other = self.kind.removeprefix("log_")
            raise ValueError(
                f"low > 0 must hold on a logarithmic scale, {got}; raise low or use {other}"
            )
        if self.low == self.high:
            raise ValueError(f"low < high must hold, {got}; for one value write it alone")
        if self.low > self.high:
            raise ValueError(f"low < high must hold, {got}; swap them")
        for name in () if self.is_int else ("low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def argument(self) -> Any:
        """What stands behind `kind` in a space file."""
        return [self.low, self.high]

    def contains(self, value: object) -> bool:
        """Return whether a trial can have `value`."""
        if not (is_whole(value) if self.is_int else is_number(value)):
            return False
        assert isinstance(value, int | float)
        return self.low <= value <= self.high

    def middle(self) -> float:
        """Return the middle (on a log scale the geometric one): where a search starts."""
        if self.is_log:
            return self.closest(math.exp((math.log(self.low) + math.log(self.high)) / 2))
        return self.low / 2 + self.high / 2

    def closest(self, wanted: float) -> float:
        """Return the number of the range that is closest to `wanted`."""
        return min(max(wanted, self.low), self.high)


@dataclass(frozen=True, slots=True)
class Uniform(_Range):
    """A real number, uniform between `low` and `high`."""

    kind: ClassVar[str] = "uniform"


@dataclass(frozen=True, slots=True)
class LogUniform(_Range):
    """A positive real number, uniform in its logarithm."""

    kind: ClassVar[str] = "log_uniform"
    is_log: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class _WholeRange(_Range):
    low: int
    high: int
    is_int: ClassVar[bool] = True

    def middle(self) -> int:
        """Return the lowest number, the cheapest one: where a search starts."""
        return self.low

    def closest(self, wanted: float) -> int:
        """Return the number of the range that is closest to `wanted`."""
        return min(max(round(wanted), self.low), self.high)


@dataclass(frozen=True, slots=True)
class Int(_WholeRange):
    """A whole number, uniform between `low` and `high`."""

    kind: ClassVar[str] = "int"


@dataclass(frozen=True, slots=True)
class LogInt(_WholeRange):
    """A positive whole number, uniform in its logarithm."""

    kind: ClassVar[str] = "log_int"
    is_log: ClassVar[bool] = True


Domain = Constant | Choice | Uniform | LogUniform | Int | LogInt
RANGES: Mapping[str, type[Uniform | LogUniform | Int | LogInt]] = {
    domain.kind: domain for domain in (Uniform, LogUniform, Int, LogInt)
}
KINDS: tuple[str, ...] = (Choice.kind, *RANGES, Constant.kind)
"""The words that name a domain in a space file."""


def ends(domain: Domain) -> tuple[float, float]:
    """Return the lowest and the highest value of a domain of numbers."""
    if isinstance(domain, _Range):
        return domain.low, domain.high
    numbers = [value for value in listed(domain) if not isinstance(value, str)]
    return min(numbers), max(numbers)


def listed(domain: Domain) -> tuple[Value, ...]:
    """Return the values that a space file lists; none of a range."""
    if isinstance(domain, Choice):
        return domain.values
    return (domain.value,) if isinstance(domain, Constant) else ()


def _refuse_non_scalars(values: tuple[object, ...]) -> None:
    for value in values:
        if not is_scalar(value):
            raise ValueError(f"names or finite numbers are required, got {show(value)}")
