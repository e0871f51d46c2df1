"""What a space searches over: the parameters of a configuration, each with its rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rxtune.config.configuration import BALLS, METHODS, NORMS, SITES, SUBSTITUTIONS
from rxtune.config.domains import (
    Choice,
    Constant,
    Domain,
    LogUniform,
    Uniform,
    Value,
    ends,
    is_whole,
)
from rxtune.config.faults import Fault, Key
from rxtune.config.names import did_you_mean, show


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which values of a parameter make sense."""

    type: Literal["name", "flag", "float", "int"] = "float"
    """A flag is true or false."""
    names: tuple[str, ...] = ()
    """The valid values of a name."""
    at_most: float | None = None
    below: float | None = None
    may_be_zero: bool = False
    """Whether 0 is a value like any other."""
    may_start_at_zero: bool = False
    """Whether a uniform domain may begin at 0, where the perturbation vanishes."""
    at_zero: str = ""
    """What to do instead of 0."""
    example: str
    """A domain in relative units."""

    @property
    def range_text(self) -> str:
        """The rule for numbers in words."""
        least = "at least 0" if self.may_be_zero else "more than 0"
        if self.type == "int":
            least = "at least 1"
        if self.below is not None:
            return f"{least} and less than {self.below:g}"
        return least if self.at_most is None else f"{least} and at most {self.at_most:g}"

    def breaks(self, value: Value) -> str | None:
        """Return what is wrong with a single value, or None."""
        if self.type == "name":
            if value in self.names:
                return None
            hint = did_you_mean(str(value), self.names)
            return f"must be one of {', '.join(self.names)}, got {show(value)}; {hint}"
        if self.type == "flag":
            if isinstance(value, bool):
                return None
            return f"must be true or false, got {show(value)}; for example {self.example}"
        if isinstance(value, str | bool):
            return f"a number is required, got {show(value)}; for example {self.example}"
        if self.type == "int" and not is_whole(value):
            return f"a whole number is required, got {show(value)}; for example {self.example}"
        if self._is_in_range(value):
            return None
        hint = self.at_zero if value == 0 and self.at_zero else f"for example {self.example}"
        return f"must be {self.range_text}, got {show(value)}; {hint}"

    def _is_in_range(self, value: float) -> bool:
        return (
            (value > 0 or (self.may_be_zero and value == 0))
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


_LEAST_FACTOR = 1e-3  # a relative learning rate below it trains nothing
_LARGEST_RATE = 0.1  # an absolute learning rate above it destroys every encoder
_NO_NOISE = "without it use a method that does not read it"


def _one_of(names: tuple[str, ...]) -> Rule:
    return Rule(type="name", names=names, example=f"{{choice: [{', '.join(names)}]}}")


RULES: Mapping[str, Rule] = {
    "method": _one_of(METHODS),
    "learning_rate": Rule(example="{log_uniform: [0.3, 3.0]}"),
    "sigma": Rule(may_start_at_zero=True, at_zero=_NO_NOISE, example="{log_uniform: [0.1, 3.0]}"),
    "samples": Rule(type="int", example="{int: [1, 3]}"),
    "radius": Rule(
        may_start_at_zero=True, at_zero=_NO_NOISE, example="{log_uniform: [0.003, 0.3]}"
    ),
    "pgd_steps": Rule(
        type="int",
        at_zero="PGD with 0 steps does not use the radius; use method rs_rp or standard",
        example="{int: [1, 3]}",
    ),
    "norm": _one_of(NORMS),
    "ball": _one_of(BALLS),
    "step_size": Rule(example="2.0"),
    "random_start": Rule(type="flag", example="{choice: [true, false]}"),
    "clean_weight": Rule(below=1, may_be_zero=True, example="{choice: [0.0, 0.5]}"),
    "consistency_weight": Rule(
        at_zero="without it use method standard", example="{log_uniform: [0.1, 10.0]}"
    ),
    "site": _one_of(SITES),
    "replace_probability": Rule(
        at_most=1, may_start_at_zero=True, at_zero=_NO_NOISE, example="{uniform: [0.1, 1.0]}"
    ),
    "substitution": _one_of(SUBSTITUTIONS),
    "copies": Rule(type="int", example="{choice: [3, 10]}"),
    "epochs": Rule(example="{choice: [2, 5]}"),
    "batch_size": Rule(type="int", example="{choice: [16, 32]}"),
}
"""The known parameters: the fields of `Configuration`."""

ALSO_CALLED: Mapping[str, str] = {
    "lr": "learning_rate",
    "eps": "radius",
    "epsilon": "radius",
    "std": "sigma",
    "steps": "pgd_steps",
    "lambda": "consistency_weight",
}
"""Common other words for a parameter."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a search space."""

    name: str
    domain: Domain
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Values of other parameters with which this one is active; without any: always."""

    def to_plain(self) -> Any:
        """Return what stands behind the parameter's name in a space file."""
        if isinstance(self.domain, Constant) and not self.when:
            return self.domain.value
        plain = {self.domain.kind: self.domain.argument}
        when = {name: list(values) for name, values in self.when.items()}
        return {**plain, "when": when} if when else plain

    def faults(self, *, absolute: bool = False) -> Iterator[Fault]:
        """Yield what is wrong with the domain; keys are relative to the space."""
        rule = RULES.get(self.name)
        if rule is None:
            yield Fault((self.name,), unknown_parameter(self.name))
            return
        broken = list(_broken(self.domain, rule))
        if self.name == "learning_rate" and not broken:
            broken = list(_wrong_units(self.domain, absolute))
        yield from (Fault((self.name, *key), text) for key, text in broken)


def unknown_parameter(name: str) -> str:
    """Return the refusal of a parameter that `Configuration` does not have."""
    if name in ALSO_CALLED:
        return f"unknown parameter; did you mean '{ALSO_CALLED[name]}'?"
    return f"unknown parameter; {did_you_mean(name, RULES)}"


def _wrong_units(rates: Domain, absolute: bool) -> Iterator[tuple[Key, str]]:
    """Yield the refusal of rates in the other units: such a search would train nothing."""
    lowest, highest = ends(rates)
    if absolute and lowest > _LARGEST_RATE:
        got = f"got at least {lowest:g}"
        yield (), f"is the rate itself, {got}; for factors write `units: relative`"
    if not absolute and highest < _LEAST_FACTOR:
        got = f"got at most {highest:g}"
        yield (), f"is a factor on the default rate, {got}; for rates write `units: absolute`"


def _broken(domain: Domain, rule: Rule) -> Iterator[tuple[Key, str]]:
    if isinstance(domain, Constant):
        if text := rule.breaks(domain.value):
            yield (), text
    elif isinstance(domain, Choice):
        for position, value in enumerate(domain.values):
            if text := rule.breaks(value):
                yield (domain.kind, position), text
    elif text := _broken_range(domain, rule):
        yield (domain.kind,), text


def _broken_range(domain: Domain, rule: Rule) -> str | None:
    assert not isinstance(domain, Constant | Choice)
    if rule.type in ("name", "flag"):
        what = "a name" if rule.type == "name" else "true or false"
        return f"{what} has no range, got {domain.kind}; write {rule.example}"
    if rule.type == "int" and isinstance(domain, Uniform | LogUniform):
        return f"a whole number is required, got {domain.kind}; write {rule.example}"
    starts_at_zero = domain.low == 0 and rule.may_start_at_zero
    low = None if starts_at_zero else rule.breaks(domain.low)
    return low or rule.breaks(domain.high)
