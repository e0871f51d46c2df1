"""Where a result comes from: versions of the libraries, commit of the working directory."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("rxtune", "torch", "transformers", "ray", "optuna", "mlflow")


def versions() -> dict[str, str]:
    """Return the installed version of every library a result depends on, and of Python.

    A package that is not installed is left out. Nothing is imported.
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out at `folder`, or None where there is none.

    `-dirty` is added when tracked files differ from it.
    """
    head = _git(folder, "rev-parse", "--verify", "HEAD")
    if not head:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head


def _git(folder: Path, *arguments: str) -> str | None:
    # Without optional locks: a look must not disturb a git command that the user runs meanwhile.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
