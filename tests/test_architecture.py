"""The house stands: who imports whom, and which library lives where."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rxtune"

FLOORS = {
    "cli": 5,
    "api": 4,
    "search": 3,
    "report": 3,
    "export": 3,
    "train": 2,
    "data": 1,
    "perturb": 1,
    "track": 1,
    "testbed": 1,
    "storage": 1,
    "config": 0,
    "errors": 0,
    "results": 0,
}
"""Rooms by floor. Those of floor 0 may know each other, those of any other floor are strangers."""

EXCEPTIONS = {("data", "testbed")}
"""(importer, imported) on one floor: only inside functions, with a reason in the importer's
`__init__` docstring that names the imported room."""

HOMES = {
    "ray": {"search"},
    "optuna": {"search", "report"},
    "mlflow": {"track"},
    "typer": {"cli"},
    "rich": {"cli"},
    "transformers": {"data", "train", "testbed"},
    "matplotlib": {"report"},
    "onnxruntime": {"train"},
    "huggingface_hub": {"data", "search", "report"},
    "pandas": {"api"},
    "jinja2": {"report"},
}
"""Where a library may be imported at all, inside functions included."""

HEAVY = {
    "datasets",
    "matplotlib",
    "mlflow",
    "optuna",
    "pandas",
    "pyarrow",
    "ray",
    "scipy",
    "torch",
    "transformers",
}
"""What `rxtune --help` and the refusal of a wrong file must not load."""


@dataclass(frozen=True)
class Import:
    """One import: by whom, of what, where, and whether only when a function runs."""

    module: str
    target: str
    line: int
    lazy: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def room(module: str) -> str:
    """Return the room of a module of rxtune: "" for rxtune itself, its front door."""
    return [*module.split("."), ""][1].replace("__main__", "")


def is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def targets(node: ast.Import | ast.ImportFrom, package: list[str]) -> list[str]:
    """Return the absolute names that an import statement may load, relative ones resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = package[: len(package) - node.level + 1] if node.level else []
    name = ".".join([*base, *([node.module] if node.module else [])])
    inside = name.split(".")[0] == "rxtune"
    return [f"{name}.{alias.name}" if inside else name for alias in node.names]


def imports_of(source: str, module: str, is_package: bool = False) -> Iterator[Import]:
    package = module.split(".") if is_package else module.split(".")[:-1]

    def walk(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, package):
                yield Import(module, target, node.lineno, lazy, typing_only)
        lazy |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only |= is_typing_guard(node)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, lazy, typing_only)

    yield from walk(ast.parse(source), False, False)


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
IMPORTS = [
    item
    for name, path in MODULES.items()
    for item in imports_of(path.read_text(), name, path.name == "__init__.py")
]


def is_wrong_way(item: Import) -> bool:
    """Say whether an import goes up, or across a floor where no exception allows it."""
    here, there = room(item.module), room(item.target)
    if here in ("", there) or not item.target.startswith("rxtune."):
        return False
    if there not in FLOORS:  # a name of rxtune/__init__.py, which is above every room
        return True
    if (here, there) in EXCEPTIONS:
        return not item.lazy
    return FLOORS[there] > FLOORS[here] or FLOORS[there] == FLOORS[here] > 0


def loaded_by(module: str) -> tuple[set[str], set[str]]:
    """Return the modules of rxtune that importing `module` runs, and the libraries they load."""
    inside: set[str] = set()
    libraries: set[str] = set()
    todo = [module]
    while todo:
        parts = todo.pop().split(".")
        for name in {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & MODULES.keys():
            if name in inside:
                continue
            inside.add(name)
            eager = [i for i in IMPORTS if i.module == name and not i.lazy | i.typing_only]
            todo += [i.target for i in eager if i.target.startswith("rxtune")]
            libraries |= {i.target.split(".")[0] for i in eager} - {"rxtune"}
    return inside, libraries


# --- the walk itself


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from rxtune.search import tuner", True),
        ("from rxtune import search", True),
        ("from ..search import tuner", True),
        ("from .. import perturb", True),
        ("def f():\n    import rxtune.track.store", True),
        ("from rxtune.testbed import babel", True),
        ("def f():\n    from rxtune.testbed import babel", False),
        ("from rxtune import errors", False),
        ("from . import tables", False),
        ("from rxtune.data.tables import Table", False),
        ("import search", False),
    ],
)
def test_the_walk_sees_every_wrong_way(source: str, wrong: bool) -> None:
    found = list(imports_of(source, "rxtune.data.tasks"))
    assert any(map(is_wrong_way, found)) is wrong


# --- the rules


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in MODULES} - {""} <= FLOORS.keys()


def test_imports_go_down_only() -> None:
    assert [str(item) for item in IMPORTS if is_wrong_way(item)] == []


def test_exceptions_give_their_reason_in_the_rooms_docstring() -> None:
    used = {(room(i.module), room(i.target)) for i in IMPORTS} & EXCEPTIONS
    for here, there in used:
        docstring = ast.get_docstring(ast.parse((PACKAGE / here / "__init__.py").read_text()))
        assert there in (docstring or ""), f"rxtune/{here}/__init__.py: why import {there}?"


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    abroad = [
        str(item)
        for item in IMPORTS
        if item.target.split(".")[0] == library and room(item.module) not in HOMES[library]
    ]
    assert abroad == []


def test_floor_0_needs_only_pydantic_and_yaml() -> None:
    used = {
        item.target.split(".")[0] for item in IMPORTS if FLOORS.get(room(item.module)) == 0
    } - {"rxtune"}
    assert used - sys.stdlib_module_names <= {"pydantic", "pydantic_core", "yaml"}


@pytest.mark.parametrize("module", ["rxtune", "rxtune.cli", "rxtune.config"])
def test_the_front_doors_load_nothing_heavy(module: str) -> None:
    inside, libraries = loaded_by(module)
    assert libraries & HEAVY == set(), f"through one of {sorted(inside)}"


@pytest.mark.skipif("rxtune.cli" not in MODULES, reason="no command line yet")
def test_the_command_line_really_loads_nothing_heavy() -> None:
    code = "import sys, rxtune.cli; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()
