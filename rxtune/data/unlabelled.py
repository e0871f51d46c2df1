"""Texts without labels, from a file or from standard input: what a model is to classify."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from rxtune.data.checks import missing_column
from rxtune.data.faults import refuse
from rxtune.data.formats import Layout, read_raw
from rxtune.errors import DataError, StudyError

Format = Literal["tsv", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)
STDIN = "-"
_ENDINGS: Mapping[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_TEXTS = ("text", "text_pair")
_HEADER = "write a first line with the names: text and, of pairs, text_pair"


def format_of(path: str, asked: str | None) -> Format:
    """Return how a file is to be read: as asked, else by its ending; TSV where that says nothing.

    Raises:
        StudyError: no such format.
    """
    if asked is None:
        return _ENDINGS.get(Path(path).suffix.lower(), "tsv")
    for known in FORMATS:
        if asked == known:
            return known
    raise StudyError(f"--format: must be {' or '.join(FORMATS)}, got {asked!r}")


def read_texts(
    path: str, *, format: Format, is_pair: bool | None, stdin: BinaryIO | None = None
) -> pa.Table:
    """Return `text` and, of pairs, `text_pair`, a row per line.

    A TSV file may begin with a header that names the columns; without one its first column is the
    text, and of pairs its second the other text. Other columns are not looked at.

    Args:
        path: The file; `-` for standard input.
        format: Of the file.
        is_pair: Whether the model takes pairs; None: what the columns say.
        stdin: What `-` stands for.

    Raises:
        FaultyDataError: Rows are malformed or empty: every fault with its line.
        DataError: There is no such file.
    """
    shown = "standard input" if path == STDIN else path
    with _as_file(path, stdin) as file:
        if file.stat().st_size == 0:
            return pa.table({name: pa.array([], pa.string()) for name in _TEXTS})
        raw, faults = read_raw(file, _layout(file, shown, format, is_pair))
    refuse([*(fault.replace(str(file), shown, 1) for fault in faults), *_blank(raw, shown)])
    return raw.drop_columns("line")


@contextmanager
def _as_file(path: str, stdin: BinaryIO | None) -> Iterator[Path]:
    """Yield the file; standard input is copied into one, because it is read twice."""
    if path != STDIN:
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file; name one, or - for standard input")
        yield Path(path)
        return
    assert stdin is not None, "who names - has it"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stdin"
        with file.open("wb") as copy:
            while block := stdin.read(1 << 20):
                copy.write(block)
        yield file


def _layout(file: Path, where: str, format: Format, is_pair: bool | None) -> Layout:
    names = _json_keys(file) if format == "jsonl" else _first_line(file)
    if format == "tsv" and "text" not in names:  # a row like the others
        if is_pair is None and len(names) > 1:
            refuse([f"{where}:1: {len(names)} columns, but which is the text? {_HEADER}"])
        places: dict[str, str | int] = {"text": 1, "text_pair": 2} if is_pair else {"text": 1}
        return Layout(format=format, columns=places, header=False)
    has_pair = "text_pair" in names
    if is_pair and not has_pair:
        refuse([missing_column(f"{where}:1", "text_pair", names) + "; the model takes pairs"])
    if is_pair is False and has_pair:
        refuse([f"{where}:1: there is a column 'text_pair', but the model takes single texts"])
    wanted = _TEXTS if has_pair else _TEXTS[:1]
    return Layout(format=format, columns={name: name for name in wanted})


def _first_line(file: Path) -> list[str]:
    """Return the values of the first line, which may be the names of the columns."""
    with file.open("rb") as opened:
        first = opened.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
    return first.split("\t")


def _json_keys(file: Path) -> list[str]:
    """Return the keys of the first object, as far as they matter here."""
    with file.open("rb") as opened:
        try:
            first = json.loads(opened.readline().decode("utf-8-sig"))
        except ValueError:
            return ["text"]  # the reader will say what is wrong, and with which line
    return list(first) if isinstance(first, dict) else ["text"]


def _blank(raw: pa.Table, where: str) -> list[str]:
    """Return a fault for every empty text."""
    faults = []
    for name in (name for name in _TEXTS if name in raw.column_names):
        stripped = pc.utf8_trim_whitespace(pc.fill_null(raw.column(name), ""))
        lines = raw.column("line").filter(pc.equal(stripped, "")).to_pylist()
        faults += [f"{where}:{line}: empty {name}; fill it or delete the row" for line in lines]
    return faults
