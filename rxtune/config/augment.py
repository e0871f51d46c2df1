"""The sections `augment` and `evaluate` of a study: tables of words, mixed-language pairs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from rxtune.config.fields import Section, Whole
from rxtune.config.names import show

FOLDER = "folder"
"""Key of pydantic's context: what relative paths start from; without it, where we are."""


When = Literal["never", "confirm", "always"]


def _as_file(value: Any, info: ValidationInfo) -> Any:
    if value is None:
        return None
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError(f"the name of a .json or .tsv file is required, got {show(value)}")
    folder = Path((info.context or {}).get(FOLDER, "."))
    return str((folder / Path(value).expanduser()).absolute())


def _as_files(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"a file per language is required, got {show(value)}; write {{sw: FILE}}")
    for language, file in value.items():
        if file is None:
            raise ValueError(f"a file per language is required, got {language}: null; name one")
    return {language: _as_file(file, info) for language, file in value.items()}


def _as_when(value: Any) -> Any:
    if isinstance(value, bool):
        return "always" if value else "never"
    return value


class Augment(Section):
    """Tables of words for the methods that replace words; null: the task's own, if it has one."""

    synonyms: Annotated[
        str | None, BeforeValidator(_as_file, json_schema_input_type=str | None)
    ] = None
    """Of `rs_da`: JSON {word: [neighbours]} or TSV; a path, absolute once it is read."""
    dictionaries: Annotated[
        dict[str, str], BeforeValidator(_as_files, json_schema_input_type=dict[str, str])
    ] = Field(default_factory=dict)
    """Of `code_switch`: words of the source language -> of another, one file per language."""


class Evaluate(Section):
    """What is measured besides the accuracy in every language."""

    generalized: Annotated[When, BeforeValidator(_as_when, json_schema_input_type=When | bool)] = (
        "confirm"
    )
    """When to test pairs of sentences in two languages: in `rxtune confirm`, also at the end of
    every trial, or never. Only for pair tasks that are parallel between languages."""
    sample: Whole = Field(default=250, ge=1)
    """Items taken for it, at most: all ordered pairs of n languages are n² times as many."""
