"""Which languages choose between trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rxtune.config import nearest
from rxtune.data.task import Task
from rxtune.errors import DataError


def resolve_dev_languages(
    task: Task, languages: Literal["auto"] | Sequence[str]
) -> tuple[str, ...]:
    """Return the dev languages that a study asks for; `auto` is the task's own choice.

    Raises:
        DataError: a language that the task does not have, or that has no dev data.
    """
    if languages == "auto" and not task.dev_languages:
        raise DataError(
            f"select.languages: task {task.name!r} names no dev languages of its own; name some"
            f" with --languages or dev_languages: {_choices(task)}"
        )
    named = task.dev_languages if languages == "auto" else tuple(dict.fromkeys(languages))
    for language in named:
        if language not in task.languages:
            near = nearest(language, task.languages)
            hint = f" did you mean {near!r}?" if near else ""
            raise DataError(
                f"select.languages: task {task.name!r} has no language {language!r};{hint}"
                f" it has {', '.join(task.languages)}"
            )
        if language not in task.languages_with("dev"):
            raise DataError(
                f"select.languages: {language!r} has no dev data in task {task.name!r};"
                f" choose among {_choices(task)}"
            )
    return named


def _choices(task: Task) -> str:
    having = task.languages_with("dev")
    return ", ".join(language for language in task.target_languages if language in having)
