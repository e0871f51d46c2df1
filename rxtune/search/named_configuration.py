"""A configuration that the user writes on the command line: `method=rs_rp,sigma=0.5`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from rxtune.config import Configuration, Constant, Parameter, Study, Value
from rxtune.config.parameter import RULES, unknown_parameter
from rxtune.errors import StudyError

_TABLES = ("rs_da", "code_switch")
"""Methods that read a table of words, which a search reads if it may need it."""


def read_configuration(text: str, study: Study) -> Configuration:
    """Return the configuration that a text names, in the units of the study.

    Args:
        text: `name=value` for every parameter, with commas between; the others have their default.
        study: Of the search: its units, and what it has prepared for its methods.

    Raises:
        StudyError: With all faults of the text at once.
    """
    values, faults = _parse(text)
    for name, value in values.items():
        of_one = Parameter(name, Constant(value)).faults(absolute=study.units == "absolute")
        faults += [f"{name}: {fault.text}" for fault in of_one]
    if not faults:
        whole = {name: _as_declared(name, value) for name, value in values.items()}
        configuration = Configuration.from_json(whole)
        faults = [*_unread(configuration, values), *_unprepared(configuration, study)]
        if study.units == "absolute" and "learning_rate" not in values:
            faults.append("learning_rate: is required with `units: absolute`; add its value")
        if not faults:
            return configuration
    raise StudyError("\n".join(f"--configuration {text!r}: {fault}" for fault in faults))


def _parse(text: str) -> tuple[dict[str, Value], list[str]]:
    values: dict[str, Value] = {}
    faults = []
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not name or not value:
            faults.append(
                f"must be name=value with commas between, got {part.strip()!r}; for example"
                " method=rs_rp,sigma=0.5,learning_rate=1"
            )
        elif name in values:
            faults.append(f"{name}: must be given once, got {values[name]} and {value}")
        elif name not in RULES:
            faults.append(f"{name}: {unknown_parameter(name)}")
        else:
            values[name] = _value(value)
    return values, faults


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _as_declared(name: str, value: Value) -> Value:
    return float(value) if RULES[name].type == "float" else value


def _unread(configuration: Configuration, given: Mapping[str, Value]) -> Iterator[str]:
    """Yield what is given but not read, and what is read but must be given."""
    read = configuration.searched()
    method = configuration.method
    for name in given:
        if name not in read:
            yield (
                f"{name}: {method} does not read it; leave it out, or"
                f" {_others_that_read(name, configuration)}"
            )
    for name, value in read.items():
        if name not in given and RULES[name].breaks(value):
            yield f"{name}: {method} needs it; add a value, such as one of {RULES[name].example}"


def _others_that_read(name: str, configuration: Configuration) -> str:
    """Return under which condition a parameter would be read."""
    from rxtune.config.configuration import METHODS, READ_BY, READ_WITH

    if configuration.method in READ_BY.get(name, METHODS) and name in READ_WITH:
        return "set {}={}".format(*READ_WITH[name])
    return f"choose a method that does: {', '.join(sorted(READ_BY[name]))}"


def _unprepared(configuration: Configuration, study: Study) -> Iterator[str]:
    """Yield what the search has not prepared: a table of words, the unit of another site."""
    wanted = asdict(configuration)
    for name, values in (("method", _TABLES), ("site", ("context",))):
        parameter = study.space.parameters.get(name)
        value = wanted[name]
        if value in values and (parameter is None or not parameter.domain.contains(value)):
            yield (
                f"{name}: {value} must be in the space of this search, which else prepares nothing"
                f" for it; search a space with {name}: {value} first"
            )
