"""The documentation built, and a folder in which its commands are typed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built from what lies in the repository."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout as far as the pages need one."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "search_spaces").symlink_to(REPOSITORY / "search_spaces")
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a shell has in which this repository is installed."""
    bin = tmp_path_factory.mktemp("bin")
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rxtune "$@"\n'
    (bin / "rxtune").write_text(script)
    (bin / "rxtune").chmod(0o755)
    changes = {"PATH": f"{bin}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    kept = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    return {**kept, **changes}


@pytest.fixture(scope="session")
def notebook(place: Path, environment: dict[str, str]) -> Any:
    """The notebook with its outputs, run in the checkout: leaves the run `first`."""
    found = nbformat.read(REPOSITORY / "examples" / "babel.ipynb", 4)
    resources = {"metadata": {"path": str(place)}}
    NotebookClient(found, timeout=600, resources=resources).execute(env=environment)
    return found


@pytest.fixture
def shell(
    notebook: Any, place: Path, environment: dict[str, str]
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Return a function that types lines where the run `first` is."""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        words = ["bash", "-eu", "-o", "pipefail", "-c", code]
        return subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True)

    return run
