"""Faults in the words of rxtune for what pydantic finds wrong with a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rxtune.config.faults import Fault, Key, dotted
from rxtune.config.names import did_you_mean, nearest, show
from rxtune.config.parameter import RULES
from rxtune.config.study import (
    BETWEEN_KEYS,
    Asha,
    SearchSettings,
    Select,
    Stopping,
    Study,
    TrainDefaults,
)

_SECTIONS: Mapping[Key, type[BaseModel]] = {
    (): Study,
    ("search",): SearchSettings,
    ("stopping",): Stopping,
    ("stopping", "asha"): Asha,
    ("select",): Select,
    ("train",): TrainDefaults,
}
_REQUIRED = {
    "int_type": "a whole number is required",
    "float_type": "a number is required",
    "finite_number": "a finite number is required",
    "string_type": "text is required",
}


def explain(error: ValidationError) -> Iterator[Fault]:
    """Yield one fault per error outside the section `space`, which has its own reader."""
    for details in error.errors(include_url=False):
        if details["type"] == BETWEEN_KEYS:
            yield Fault((*details["loc"], details["ctx"]["name"]), details["msg"])
        elif details["loc"][0] != "space":
            yield Fault(details["loc"], _text(details))


def _text(details: ErrorDetails) -> str:
    key, kind, limits = details["loc"], details["type"], details.get("ctx", {})
    got = f"got {show(details['input'])}"
    match kind:
        case "extra_forbidden":
            return _unknown_key(key)
        case "value_error":
            return str(limits["error"])
        case "model_type" | "model_attributes_type":
            keys = ", ".join(_SECTIONS[key].model_fields)
            return f"keys with values are required, {got}; {_off(key)}valid keys: {keys}"
        case "literal_error":
            return f"must be {limits['expected']}, {got}; {_nearest(key, details['input'])}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}, {got}; {_default(key)}"
        case "greater_than":
            return f"must be more than {limits['gt']:g}, {got}; {_default(key)}"
        case _:
            return f"{_REQUIRED.get(kind, details['msg'])}, {got}; {_default(key)}"


def _unknown_key(key: Key) -> str:
    name = str(key[-1])
    valid = tuple(_SECTIONS[key[:-1]].model_fields)
    if name in RULES and key[:-1] == ():
        return "unknown key; it belongs under `space`, or (epochs, batch_size) under `train`"
    for section, model in _SECTIONS.items():
        if name in model.model_fields:
            place = f"under `{dotted(section)}`" if section else "at the top level"
            return f"unknown key; it belongs {place}"
    return f"unknown key; {did_you_mean(name, valid)}"


def _off(key: Key) -> str:
    return "write `stopping: none` to turn it off; " if key[0] == "stopping" else ""


def _nearest(key: Key, value: Any) -> str:
    annotation = _SECTIONS[key[:-1]].model_fields[str(key[-1])].annotation
    names = tuple(str(name) for name in getattr(annotation, "__args__", ()))
    near = nearest(str(value), names)
    return f"did you mean '{near}'?" if near else _default(key)


def _default(key: Key) -> str:
    default = _SECTIONS[key[:-1]].model_fields[str(key[-1])].default
    return (
        "delete the line for the task's default"
        if default is None
        else f"the default is {default}"
    )
