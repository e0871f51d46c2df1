"""Which languages choose between trials."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

from rxtune.data.task import Task
from rxtune.errors import DataError


def resolve_dev_languages(
    task: Task, languages: Literal["auto"] | Sequence[str]
) -> tuple[str, ...]:
    """Return the dev languages that a study asks for; `auto` is the task's own choice.

    Raises:
        DataError: a language that the task does not have.
    """
    if languages == "auto":
        return task.dev_languages
    unknown = [language for language in languages if language not in task.languages]
    if unknown:
        close = get_close_matches(unknown[0], task.languages, n=1)
        hint = f" did you mean {close[0]!r}?" if close else ""
        raise DataError(
            f"select.languages: task {task.name!r} has no language {unknown[0]!r};{hint}"
            f" it has {', '.join(task.languages)} (`rxtune tasks {task.name}` describes them)"
        )
    return tuple(dict.fromkeys(languages))
