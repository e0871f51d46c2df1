"""Rows of TSV, CSV, JSON-lines and Parquet files, each with the line it stands on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rxtune.data.checks import missing_column
from rxtune.data.faults import SHOWN

_CHUNK = 20_000  # rows that are Python objects at a time; the rest is Arrow
_WIDEST = 1 << 24  # characters of one CSV value

Row = tuple[int, Sequence[Any]]
"""Line in the file, and the values of the columns that are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is to be read."""

    format: str
    """tsv, csv, jsonl or parquet."""
    columns: Mapping[str, str | int]
    """Name or position (from 1) of a column by what it holds: id, text, text_pair, label."""
    header: bool = True
    delimiter: str = "\t"
    quoted: bool = False
    """Whether quotes enclose values."""


@dataclass(slots=True)
class Reading:
    """Rows read from one file, and the faults met on the way."""

    path: Path
    layout: Layout
    faults: list[str] = field(default_factory=list)
    is_misnamed: bool = False
    """Whether a column is missing, which is told once and not for every row."""

    def fault(self, line: int, text: str) -> None:
        """Note what is wrong with a line."""
        self.faults.append(f"{self.path}:{line}: {text}")

    @property
    def is_hopeless(self) -> bool:
        """Whether there are more faults than anyone reads."""
        return len(self.faults) > 5 * SHOWN


def read_raw(path: Path, layout: Layout) -> tuple[pa.Table, list[str]]:
    """Return the rows of a file as a raw table (see `checks`), and why some could not be read.

    Memory is bounded by the table itself and one chunk of rows.
    """
    reading = Reading(path, layout)
    roles = list(layout.columns)
    schema = pa.schema([("line", pa.int64()), *((role, pa.string()) for role in roles)])
    batches = []
    try:
        for chunk in _chunks(_READERS[layout.format](reading)):
            lines, rows = zip(*chunk, strict=True)
            values = [[_text(row[place]) for row in rows] for place in range(len(roles))]
            arrays = [pa.array(column, pa.string()) for column in values]
            batches.append(pa.record_batch([pa.array(lines, pa.int64()), *arrays], schema=schema))
    except (OSError, pa.ArrowInvalid) as error:
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "")
        reading.faults.append(f"{path}: cannot be read: {reason}")
    return pa.Table.from_batches(batches, schema), reading.faults


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- lines of text


def _lines(reading: Reading) -> Iterator[tuple[int, str]]:
    """Yield lines with their ends; the first that is not UTF-8 is a fault and ends the reading."""
    position = 0
    with reading.path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                at = position + error.start
                byte = f"byte 0x{error.object[error.start]:02x} at position {at:,} of the file"
                kind = "UTF-16" if position == 0 and line[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
                guess = f"it looks like {kind}; " if kind else ""
                hint = f"`iconv -f {kind or 'LATIN1'} -t UTF-8` converts such a file"
                reading.fault(number, f"not UTF-8 ({byte}); {guess}{hint}")
                return
            position += len(line)


def _read_delimited(reading: Reading) -> Iterator[Row]:
    rows = _quoted(reading) if reading.layout.quoted else _split(reading)
    places: list[int] | None = None
    width = 0
    for line, values in rows:
        if places is None:
            places = _places(reading, line, values)
            width = len(values)
            if places is None or reading.layout.header:
                if places is None:
                    return
                continue
        if len(values) != width:
            reading.fault(line, _count(len(values), width, reading.layout))
            if reading.is_hopeless:
                return
            continue
        yield line, [values[place] if place < width else None for place in places]


def _count(got: int, width: int, layout: Layout) -> str:
    first = "the header has" if layout.header else "the first row has"
    separator = "tab" if layout.delimiter == "\t" else layout.delimiter
    if got > width:
        hint = f"is there a {separator} inside a text?"
    else:
        hint = "is a value or a line break out of place?"
    return f"{got} column{'s' if got != 1 else ''}, but {first} {width}; {hint}"


def _places(reading: Reading, line: int, first: Sequence[str]) -> list[int] | None:
    """Return the place of every used column; a fault and None where one is missing."""
    layout = reading.layout
    where = f"{reading.path}:{line}"
    places = []
    for role, column in layout.columns.items():
        if isinstance(column, int):
            # Without its last column a file has no labels, which is told as such.
            if column > len(first) and not (role == "label" and not layout.header):
                has = f"it has {len(first)} columns"
                reading.faults.append(f"{where}: no column {column} ({role}); {has}")
            places.append(column - 1)
        elif column in first:
            places.append(first.index(column))
        else:
            hint = "" if layout.header else " (header: false)"
            reading.faults.append(missing_column(where, column, first) + hint)
    return None if reading.faults else places


def _split(reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Yield rows of a file in which quotes are text."""
    blank = 0
    for number, line in _lines(reading):
        content = line.rstrip("\r\n")
        if not content:
            blank = blank or number
            continue
        if blank:  # only at the end of the file is a blank line no row
            reading.fault(blank, "blank line; delete it")
            blank = 0
        yield number, content.split(reading.layout.delimiter)


