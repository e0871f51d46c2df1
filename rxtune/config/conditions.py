"""When a parameter is active, and what is wrong with a space as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from rxtune.config.configuration import METHODS, READ_BY, READ_WITH, Configuration, Method
from rxtune.config.domains import (
    Choice,
    Int,
    LogInt,
    LogUniform,
    Uniform,
    Value,
    listed,
)
from rxtune.config.faults import Fault
from rxtune.config.names import did_you_mean, show
from rxtune.config.parameter import RULES, Parameter

Parameters = Mapping[str, Parameter]

NEEDED = ("sigma", "radius", "pgd_steps", "replace_probability")
"""Parameters without a useful neutral value: every method that reads one needs it."""


def reads(method: str, name: str) -> bool:
    """Return whether `method` reads the parameter `name`."""
    return method in READ_BY.get(name, METHODS)


def methods_of(parameters: Parameters) -> tuple[Method, ...]:
    """Return the methods that trials can have, in the order of `METHODS`."""
    if "method" not in parameters:
        return ()
    domain = parameters["method"].domain
    return tuple(method for method in METHODS if domain.contains(method))


def order_of(parameters: Parameters) -> tuple[str, ...]:
    """Return the names so that each comes after `method` and those that decide on it."""
    graph = {
        name: [*(["method"] if name != "method" else []), *_parents(parameter)]
        for name, parameter in parameters.items()
    }
    return tuple(name for name in TopologicalSorter(graph).static_order() if name in parameters)


def _parents(parameter: Parameter) -> list[str]:
    """Return the parameters that decide whether this one is active, besides the method."""
    return [*parameter.when, *READ_WITH.get(parameter.name, ())[:1]]


def space_faults(
    parameters: Parameters, *, absolute: bool = False, broken: Collection[str] = ()
) -> Iterator[Fault]:
    """Yield every fault of a space; keys are relative to it.

    `broken` names parameters that the file has but that could not be read: what they would have
    allowed is unknown, so nothing is said about it; nor about what those with a fault allow.
    """
    own = {name: [*parameter.faults(absolute=absolute)] for name, parameter in parameters.items()}
    sound = {name: parameter for name, parameter in parameters.items() if not own[name]}
    unclear = {*broken, *(parameters.keys() - sound.keys())}
    for name, parameter in parameters.items():
        yield from own[name]
        yield from _when_faults(parameter, sound, unclear)
    if "method" in unclear:
        return
    if "method" not in parameters:
        yield Fault(("method",), f"is required; write method: {RULES['method'].example}")
    elif parameters["method"].when:
        yield Fault(
            ("method", "when"),
            "method decides what is read and must always be active; delete this `when`",
        )
    cycles = list(_cycles(parameters))
    for cycle in cycles:
        text = f"conditions must not form a cycle, got {' -> '.join(cycle)}; delete one of them"
        yield Fault((cycle[0], "when"), text)
    if not cycles and not _has_unknown_parents(parameters):
        yield from _coverage_faults(parameters, absolute, broken)


def _cycles(parameters: Parameters) -> Iterator[list[str]]:
    graph = {
        name: [other for other in _parents(parameter) if other != name]
        for name, parameter in parameters.items()
    }
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle = error.args[1][::-1]
            yield cycle
            graph.update({name: [] for name in cycle})
        else:
            return


def _has_unknown_parents(parameters: Parameters) -> bool:
    return any(
        other not in parameters or other == parameter.name
        for parameter in parameters.values()
        for other in parameter.when
    )


def _when_faults(
    parameter: Parameter, parameters: Parameters, broken: Collection[str]
) -> Iterator[Fault]:
    for other, values in parameter.when.items():
        key = (parameter.name, "when", other)
        if other == parameter.name:
            yield Fault(key, "a parameter cannot depend on itself; delete this condition")
        elif other in parameters:
            for text in _impossible(parameters[other], values):
                yield Fault(key, text)
            if other == "method":
                possible = methods_of(parameters)
                yield from _unread(parameter.name, [v for v in values if v in possible])
        elif other not in broken:
            names = (name for name in (*parameters, *broken) if name != parameter.name)
            yield Fault(key, dangling(other, names))


def dangling(other: str, names: Iterable[str]) -> str:
    """Return the refusal of a condition on a parameter that the space does not have."""
    return f"names a parameter that the space does not have; {did_you_mean(other, names)}"


def _impossible(other: Parameter, values: tuple[Value, ...]) -> Iterator[str]:
    domain = other.domain
    if isinstance(domain, Uniform | LogUniform):
        yield f"{other.name} is continuous ({domain.kind}): a condition needs a choice or int"
        return
    if not values:
        yield "at least one value is required, got []; else the parameter is never active"
    for value in values:
        if domain.contains(value):
            continue
        hint = f"it is {domain.kind} {show(domain.argument)}"
        if isinstance(domain, Choice) and isinstance(value, str):
            hint = did_you_mean(
                value, (v if isinstance(v, str) else show(v) for v in domain.values)
            )
        yield f"{other.name} never has the value {show(value)}; {hint}"


def _unread(name: str, methods: Iterable[Value]) -> Iterator[Fault]:
    for method in methods:
        if not reads(str(method), name):
            text = f"method {method} does not read {name}; delete {method} from this condition"
            yield Fault((name, "when", "method"), text)


def _coverage_faults(
    parameters: Parameters, absolute: bool, broken: Collection[str]
) -> Iterator[Fault]:
    methods = methods_of(parameters)
    for method in methods:
        needed = [name for name in NEEDED if reads(method, name) and name not in broken]
        for name in needed:
            yield from _missing(name, method, parameters, absolute)
    if absolute and "learning_rate" not in broken:
        yield from _missing_rate(parameters, methods)
    for name in parameters:
        if name in RULES and methods:
            yield from _never_active(name, methods, parameters, broken)


def _missing(name: str, method: str, parameters: Parameters, absolute: bool) -> Iterator[Fault]:
    if name not in parameters:
        domain = "a domain in absolute units" if absolute else RULES[name].example
        yield Fault(("method",), f"{method} needs {name}; add {name}: {domain}")
    elif not _is_always_active(name, method, parameters):
        text = (
            f"method {method} needs {name}, but these conditions can leave it out; "
            f"extend them or delete {method} from the methods"
        )
        yield Fault((name, "when"), text)


def _missing_rate(parameters: Parameters, methods: Collection[str]) -> Iterator[Fault]:
    # The neutral 1.0 is a factor: as an absolute rate it would destroy every model. The baseline
    # is always trained, so plain fine-tuning needs a rate even where no trial searches it.
    if "learning_rate" not in parameters:
        text = "is required with `units: absolute`; add e.g. {log_uniform: [1e-5, 1e-4]}"
        yield Fault(("learning_rate",), text)
        return
    for method in dict.fromkeys(("standard", *methods)):
        if not _is_always_active("learning_rate", method, parameters):
            text = f"with `units: absolute` method {method} needs a rate too; delete this `when`"
            yield Fault(("learning_rate", "when"), text)


def _never_active(
    name: str, methods: Collection[str], parameters: Parameters, broken: Collection[str]
) -> Iterator[Fault]:
    readers = [method for method in METHODS if reads(method, name)]
    if not any(method in readers for method in methods):
        text = (
            f"no method of this space reads it ({', '.join(methods)}); "
            f"delete it or add one of {', '.join(readers)}"
        )
        yield Fault((name,), text)
    elif name in READ_WITH and READ_WITH[name][0] in broken:
        return
    elif not any(_readings(name, parameters)):
        other, value = READ_WITH[name]
        text = f"says nothing unless {other} is {value}; delete it, or let {other} be {value}"
        yield Fault((name,), text)
    elif not any(_can_be_active(name, method, parameters) for method in methods):
        text = f"is never active with {', '.join(methods)}; extend the conditions or delete it"
        yield Fault((name, "when"), text)


def _is_always_active(name: str, method: str, parameters: Parameters) -> bool:
    """Return whether every trial of `method` has the parameter."""
    return (
        reads(method, name)
        and all(_readings(name, parameters))
        and all(
            method in values
            if other == "method"
            else _covers(parameters[other], values)
            and _is_always_active(other, method, parameters)
            for other, values in parameters[name].when.items()
        )
    )


def _can_be_active(name: str, method: str, parameters: Parameters) -> bool:
    """Return whether some trial of `method` can have the parameter."""
    return (
        reads(method, name)
        and any(_readings(name, parameters))
        and all(
            method in values if other == "method" else _can_be_active(other, method, parameters)
            for other, values in parameters[name].when.items()
        )
    )


def is_read_with(name: str, value: Value) -> bool:
    """Return whether `name` says something where the other of `READ_WITH` is `value`."""
    return name not in READ_WITH or value == READ_WITH[name][1]


def neutral(name: str) -> Any:
    """Return the value of a parameter that a trial does not have."""
    return getattr(Configuration(), name)


def _readings(name: str, parameters: Parameters) -> list[bool]:
    """Return for each case of the other parameter of `READ_WITH` whether `name` is read in it."""
    if name not in READ_WITH:
        return [True]
    other = READ_WITH[name][0]
    decider = parameters.get(other)
    cases = [] if decider is None else [is_read_with(name, v) for v in listed(decider.domain)]
    if decider is None or decider.when:
        cases.append(is_read_with(name, neutral(other)))
    return cases


def _covers(parameter: Parameter, values: tuple[Value, ...]) -> bool:
    domain = parameter.domain
    if isinstance(domain, Uniform | LogUniform):
        return False
    if isinstance(domain, Int | LogInt):
        return all(value in values for value in range(domain.low, domain.high + 1))
    return all(value in values for value in listed(domain))
