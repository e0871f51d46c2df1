"""What the shell offers when Tab is pressed, asked as the shells ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rxtune

Ask = Callable[..., str]
HEAVY = ("torch", "ray", "mlflow", "optuna", "pyarrow", "transformers", "datasets", "scipy")
CODE = f"""
import sys
sys.argv[0] = "rxtune"
from rxtune.cli import main
try:
    main()
finally:
    heavy = {{*{HEAVY!r}}} & sys.modules.keys()
    assert not heavy, heavy
"""


@pytest.fixture
def ask(folder: Path) -> Ask:
    """Return a function that runs `rxtune` with an environment and returns what it prints."""

    def run(*arguments: str, **environment: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            cwd=folder,
            env={
                "HOME": str(folder),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(rxtune.__file__).parents[1]),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout

    return run


@pytest.fixture
def bash(ask: Ask) -> Callable[[str], list[str]]:
    """Return a function that completes a line that ends at the cursor, as bash asks for it."""

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return ask(_RXTUNE_COMPLETE="complete_bash", **asked).split()

    return complete


@pytest.fixture
def runs(folder: Path) -> None:
    for name in ("runs/first", "runs/second", "runs/no-run", "else where/third"):
        (folder / name).mkdir(parents=True)
        if name != "runs/no-run":
            (folder / name / "journal.log").touch()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("command", ["status", "audit", "confirm", "report", "ui"])
def test_the_commands_on_a_run_offer_those_there_are(
    bash: Callable[[str], list[str]], command: str
) -> None:
    assert bash(f"rxtune {command} ") == ["first", "second"]


@pytest.mark.usefixtures("runs")
def test_what_was_typed_narrows_it_down(bash: Callable[[str], list[str]]) -> None:
    assert bash("rxtune status se") == ["second"]
    assert bash("rxtune status [") == []
    assert bash("rxtune search --name f") == ["first"]
    assert bash("rxtune status --runs nowhere ") == []


@pytest.mark.usefixtures("runs")
def test_runs_in_another_folder_are_offered_where_it_was_named(ask: Ask) -> None:
    offered = ask(
        _RXTUNE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="rxtune status --runs 'else where' "
    )
    assert offered == "_arguments '*: :((\"third\"))'\n"


@pytest.mark.usefixtures("runs")
def test_fish_is_answered_as_well(ask: Ask) -> None:
    asked = {"_RXTUNE_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert ask(**asked, _TYPER_COMPLETE_ARGS="rxtune status ") == "first\nsecond\n"
    assert "status\t" in ask(**asked, _TYPER_COMPLETE_ARGS="rxtune sta")


def test_space_files_are_offered_from_here_and_from_where_they_usually_lie(
    bash: Callable[[str], list[str]], folder: Path
) -> None:
    (folder / "search_spaces").mkdir()
    (folder / "search_spaces" / "rs.yaml").touch()
    (folder / "notes.txt").touch()
    assert bash("rxtune search --space ") == ["search_spaces/rs.yaml", "space.yaml"]
    assert bash("rxtune check --space sp") == ["space.yaml"]
    assert bash("rxtune search --space search_spaces/") == ["search_spaces/rs.yaml"]
    assert bash("rxtune search --space sea") == ["search_spaces/rs.yaml"]
    assert bash("rxtune search --space no") == []  # bash offers all files then


def test_commands_and_flags_are_offered(bash: Callable[[str], list[str]]) -> None:
    assert {"search", "status"} <= {*bash("rxtune s")}
    assert "--watch" in bash("rxtune status --")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(ask: Ask, shell: str) -> None:
    script = ask(_RXTUNE_COMPLETE=f"source_{shell}")
    assert f"_RXTUNE_COMPLETE=complete_{shell}" in script


def test_the_script_is_shown_and_installed_for_the_shell_that_is_named(
    ask: Ask, folder: Path
) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert "complete -o default -F" in ask("--show-completion", "bash", **named)
    assert "bash completion installed in" in ask("--install-completion", "bash", **named)
    assert "_rxtune_completion" in (folder / ".bash_completions" / "rxtune.sh").read_text()
