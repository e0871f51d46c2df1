"""Tables of words for the methods that replace words: the study's, else the task's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.config import Study
from rxtune.config.domains import listed
from rxtune.data.task import Task
from rxtune.errors import DataError, StudyError

if TYPE_CHECKING:
    from rxtune.data.substitution import SubstitutionTable


def read_substitutes(study: Study, task: Task) -> dict[str, SubstitutionTable]:
    """Return the table of every method of the space that replaces words.

    Reads the study's files, so that a wrong one is refused before anything is started.

    Raises:
        StudyError: there is no table for a method of the space.
        DataError: a file is missing or malformed.
    """
    readers = {"rs_da": _synonyms, "code_switch": _dictionaries}
    return {
        method: _read(method, read, study, task)
        for method, read in readers.items()
        if method in _methods(study)
    }


def substitute_files(study: Study) -> tuple[str, ...]:
    """Return the study's own files that `read_substitutes` reads."""
    augment = study.augment
    synonyms = () if augment.synonyms is None else (augment.synonyms,)
    files = {"rs_da": synonyms, "code_switch": tuple(augment.dictionaries.values())}
    wanted = _methods(study)
    return tuple(
        dict.fromkeys(file for method in files if method in wanted for file in files[method])
    )


def require_known_words(
    tables: Mapping[str, SubstitutionTable], texts: Iterable[str], task: Task
) -> None:
    """Refuse a table that would change nothing: of another language, or badly split into words.

    Args:
        tables: Method -> its table.
        texts: Some of the training data.
        task: Whose training data it is.

    Raises:
        DataError: a table knows no word of the texts.
    """
    pieces = {piece for text in texts for piece in text.split()}
    for method, table in tables.items():
        if not any(len(table.options(piece)) > 1 for piece in pieces):
            word = next(iter(table.neighbours))
            raise DataError(
                f"{method}: the table of words (such as {word!r}) must know words of the training"
                f" data, but knows none of {len(pieces)} in {task.source_language!r}; check its"
                " language and that its words come first"
            )


_Tables = Callable[[Study, Task], Iterator["SubstitutionTable"]]


def _methods(study: Study) -> tuple[object, ...]:
    return listed(study.space.parameters["method"].domain)


def _read(method: str, read: _Tables, study: Study, task: Task) -> SubstitutionTable:
    from rxtune.data.substitution import SubstitutionTable

    table = SubstitutionTable.merged(read(study, task))
    if table.neighbours:
        return table
    what, key = _NEEDS[method]
    raise StudyError(
        f"space.method: {method} needs {what}, and task {task.name!r} brings none; add augment:"
        f" {key} to the study (.json or .tsv), or take {method} out of space.method"
    )


_NEEDS: Mapping[str, tuple[str, str]] = {
    "rs_da": ("a table of synonyms", "{synonyms: FILE}"),
    "code_switch": ("bilingual dictionaries", "{dictionaries: {LANGUAGE: FILE}}"),
}


def _synonyms(study: Study, task: Task) -> Iterator[SubstitutionTable]:
    from rxtune.data.substitution import SubstitutionTable

    if study.augment.synonyms is not None:
        yield SubstitutionTable.read(Path(study.augment.synonyms))
    elif task.substitutes is not None:
        yield SubstitutionTable(task.substitutes("synonyms"))


def _dictionaries(study: Study, task: Task) -> Iterator[SubstitutionTable]:
    from rxtune.data.substitution import SubstitutionTable

    if study.augment.dictionaries:
        for file in study.augment.dictionaries.values():
            yield SubstitutionTable.read(Path(file))
    elif task.substitutes is not None:
        for language in task.target_languages:
            yield SubstitutionTable(task.substitutes(language))
