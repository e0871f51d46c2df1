"""The reference pages: the study file from its schema, the command line from its commands."""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))

import typer.main  # noqa: E402 - the repository's package goes before an installed one

from rxtune.cli import app  # noqa: E402
from rxtune.config.configuration import READ_BY, READ_WITH, Configuration  # noqa: E402
from rxtune.config.parameter import RULES  # noqa: E402
from rxtune.config.schema import field_docs, study_schema, task_schema  # noqa: E402

SCHEMAS = {"study.schema.json": study_schema, "task.schema.json": task_schema}
SECTIONS = ("search", "stopping", "select", "train", "augment", "evaluate")

Schema = Mapping[str, Any]


def texts() -> dict[str, str]:
    """Return the generated files of docs/reference/ by name: pages, and schemas for editors."""
    schemas = {
        name: json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        for name, make in SCHEMAS.items()
    }
    return {"study.md": study_page(), "cli.md": cli_page(), **schemas}


# --- the study file


def study_page() -> str:
    """Return the reference of study and task files."""
    schema = study_schema()
    parts = [
        _STUDY_INTRODUCTION,
        *_keys(schema),
        "## Parameters of `space`\n",
        _SPACE_INTRODUCTION,
        *_table(("parameter", "value", "default", "read by", "meaning"), _parameters()),
        *(line for name in SECTIONS for line in _section(name, schema)),
        "## A task of your own files\n",
        "The content of a task file, or the mapping under `task:`. See [Your own data]"
        "(../own-data.md).\n",
        *_keys(schema["$defs"]["TaskFile"]),
        "### `columns`\n",
        *_keys(schema["$defs"]["Columns"]),
        "### `files`\n",
        *_keys(schema["$defs"]["Files"]),
        "## A task of the catalogue from elsewhere\n",
        *_keys(schema["$defs"]["TaskChoice"]),
    ]
    return "\n".join(parts)


_STUDY_INTRODUCTION = """\
# The study file

What `rxtune search --space FILE` reads: what to search under `space:`, and how. Only `space` is
required. Unknown keys are refused; all faults are reported at once, with their lines.

!!! tip "In an editor"
    Editors that know JSON Schema (VS Code with its YAML extension, PyCharm, Neovim) check and
    complete a file that begins with this line, with the path to a copy of
    [study.schema.json](study.schema.json); for task files it is
    [task.schema.json](task.schema.json):

    ```yaml
    # yaml-language-server: $schema=docs/reference/study.schema.json
    ```

    The schema knows keys, types and ranges; rules between keys are told by `rxtune check`.

## The keys
"""
_SPACE_INTRODUCTION = """\
A parameter is a value (`norm: linf`) or a domain:

| domain | of | |
|---|---|---|
| `{choice: [a, b]}` | any parameter | one of the values, without order |
| `{uniform: [low, high]}` | real numbers | both ends included |
| `{log_uniform: [low, high]}` | positive real numbers | uniform in the logarithm |
| `{int: [low, high]}` | whole numbers | both ends included |
| `{log_int: [low, high]}` | positive whole numbers | uniform in the logarithm |
| `{value: v}` | any parameter | a fixed value, where it has a condition |

`when: {method: [rs_rp]}` inside a domain makes the parameter active only with these values of
another one. A parameter is never active with a method that does not read it, so `when` is needed
for finer distinctions only.
"""


def _section(name: str, schema: Schema) -> Iterator[str]:
    target = schema["properties"][name]
    reference = target.get("$ref") or target["anyOf"][-1]["$ref"]
    yield f"## `{name}`\n"
    yield f"{target['description']}\n"
    yield from _keys(_resolved(reference, schema))
    if name == "stopping":
        for rule in ("Asha", "Hyperband", "Median"):
            found = schema["$defs"][rule]
            yield f"### `{rule.lower()}`\n"
            yield f"{found['description']}\n"
            yield from _keys(found)


def _resolved(reference: str, schema: Schema) -> Schema:
    found: Schema = schema["$defs"][reference.rpartition("/")[2]]
    return found


def _keys(schema: Schema) -> Iterator[str]:
    """Yield a table of a mapping's keys."""
    needed = schema.get("required", ())
    rows = (
        (f"`{name}`", _type(key), _default(key, name in needed), key.get("description", ""))
        for name, key in schema["properties"].items()
    )
    yield from _table(("key", "value", "default", "meaning"), rows)


