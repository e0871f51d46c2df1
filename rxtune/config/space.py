"""The search space: parameters, when each is active, and where a search starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rxtune.config.conditions import (
    is_read_with,
    methods_of,
    neutral,
    order_of,
    reads,
    space_faults,
)
from rxtune.config.configuration import READ_WITH, SITES, Configuration, Method, Site
from rxtune.config.domains import Choice, Constant, Domain, Int, LogInt, LogUniform, Uniform, Value
from rxtune.config.faults import Fault, refuse
from rxtune.config.parameter import RULES, Parameter

__all__ = [
    "Choice",
    "Constant",
    "Domain",
    "Int",
    "LogInt",
    "LogUniform",
    "Parameter",
    "Space",
    "Uniform",
    "Units",
    "Value",
]

Units = Literal["relative", "absolute"]


@dataclass(frozen=True, slots=True)
class Space:
    """What a study searches.

    Raises:
        StudyError: the parameters break a rule; the message names every fault.
    """

    parameters: Mapping[str, Parameter]
    """The parameters by name, in the order of the file."""
    units: Units = "relative"
    """Units of learning_rate, sigma and radius; a study sets its own here."""
    order: tuple[str, ...] = field(init=False, compare=False)
    """The names, each after `method` and after those that decide whether it is active."""

    def __post_init__(self) -> None:
        faults = space_faults(self.parameters, absolute=self.units == "absolute")
        misnamed = (
            Fault((key,), f"holds the parameter {parameter.name}; the names must be equal")
            for key, parameter in self.parameters.items()
            if key != parameter.name
        )
        refuse(fault.under("space") for fault in (*misnamed, *faults))
        object.__setattr__(self, "order", order_of(self.parameters))

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods that trials can have, in the order of `METHODS`."""
        return methods_of(self.parameters)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where the perturbations of trials may enter, in the order of `SITES`."""
        parameter = self.parameters.get("site")
        if parameter is None:
            return ("word",)
        domain = parameter.domain
        named: tuple[object, ...] = ()
        if isinstance(domain, Choice):
            named = domain.values
        elif isinstance(domain, Constant):
            named = (domain.value,)
        # Where a condition keeps the parameter out, a trial has the neutral site.
        return tuple(
            site for site in SITES if site in named or (site == "word" and parameter.when)
        )

    def is_active(self, name: str, chosen: Mapping[str, Any]) -> bool:
        """Return whether a trial with the values `chosen` has the parameter `name`.

        It has it if its method reads the parameter, the parameter says something beside the other
        values (`READ_WITH`), and every condition of its `when` holds. `chosen` needs the
        parameters that stand before `name` in `order`; constants may be left out.
        """
        if name == "method":
            return True
        if not reads(str(self._value("method", chosen)), name):
            return False
        if name in READ_WITH and not is_read_with(name, self._read_with(name, chosen)):
            return False
        return all(
            self.is_active(other, chosen) and self._value(other, chosen) in values
            for other, values in self.parameters[name].when.items()
        )

    def configuration(self, chosen: Mapping[str, Any]) -> Configuration:
        """Return the trial with the values `chosen`; inactive values are left at neutral."""
        active = {
            name: self._value(name, chosen) for name in self.order if self.is_active(name, chosen)
        }
        return Configuration(**{name: _typed(name, value) for name, value in active.items()})

    def start_points(self) -> list[Configuration]:
        """Return plain fine-tuning, then a typical point of every other method of the space."""
        others = [method for method in self.methods if method != "standard"]
        return [self.typical({"method": method}) for method in ("standard", *others)]

    def to_plain(self) -> dict[str, Any]:
        """Return the section `space` of a study file."""
        return {name: parameter.to_plain() for name, parameter in self.parameters.items()}

    def typical(self, fixed: Mapping[str, Any]) -> Configuration:
        """Return the point with the values `fixed`, `method` among them, the rest in the middle.

        The learning rate is the encoder's default, if it may be.
        """
        return self.configuration(self.filled(fixed))

    def filled(self, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Return `fixed` with a typical value of every other parameter that is active with it."""
        chosen = dict(fixed)
        for name in self.order:
            if name not in chosen and self.is_active(name, chosen):
                domain = self.parameters[name].domain
                is_factor = name == "learning_rate" and self.units == "relative"
                chosen[name] = domain.closest(1.0) if is_factor else domain.middle()
        return chosen

    def _read_with(self, name: str, chosen: Mapping[str, Any]) -> Any:
        other, _ = READ_WITH[name]
        if other in self.parameters and self.is_active(other, chosen):
            return self._value(other, chosen)
        return neutral(other)

    def _value(self, name: str, chosen: Mapping[str, Any]) -> Any:
        domain = self.parameters[name].domain
        return chosen[name] if name in chosen or not isinstance(domain, Constant) else domain.value


def _typed(name: str, value: Any) -> Any:
    """Return `value` in the type of the configuration's field (YAML writes 1 for 1.0)."""
    return float(value) if RULES[name].type == "float" else value
