"""The section `space` of a study file, read into parameters; every fault is collected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxtune.config.conditions import dangling, space_faults
from rxtune.config.domains import KINDS, RANGES, Choice, Constant, Domain, Value, is_scalar
from rxtune.config.faults import Fault
from rxtune.config.names import did_you_mean, show
from rxtune.config.parameter import RULES, Parameter, unknown_parameter
from rxtune.config.space import Space, Units

_EXAMPLE = "write a value, {choice: [a, b]}, {log_uniform: [low, high]} or {int: [low, high]}"


class _Unreadable(Exception):
    """A parameter that cannot be read: its fault, the key relative to the parameter."""

    def __init__(self, text: str, *key: str | int) -> None:
        self.fault = Fault(key, text)


def read_space(section: Any, units: Units) -> tuple[Space | None, list[Fault]]:
    """Return the space that `section` describes, or None and all its faults."""
    if not isinstance(section, Mapping):
        got = "" if section is None else f", got {show(section)}"
        text = f"a mapping of parameters is required{got}; start with method: "
        return None, [Fault(("space",), text + RULES["method"].example)]
    parameters: dict[str, Parameter] = {}
    faults: list[Fault] = []
    for name, plain in section.items():
        if name not in RULES:
            faults.append(Fault((name,), unknown_parameter(name)))
            continue
        try:
            parameters[name] = _parameter(name, plain)
        except _Unreadable as error:
            faults.append(error.fault.under(name))
            faults += _dangling(name, plain, section)
    broken = section.keys() - parameters.keys()
    faults += space_faults(parameters, absolute=units == "absolute", broken=broken)
    if faults:
        return None, [fault.under("space") for fault in faults]
    return Space(parameters, units), []


def _dangling(name: str, plain: Any, section: Mapping[str, Any]) -> list[Fault]:
    """Return the conditions of an unreadable parameter that name none of the others."""
    when = plain.get("when") if isinstance(plain, Mapping) else None
    others = [other for other in section if other != name]
    return [
        Fault((name, "when", other), dangling(other, others))
        for other in (when if isinstance(when, Mapping) else ())
        if other not in section
    ]


def _parameter(name: str, plain: Any) -> Parameter:
    if not isinstance(plain, Mapping):
        return Parameter(name, _constant(plain))
    for key in plain:
        if key not in (*KINDS, "when"):
            raise _Unreadable(f"unknown key; {did_you_mean(key, (*KINDS, 'when'))}", key)
    kinds = [key for key in plain if key in KINDS]
    if len(kinds) != 1:
        got = " and ".join(kinds) or "none"
        raise _Unreadable(f"exactly one of {', '.join(KINDS)} is required, got {got}")
    return Parameter(name, _domain(kinds[0], plain[kinds[0]]), _when(plain.get("when", _ALWAYS)))


_ALWAYS: Mapping[str, Any] = {}


def _constant(plain: Any) -> Constant:
    if isinstance(plain, list):
        raise _Unreadable(f"a list is no domain; write {{choice: {show(plain)}}}")
    try:
        return Constant(plain)
    except ValueError:
        raise _Unreadable(
            f"a value or domain is required, got {show(plain)}; {_EXAMPLE}"
        ) from None


def _domain(kind: str, argument: Any) -> Domain:
    try:
        if kind == Constant.kind:
            return _constant(argument)
        if not isinstance(argument, list):
            raise _Unreadable(f"a list is required, got {show(argument)}; {_EXAMPLE}", kind)
        if kind == Choice.kind:
            return Choice(tuple(argument))
        if len(argument) != 2:
            raise _Unreadable(f"[low, high] is required, got {show(argument)}", kind)
        return RANGES[kind](*argument)
    except ValueError as error:
        raise _Unreadable(str(error), kind) from None


def _when(plain: Any) -> dict[str, tuple[Value, ...]]:
    if not isinstance(plain, Mapping) or (not plain and plain is not _ALWAYS):
        example = "write {method: [rs_rp]} or delete `when`"
        raise _Unreadable(
            f"a mapping of conditions is required, got {show(plain)}; {example}", "when"
        )
    when: dict[str, tuple[Value, ...]] = {}
    for other, values in plain.items():
        values = values if isinstance(values, list) else [values]
        for value in values:
            if not is_scalar(value):
                raise _Unreadable(
                    f"names or numbers are required, got {show(value)}", "when", other
                )
        when[other] = tuple(values)
    return when