def _parameters() -> Iterator[tuple[str, ...]]:
    defaults, docs = Configuration(), field_docs(Configuration)
    for name, rule in RULES.items():
        value = rule.range_text if rule.type in ("float", "int") else ""
        value = f"{'whole number, ' if rule.type == 'int' else ''}{value}"
        if rule.type in ("name", "flag"):
            value = ", ".join(f"`{v}`" for v in rule.names or ("true", "false"))
        methods = ", ".join(f"`{m}`" for m in sorted(READ_BY[name])) if name in READ_BY else "all"
        if name in READ_WITH:
            methods += " with `{}: {}`".format(*READ_WITH[name])
        meaning = docs.get(name, "How a trial trains; see [the methods](../methods.md).")
        shown = getattr(defaults, name)
        neutral = name in ("sigma", "radius", "pgd_steps", "replace_probability")
        default = "needed" if neutral else _value(shown) if shown is not None else "the task's"
        yield f"`{name}`", value, default, methods, meaning


def _type(key: Schema) -> str:
    if "$ref" in key:
        return "mapping"
    if "anyOf" in key:
        kinds = dict.fromkeys(_type(kind) for kind in key["anyOf"])
        return " or ".join(kind for kind in kinds if kind != "null")
    if "enum" in key:
        return ", ".join(f"`{value}`" for value in key["enum"])
    if key["type"] == "array":
        return f"list of {_type(key['items'])}"
    if key["type"] == "object":
        return "mapping"
    return _NAMES.get(key["type"], key["type"]) + _range(key)


_NAMES = {"integer": "whole number", "string": "text", "boolean": "`true`, `false`"}


def _range(key: Schema) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
    return "".join(f" {sign} {key[word]:g}" for word, sign in words.items() if word in key)


def _default(key: Schema, needed: bool) -> str:
    if needed:
        return "needed"
    default = key.get("default")
    return "" if default is None or isinstance(default, dict) else _value(default)


def _value(value: Any) -> str:
    return f"`{json.dumps(value)}`".replace('"', "")


# --- the command line


def cli_page() -> str:
    """Return the reference of the command line."""
    root: Any = typer.main.get_command(app)
    parts = [
        "# The command line\n",
        f"{root.help}\n",
        "What stands before the command:\n",
        *_options(root),
        f"{root.epilog}\n",
        *(line for name, command in root.commands.items() for line in _command(name, command)),
    ]
    return "\n".join(parts)


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"## `rxtune {name}`\n"
    for paragraph in re.split(r"\n\s*\n", command.help.replace("\f", "\n\n").strip()):
        text = " ".join(paragraph.split())
        label, colon, example = text.partition(": ")
        if colon and example.startswith("rxtune "):
            yield f"{label}:\n\n```console\n$ {example}\n```\n"
        else:
            yield f"{_escaped(text)}\n"
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    if arguments:
        rows = ((f"`{p.metavar or p.name.upper()}`", _escaped(p.help or "")) for p in arguments)
        yield from _table(("argument", ""), rows)
    yield from _options(command)


def _options(command: Any) -> Iterator[str]:
    """Yield a table of a command's options for every panel of its help."""
    panels: dict[str, list[Any]] = {}
    for option in command.params:
        if option.param_type_name == "option" and option.name != "help" and not option.hidden:
            panels.setdefault(option.rich_help_panel or "Options", []).append(option)
    for panel, options in panels.items():
        yield from _table((panel, ""), map(_option, options))


_METAVARS = {int: "N", list[int]: "N", float: "X", Path: "PATH"}


def _option(option: Any) -> tuple[str, str]:
    kind = option.type_descriptor.annotation
    value = "" if kind is bool else option.metavar or _METAVARS.get(kind, "TEXT")
    spelt = [f"{name} {value}".strip() for name in option.opts]
    names = ", ".join(f"`{name}`" for name in (*spelt, *option.secondary_opts))
    extra = [f"Also `{option.envvar}`."] if getattr(option, "envvar", None) else []
    default = option.default
    if default not in (None, False, True, ()) and not callable(default) and option.show_default:
        extra.append(f"Default: `{default}`.")
    return names, " ".join([_escaped(option.help or ""), *extra])


def _escaped(text: str) -> str:
    """Return text for Markdown: words in capitals or brackets are no HTML."""
    return re.sub(r"`[^`]*`|[<>*_]", lambda m: m[0] if m[0][0] == "`" else html.escape(m[0]), text)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    yield from (f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows)
    yield ""


if __name__ == "__main__":
    for name, text in texts().items():
        (REPOSITORY / "docs" / "reference" / name).write_text(text, encoding="utf-8")
