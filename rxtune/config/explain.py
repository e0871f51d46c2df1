"""Faults in the words of rxtune for what pydantic finds wrong with a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rxtune.config.augment import Augment, Evaluate
from rxtune.config.faults import Fault, Key, dotted
from rxtune.config.fields import BETWEEN_KEYS
from rxtune.config.names import did_you_mean, nearest, show
from rxtune.config.parameter import RULES as PARAMETERS
from rxtune.config.search_settings import SearchSettings
from rxtune.config.select import Select
from rxtune.config.stopping import RULES, Asha, Hyperband, Median, Stopping
from rxtune.config.study import Study, TrainDefaults

Sections = Mapping[Key, type[BaseModel]]
"""The models of the mappings, by where they stand."""

_SECTIONS: Sections = {
    (): Study,
    ("search",): SearchSettings,
    ("stopping",): Stopping,
    ("stopping", "asha"): Asha,
    ("stopping", "hyperband"): Hyperband,
    ("stopping", "median"): Median,
    ("select",): Select,
    ("train",): TrainDefaults,
    ("augment",): Augment,
    ("evaluate",): Evaluate,
}
_REQUIRED = {
    "int_type": "a whole number is required",
    "float_type": "a number is required",
    "finite_number": "a finite number is required",
    "string_type": "text is required",
    "bool_type": "true or false is required",
    "bool_parsing": "true or false is required",
    "tuple_type": "a list is required",
    "dict_type": "keys with values are required",
    "mapping_type": "keys with values are required",
}


def explain(error: ValidationError) -> Iterator[Fault]:
    """Yield one fault per error outside the section `space`, which has its own reader."""
    for fault in explain_section(error, _SECTIONS):
        if fault.key[:1] != ("space",):
            yield fault


def explain_section(error: ValidationError, sections: Sections) -> Iterator[Fault]:
    """Yield one fault per error of the mappings that `sections` are the models of."""
    for details in error.errors(include_url=False):
        if details["type"] == BETWEEN_KEYS:
            yield Fault((*details["loc"], details["ctx"]["name"]), details["msg"])
        else:
            yield Fault(details["loc"], _text(details, sections))


def _text(details: ErrorDetails, sections: Sections) -> str:
    key, kind, limits = details["loc"], details["type"], details.get("ctx", {})
    got = f"got {show(details['input'])}"
    match kind:
        case "extra_forbidden":
            return _unknown_key(key, sections)
        case "missing":
            return "is required; add it"
        case "value_error":
            return str(limits["error"])
        case "model_type" | "model_attributes_type":
            keys = ", ".join(sections[key].model_fields)
            return f"keys with values are required, {got}; {_off(key)}valid keys: {keys}"
        case "literal_error":
            hint = _nearest(key, details["input"], sections)
            return f"must be {limits['expected']}, {got}; {hint}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}, {got}; {_default(key, sections)}"
        case "greater_than":
            return f"must be more than {limits['gt']:g}, {got}; {_default(key, sections)}"
        case "string_too_long" | "string_too_short":
            return f"one character is required, {got}"
        case _:
            required = _REQUIRED.get(kind, details["msg"])
            return f"{required}, {got}; {_default(key, sections)}"


def _unknown_key(key: Key, sections: Sections) -> str:
    name = str(key[-1])
    valid = tuple(sections[key[:-1]].model_fields)
    if len(key) == 3 and key[1] in RULES:
        return f"unknown key; {did_you_mean(name, valid)}"
    if sections is _SECTIONS and name in PARAMETERS and key[:-1] == ():
        return "unknown key; it belongs under `space`, or (epochs, batch_size) under `train`"
    for section, model in sections.items():
        if name in model.model_fields:
            place = f"under `{dotted(section)}`" if section else "at the top level"
            return f"unknown key; it belongs {place}"
    return f"unknown key; {did_you_mean(name, valid)}"


def _off(key: Key) -> str:
    return "write `stopping: none` to turn it off; " if key[0] == "stopping" else ""


def _nearest(key: Key, value: Any, sections: Sections) -> str:
    annotation = sections[key[:-1]].model_fields[str(key[-1])].annotation
    names = tuple(str(name) for name in getattr(annotation, "__args__", ()))
    near = nearest(str(value), names)
    return f"did you mean '{near}'?" if near else _default(key, sections)


def _default(key: Key, sections: Sections) -> str:
    if key[:-1] not in sections:  # an item of a list
        return "correct or delete it"
    field = sections[key[:-1]].model_fields[str(key[-1])]
    if field.is_required():
        return "it has no default"
    if field.default is None:
        return "delete the line for " + ("none" if key[0] == "search" else "the task's default")
    return f"the default is {show(field.default) if field.default == () else field.default}"
