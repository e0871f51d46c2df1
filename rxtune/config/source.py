"""YAML as plain values, with the line of every key; no tags, anchors or code."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from rxtune.config.faults import Fault, Key
from rxtune.config.names import nearest, short
from rxtune.errors import StudyError

_LARGEST = 1_000_000  # bytes; more is not a study but, say, a model given by mistake
_TAG = "tag:yaml.org,2002:"
# YAML 1.2 core schema. PyYAML's own rules are those of YAML 1.1, where `no` (Norwegian) is false
# and 1e-3 is text. Digits are bounded because int() refuses thousands of them.
_PLAIN: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {
    None: [
        (f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL|)\Z")),
        (f"{_TAG}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
        (f"{_TAG}int", re.compile(r"[-+]?[0-9]{1,300}\Z")),
        (
            f"{_TAG}float",
            re.compile(
                r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
                r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
            ),
        ),
    ]
}


@dataclass(slots=True)
class Source:
    """The values of one YAML file and where they stand."""

    path: str
    """The file as the user named it."""
    tree: dict[str, Any] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    """Line (from 1) of every key and list item."""
    faults: list[Fault] = field(default_factory=list)
    """Duplicate keys and keys that are no names; syntax errors raise instead."""

    def line(self, key: Key) -> int:
        """Return the line of `key`, or of the nearest key above it that stands in the file."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_source(path: Path) -> Source:
    """Return the content of the YAML file `path`.

    Raises:
        StudyError: there is no such file, it is not UTF-8 or not YAML, or holds no mapping.
    """
    source = Source(str(path))
    try:
        node = _compose(path, _read_text(path))
        if node is None:
            raise StudyError(f"{path}: the file is empty; start with `space:` and a `method:`")
        source.lines[()] = node.start_mark.line + 1
        tree = _build(node, (), source)
    except RecursionError:
        raise StudyError(f"{path}: nested too deeply; a study needs five levels") from None
    if not isinstance(tree, dict):
        raise StudyError(
            f"{path}:{source.line(())}: a mapping is required at the top level, got a "
            f"{'list' if isinstance(tree, list) else 'single value'}; start with `space:`"
        )
    source.tree = tree
    return source


def write_yaml(tree: Mapping[str, Any]) -> str:
    """Return `tree` as YAML that `read_source` reads back to equal values."""
    return yaml.dump(
        tree,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=99,
    )


class _Loader(yaml.SafeLoader):
    """Composes nodes by the core schema and refuses what only serves tricks."""

    yaml_implicit_resolvers = _PLAIN

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Return the next node; anchors, aliases and tags are errors."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            raise MarkedYAMLError(
                problem="anchors and aliases (& and *) are not allowed; repeat the value",
                problem_mark=event.start_mark,
            )
        if getattr(event, "tag", None) is not None:
            raise MarkedYAMLError(
                problem="tags (!) are not allowed; write the plain value",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would otherwise not read as text; writes 3e9 for 3000000000.0."""

    yaml_implicit_resolvers = _PLAIN

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out: `_Loader` refuses aliases."""
        return True

    def represent_float(self, data: float) -> ScalarNode:
        """Return the node of a number, in a short form if it is large."""
        if not 1e6 <= abs(data) < math.inf:
            return super().represent_float(data)
        return self.represent_scalar(f"{_TAG}float", short(data))


_Dumper.add_representer(float, _Dumper.represent_float)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; {_near_files(path)}") from None
    except IsADirectoryError:
        raise StudyError(f"{path}: is a folder, not a file; {_files_in(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise StudyError(f"{str(path)!r}: cannot be read: {reason}") from None
    if len(content) > _LARGEST:
        raise StudyError(
            f"{path}: a study file has at most {_LARGEST:,} bytes, this one has more; "
            "is it the right file?"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError(
            f"{path}:{line}: not UTF-8 (byte 0x{content[error.start]:02x}); "
            "save the file as UTF-8, or check that it is a space file"
        ) from None


def _near_files(path: Path) -> str:
    folders = [path.parent, path.parent / "search_spaces"]
    files = {file.stem: file for folder in folders[::-1] for file in _yaml_files(folder)}
    near = nearest(path.stem, files)
    if near:
        return f"did you mean '{files[near]}'?"
    if not path.parent.is_dir():
        return f"the folder '{path.parent}' does not exist either; check the path"
    return "check the path"


def _files_in(folder: Path) -> str:
    files = [str(file) for file in _yaml_files(folder)[:3]]
    return f"give one of its files: {', '.join(files)}" if files else "give a YAML file"


def _yaml_files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix in {".yaml", ".yml"})
    except OSError:
        return []


def _compose(path: Path, text: str) -> Node | None:
    try:
        loader = _Loader(text)
        try:
            node: Node | None = loader.get_single_node()
            return node
        finally:
            loader.dispose()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise StudyError(f"{path}{where}: not YAML as rxtune reads it: {what}") from None
    except ReaderError as error:
        start = text[: error.position]
        line, column = start.count("\n") + 1, error.position - start.rfind("\n")
        raise StudyError(
            f"{path}:{line}:{column}: not YAML: the character U+{ord(text[error.position]):04X} "
            "is not allowed; delete it"
        ) from None


def _build(node: Node, key: Key, source: Source) -> Any:
    if isinstance(node, MappingNode):
        return _build_mapping(node, key, source)
    if isinstance(node, SequenceNode):
        items = []
        for position, item in enumerate(node.value):
            source.lines[(*key, position)] = item.start_mark.line + 1
            items.append(_build(item, (*key, position), source))
        return items
    assert isinstance(node, ScalarNode)
    return _scalar(node)


def _build_mapping(node: MappingNode, key: Key, source: Source) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name_node, value_node in node.value:
        line = name_node.start_mark.line + 1
        if not isinstance(name_node, ScalarNode):
            source.lines.setdefault((*key, "?"), line)
            source.faults.append(Fault((*key, "?"), "a key must be a name; write `name: value`"))
            continue
        name = str(name_node.value)
        path = (*key, name)
        if name in tree:
            text = f"stands twice (lines {source.lines[path]} and {line}); keep one"
            source.faults.append(Fault(path, text))
            continue
        source.lines[path] = line
        tree[name] = _build(value_node, path, source)
    return tree


def _scalar(node: ScalarNode) -> str | int | float | bool | None:
    text = str(node.value)
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case _:
            return text
