"""The JSON Schemas of study and task files: what editors check and complete while one types."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import JsonOrPythonSchema

from rxtune.config.configuration import READ_BY, Configuration
from rxtune.config.domains import RANGES, Choice, Constant
from rxtune.config.fields import Section
from rxtune.config.parameter import RULES, Rule
from rxtune.config.stopping import STOPPERS
from rxtune.config.study import Study
from rxtune.config.task_file import TaskChoice, TaskFile

Schema = dict[str, Any]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def study_schema() -> Schema:
    """Return the schema of a study file.

    It knows every key, type and range. Rules between keys (a method needs its sigma, a condition
    names a parameter of the space) are `rxtune check`'s.
    """
    schema = _of_model(Study)
    definitions = schema["$defs"]
    for model in (TaskFile, TaskChoice):
        definitions |= _task_definitions(model)
    definitions |= {"Space": _space(), **{f"space.{n}": _parameter(n) for n in RULES}}
    definitions["Conditions"] = _conditions()
    _set(schema, "space", **_ref("Space"))
    _set(schema, "task", anyOf=[_TASK_NAME, _ref("TaskFile"), _ref("TaskChoice")])
    _set(schema, "stopping", anyOf=[{"enum": list(STOPPERS)}, _ref("Stopping")])
    return {"$schema": _DIALECT, "title": "A study of rxtune", **schema}


def task_schema() -> Schema:
    """Return the schema of a task file: own files, or a task of the catalogue from a folder."""
    definitions = _task_definitions(TaskFile) | _task_definitions(TaskChoice)
    return {
        "$schema": _DIALECT,
        "title": "A task of rxtune",
        "anyOf": [_ref("TaskFile"), _ref("TaskChoice")],
        "$defs": definitions,
    }


def field_docs(owner: type) -> dict[str, str]:
    """Return what stands below each field of a class, as one line."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(body, ast.ClassDef)
    docs = {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
    inherited = [field_docs(base) for base in owner.__bases__ if _is_ours(base)]
    return {name: text for part in [*inherited, docs] for name, text in part.items()}


class _AsWritten(GenerateJsonSchema):
    """Leaves the space, which is no pydantic model, to `_space`."""

    def json_or_python_schema(self, schema: JsonOrPythonSchema) -> JsonSchemaValue:
        """Return the schema of a value that Python checks by its class: only the space is one."""
        return {}


_TASK_NAME: Schema = {"type": "string", "minLength": 1}
_FILES: Schema = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    ]
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _is_ours(owner: type) -> bool:
    return owner.__module__.startswith("rxtune.")


def _of_model(model: type[BaseModel]) -> Schema:
    """Return a model's schema, each field described as its class describes it."""
    schema = model.model_json_schema(schema_generator=_AsWritten)
    schema.setdefault("$defs", {})
    for name, part in [(model.__name__, schema), *schema["$defs"].items()]:
        part.pop("title", None)
        docs = field_docs(_MODELS[name])
        for field, value in part.get("properties", {}).items():
            value.pop("title", None)
            if field in docs:
                value["description"] = docs[field]
    return schema


def _models(model: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    """Yield a model and those below it, by name."""
    yield model.__name__, model
    for below in model.__subclasses__():
        yield from _models(below)


def _task_definitions(model: type[BaseModel]) -> Schema:
    """Return a task's mapping as people write it: most of what is read may be left out."""
    schema = _of_model(model)
    definitions = schema.pop("$defs")
    if model is TaskFile:
        schema["required"] = ["labels", "source_language", "files"]
        files = definitions["Files"]["properties"]
        for split in files:
            text = f"{files[split]['description']} A pattern with {{language}}, or a file each."
            files[split] = {**_FILES, "description": text}
    return {model.__name__: schema, **definitions}


def _set(schema: Schema, field: str, **changes: Any) -> None:
    given = schema["properties"][field]
    kept = {key: given[key] for key in ("description", "default") if key in given}
    schema["properties"][field] = {**kept, **changes}


def _space() -> Schema:
    return {
        "type": "object",
        "description": "What is searched: a value or a domain of every parameter.",
        "properties": {name: _ref(f"space.{name}") for name in RULES},
        "required": ["method"],
        "additionalProperties": False,
    }


def parameter_text(name: str) -> str:
    """Return what a parameter means and which methods read it, in a line."""
    methods = f" Read by {', '.join(sorted(READ_BY[name]))}." if name in READ_BY else ""
    own = "How a trial trains: plain fine-tuning, or a robust method." if name == "method" else ""
    return field_docs(Configuration).get(name, own) + methods


def _parameter(name: str) -> Schema:
    """Return a value of the parameter, or one of the domains that it may have."""
    value = _value(RULES[name])
    domains = {Choice.kind: {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}}
    domains |= {kind: _range(RULES[name], kind) for kind in _ranges_of(RULES[name])}
    domains[Constant.kind] = value
    return {
        "description": f"{parameter_text(name)} For example {RULES[name].example}.",
        "anyOf": [value, *(_domain(kind, argument) for kind, argument in domains.items())],
    }


def _domain(kind: str, argument: Mapping[str, Any]) -> Schema:
    return {
        "type": "object",
        "properties": {kind: argument, "when": _ref("Conditions")},
        "required": [kind],
        "additionalProperties": False,
    }


_SCALAR: Schema = {"type": ["string", "number", "boolean"]}


def _conditions() -> Schema:
    values = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}
    return {
        "description": "Values of other parameters with which this one is active.",
        "type": "object",
        "properties": dict.fromkeys(RULES, values),
        "additionalProperties": False,
        "minProperties": 1,
    }


def _value(rule: Rule) -> Schema:
    if rule.type == "name":
        return {"enum": list(rule.names)}
    if rule.type == "flag":
        return {"type": "boolean"}
    number: Schema = {"type": "integer" if rule.type == "int" else "number"}
    number["minimum" if rule.may_be_zero else "exclusiveMinimum"] = 0
    number |= {} if rule.at_most is None else {"maximum": rule.at_most}
    return number | ({} if rule.below is None else {"exclusiveMaximum": rule.below})


def _ranges_of(rule: Rule) -> list[str]:
    """Return the words of the ranges that a parameter may have."""
    if rule.type in ("name", "flag"):
        return []
    return [kind for kind, range_ in RANGES.items() if rule.type != "int" or range_.is_int]


def _range(rule: Rule, kind: str) -> Schema:
    may_be_zero = (rule.may_be_zero or rule.may_start_at_zero) and not RANGES[kind].is_log
    ends = _value(replace(rule, may_be_zero=may_be_zero))
    ends["type"] = "integer" if RANGES[kind].is_int else ends["type"]
    return {"type": "array", "items": ends, "minItems": 2, "maxItems": 2}


_MODELS = dict(_models(Section))
