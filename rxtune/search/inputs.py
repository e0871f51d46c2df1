"""What a search reads beside its study: data and tables of words, which must stay the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from rxtune.config import Study, TaskFile
from rxtune.data.task import Split, Task
from rxtune.errors import DataError, StudyError
from rxtune.search.substitutes import substitute_files

_READ: tuple[Split, ...] = ("train", "dev")
"""What trials are trained on and compared by; `confirm` alone reads test."""


def fingerprint_inputs(study: Study, task: Task) -> dict[str, str]:
    """Return what identifies the content of everything that a search reads, by name.

    A file of the user has its path for a name, data of the hub its place there. What is embedded
    cannot change without the program and is left out.

    Raises:
        DataError: something cannot be read.
    """
    found = {path: _of_file(path) for path in substitute_files(study)}
    if task.origin != "embedded":
        for split in _READ:
            for language in task.languages_with(split):
                name = _name(study, task, language, split)
                found[name] = task.fingerprint(language, split)
    return found


def require_same_inputs(kept: Mapping[str, str], now: Mapping[str, str], run: str) -> None:
    """Refuse to go on with a search on other data or words than it was begun with.

    Raises:
        StudyError: something has changed; what is only in one of them, the study tells.
    """
    changed = [name for name, print_ in now.items() if kept.get(name, print_) != print_]
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise StudyError(
            f"{changed[0]}: has changed{more} since run {run!r} was begun, and its trials would"
            " not compare; put the old content back, or start a new run with another --name"
        )


def _of_file(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _name(study: Study, task: Task, language: str, split: Split) -> str:
    if isinstance(study.task, TaskFile):
        path: str = getattr(study.task.files, split)[language]
        return path
    return f"{task.origin} {language} {split}"
