"""Every command on the pages: run as it stands, or marked, and then at least one that exists."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rxtune
from rxtune.api.runs import Run
from tests.docs.pages import MARKS, REPOSITORY, Block, blocks, calls, mentions

BASH = blocks("bash")
LIGHT = [block for block in BASH if block.mark is None and block.page != "README.md"]
LIGHT_PAGES = sorted({block.page for block in LIGHT})


def test_the_pages_have_commands_of_both_kinds() -> None:
    assert {block.mark for block in BASH} - {None} == MARKS
    assert len(LIGHT_PAGES) >= 3


@pytest.mark.parametrize("block", BASH, ids=lambda block: block.page)
def test_every_block_is_shell(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)


@pytest.mark.parametrize("block", BASH, ids=lambda block: block.page)
def test_every_flag_of_rxtune_exists(block: Block) -> None:
    import typer.main

    from rxtune.cli import app

    root: Any = typer.main.get_command(app)
    for verb, *words in calls(block.code, "rxtune"):
        root.commands[verb].make_context(verb, words)


@pytest.mark.parametrize(("page", "words"), sorted({*mentions()}))
def test_every_command_in_a_sentence_exists(page: str, words: str) -> None:
    import typer.main

    from rxtune.cli import app

    root: Any = typer.main.get_command(app)
    verb, *_ = words.split()
    owner = root if verb.startswith("-") else root.commands[verb]
    known = {name for p in owner.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert {*re.findall(r"(?<![\w-])--[\w-]+", words)} <= known


@pytest.mark.parametrize("block", BASH, ids=lambda block: block.page)
def test_every_space_file_and_every_target_exists(block: Block) -> None:
    spaces = re.findall(r"(?<!rxtune/)\b(?:search_spaces|cluster)/[\w.-]+\.yaml", block.code)
    assert [path for path in spaces if not (REPOSITORY / path).exists()] == []
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert {words[0] for words in calls(block.code, "make")} <= {*targets}


@pytest.mark.parametrize("block", BASH, ids=lambda block: block.page)
def test_every_flag_of_ray_exists(block: Block) -> None:
    for verb, *words in calls(block.code, "ray"):
        from ray.scripts.scripts import cli

        known = {option for p in cli.commands[verb].params for option in p.opts}
        assert {word.split("=")[0] for word in words if word.startswith("-")} <= known


@pytest.mark.slow_end_to_end
@pytest.mark.parametrize("page", LIGHT_PAGES)
def test_what_has_no_mark_runs_as_it_stands(
    page: str, shell: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    for block in LIGHT:
        if block.page == page:
            done = shell(block.code)
            assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.thorough
def test_the_tutorial_runs_from_its_start_to_its_end(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "search_spaces").symlink_to(REPOSITORY / "search_spaces")
    marks = (None, "takes minutes")
    for block in (b for b in BASH if b.page == "docs/tutorial.md" and b.mark in marks):
        words = ["bash", "-eu", "-o", "pipefail", "-c", block.code]
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_python_names_what_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.code)):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id == "run":
            assert hasattr(Run, node.attr) or node.attr in Run.__dataclass_fields__
        if node.value.id == "rxtune":
            assert hasattr(rxtune, node.attr)