def _quoted(reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Yield rows of a file in which quotes enclose values; a row starts on the line given."""
    csv.field_size_limit(_WIDEST)
    lines = (line for _, line in _lines(reading))
    rows = csv.reader(lines, delimiter=reading.layout.delimiter, strict=True)
    start = 1
    while True:
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            hint = "quotes inside a value are doubled; or write quoting: none"
            reading.fault(start, f"not CSV: {error}; {hint}")
            return
        if values:
            yield start, values
        start = rows.line_num + 1


# --- JSON lines and Parquet


def _read_json(reading: Reading) -> Iterator[Row]:
    for number, line in _lines(reading):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            reading.fault(number, f"not JSON: {error}; write one object per line")
        else:
            row = _json_row(reading, number, item)
            if row is not None:
                yield number, row
        if reading.is_hopeless or reading.is_misnamed:
            return


def _json_row(reading: Reading, line: int, item: Any) -> list[Any] | None:
    if not isinstance(item, dict):
        reading.fault(line, 'not a JSON object; write {"text": …, "label": …} per line')
        return None
    row = []
    for role, column in reading.layout.columns.items():
        if column not in item:
            reading.faults.append(missing_column(f"{reading.path}:{line}", column, list(item)))
            reading.is_misnamed = True
            return None
        value = item.get(str(column))
        if isinstance(value, dict | list) or (role.startswith("text") and _is_no_text(value)):
            kind = type(value).__name__
            reading.fault(line, f"{column}: text is required, got {kind} {str(value)[:40]!r}")
            return None
        row.append(value)
    return row


def _is_no_text(value: Any) -> bool:
    return value is not None and not isinstance(value, str)


def _read_parquet(reading: Reading) -> Iterator[Row]:
    file = pq.ParquetFile(reading.path)
    names = file.schema_arrow.names
    used = [
        names[column - 1] if isinstance(column, int) and column <= len(names) else column
        for column in reading.layout.columns.values()
    ]
    for role, column in zip(reading.layout.columns, used, strict=True):
        if column not in names:
            reading.faults.append(missing_column(str(reading.path), column, names))
        elif not _suits(role, kind := file.schema_arrow.field(column).type):
            wanted = "text" if role.startswith("text") else "text or a number"
            text = f"column {column!r}: {wanted} is required, got {kind}"
            reading.faults.append(f"{reading.path}: {text}")
    if reading.faults:
        return
    number = 0
    for batch in file.iter_batches(batch_size=_CHUNK, columns=list(dict.fromkeys(used))):
        columns = [batch.column(name).to_pylist() for name in used]
        for values in zip(*columns, strict=True):
            number += 1
            yield number, values


def _suits(role: str, kind: pa.DataType) -> bool:
    """Return whether a column of a type can hold what it is said to hold."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_null(value):
        return True
    return pa.types.is_primitive(value) and not role.startswith("text")


_READERS = {
    "tsv": _read_delimited,
    "csv": _read_delimited,
    "jsonl": _read_json,
    "parquet": _read_parquet,
}
