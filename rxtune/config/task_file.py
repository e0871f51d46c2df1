"""The description of a task: a user's own files, or a task of the catalogue and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from rxtune.config.fields import BETWEEN_KEYS, Name, Number, Section, Whole, printable
from rxtune.config.names import show

ENDINGS: Mapping[str, str] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""Format of a file by its ending."""


def _as_column(value: Any) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool):
        if value >= 1:
            return value
        raise ValueError(f"positions are counted from 1, got {value}")
    if isinstance(value, str):
        return printable(value)
    raise ValueError(f"a column's name or its position from 1 is required, got {show(value)}")


def _as_names(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    names: list[str] = []
    for item in values:
        is_whole = isinstance(item, int) and not isinstance(item, bool)
        if not (isinstance(item, str) or is_whole):
            raise ValueError(f"names are required, got {show(item)}; put quotes around it")
        if str(item) in names:
            raise ValueError(f"every name must stand once, got {show(item)} twice; delete one")
        names.append(printable(str(item)))
    return tuple(names)


def _as_labels(value: Any) -> tuple[str, ...]:
    labels = _as_names(value)
    if len(labels) < 2:
        raise ValueError(
            f"at least two labels are required, got {show(labels)}; list all of them, in the "
            "order of their class ids"
        )
    return labels


Column = Annotated[
    str | int,
    BeforeValidator(_as_column, json_schema_input_type=str | Annotated[int, Field(ge=1)]),
]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_names, json_schema_input_type=str | int | list[str | int]),
]
Labels = Annotated[
    tuple[str, ...],
    BeforeValidator(
        _as_labels, json_schema_input_type=Annotated[list[str | int], Field(min_length=2)]
    ),
]


class Columns(Section):
    """Where a row has what: names of columns (keys in JSON lines), or positions from 1."""

    id: Column | None = None
    """The item; the same id is the same item in every language. Null: the number of the row."""
    text: Column = "text"
    """The text, or the first of a pair."""
    text_pair: Column | None = None
    """The second text of a pair; null: the task is about single texts."""
    label: Column = "label"
    """The label, by name."""

    def used(self) -> dict[str, str | int]:
        """Return the columns to read, by what they hold."""
        found = {"id": self.id, "text": self.text, "text_pair": self.text_pair}
        return {role: column for role, column in found.items() if column is not None} | {
            "label": self.label
        }


class Files(Section):
    """One file per language and split; every path is absolute."""

    train: Mapping[str, str]
    """Training data, in the source language."""
    dev: Mapping[str, str]
    """Data that searches may look at."""
    test: Mapping[str, str]
    """Data that only `confirm` looks at."""


class TaskFile(Section):
    """A task made of a user's own files."""

    name: Name
    """What the task is called; default: the file's name."""
    title: str = "own data"
    """One line for people."""
    labels: Labels
    """All labels; a label's position is its class id in every language."""
    source_language: Name
    """The language that has training data."""
    target_languages: Names
    """The languages to transfer to; default: those that have test data."""
    dev_languages: Names = ()
    """Target languages that choose between trials where a study says `languages: auto`."""
    files: Files
    """Files by split and language."""
    columns: Columns = Columns()
    """Where a row has what."""
    header: bool = True
    """Whether the first row of a TSV or CSV file names the columns."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Character between columns; null: tab in TSV, comma in CSV."""
    quoting: Literal["standard", "none"] | None = None
    """Whether quotes enclose values; null: none in TSV, where they are text, standard in CSV."""
    parallel: Literal["id", "row"] | None = None
    """How items match across languages: by id, by row, or (null) not at all."""
    model: Name = "FacebookAI/xlm-roberta-base"
    """Default encoder."""
    epochs: Number = Field(default=3.0, gt=0)
    """Default passes over the training data."""
    batch_size: Whole = Field(default=32, ge=1)
    """Default examples per update."""
    max_length: Whole = Field(default=128, ge=1)
    """Default limit in tokens; longer examples are cut."""

    @model_validator(mode="after")
    def _columns_suit_the_files(self) -> Self:
        used = self.columns.used().items()
        by_name = [role for role, column in used if isinstance(column, str)]
        if not self.header and by_name:
            _blame("columns", "without a header columns are positions: write text: 1, label: 2")
        if self.parallel == "id" and self.columns.id is None:
            _blame("parallel", "id needs columns.id: name the column that holds it, or write row")
        return self

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class TaskChoice(Section):
    """A task of the catalogue, read from a folder or for other languages than its default."""

    catalogue: Name
    """Name of the task."""
    folder: str | None = None
    """Local copy of its data set in hub layout, absolute; null: the hub and its cache."""
    source_folder: str | None = None
    """The same for the data set that it borrows its training data from, where it does."""
    target_languages: Names | None = None
    """Target languages; null: the task's own. Others that the data set has may be named."""
    dev_languages: Names | None = None
    """Default dev languages; null: the task's own."""

    @model_validator(mode="after")
    def _languages_make_sense(self) -> Self:
        for name in ("target_languages", "dev_languages"):
            if getattr(self, name) == ():
                text = "at least one name is required, got []; leave the key out for the task's"
                _blame(name, text)
        return self

    def __str__(self) -> str:
        """Return the name."""
        return self.catalogue


def _blame(name: str, text: str) -> None:
    raise PydanticCustomError(BETWEEN_KEYS, text, {"name": name})
