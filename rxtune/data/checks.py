"""From rows as they stand in a data set to a table of examples, or to all that is wrong with them.

A raw table has the columns `line` (int64, where a row stands), `text`, `label` (text or null) and,
where the data has them, `id` and `text_pair`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from rxtune.config import nearest
from rxtune.data.faults import SHOWN
from rxtune.data.task import DROPPED

_EXAMPLES = 3  # row numbers that a fault gives


def find_faults(raw: pa.Table, where: str, labels: Sequence[str], split: str) -> list[str]:
    """Return what is wrong with the rows of a split: one line per rule and value.

    Args:
        raw: the rows.
        where: what people call the data: a path, or a data set and its part.
        labels: the labels of the task.
        split: train, dev or test.
    """
    if raw.num_rows == 0:
        return [f"{where}: no rows; a {split} split needs at least one"]
    faults = []
    for name in ("text", "text_pair"):
        if name in raw.column_names:
            empty = _is_blank(raw.column(name))
            faults += _told(raw, empty, where, f"empty {name}; delete the row or fill it")
    if "id" in raw.column_names:
        faults += _id_faults(raw, where)
    return faults + _label_faults(raw, where, labels, split)


def to_examples(raw: pa.Table, labels: Sequence[str], dropped: int = 0) -> pa.Table:
    """Return `id`, `text`, perhaps `text_pair`, and `label` as class id; `raw` has no faults.

    Args:
        raw: the rows; without the column `id` a row's number becomes its id.
        labels: label names in the order of their class ids.
        dropped: how many rows were left out before, for the table's metadata.
    """
    ids = raw.column("id") if "id" in raw.column_names else raw.column("line").cast(pa.string())
    columns = {"id": ids, "text": raw.column("text")}
    if "text_pair" in raw.column_names:
        columns["text_pair"] = raw.column("text_pair")
    numbers = pc.index_in(raw.column("label"), value_set=pa.array(labels, pa.string()))
    table = pa.table({**columns, "label": numbers.cast(pa.int64())})
    return table.replace_schema_metadata({DROPPED: str(dropped)} if dropped else None)


def _is_blank(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.equal(pc.utf8_trim_whitespace(pc.fill_null(column, "")), "")


def _id_faults(raw: pa.Table, where: str) -> list[str]:
    blank = _is_blank(raw.column("id"))
    faults = _told(raw, blank, where, "no id; fill it, or leave columns.id out")
    counts = pc.value_counts(raw.column("id").filter(pc.invert(blank)))
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    for value in twice[:50].to_pylist():
        lines = _lines(raw, pc.equal(raw.column("id"), value))
        text = f"id {value!r} stands here and {_rows(lines[1:])}; every item needs its own"
        faults.append(f"{where}:{lines[0]}: {text}")
    return faults


def _label_faults(raw: pa.Table, where: str, labels: Sequence[str], split: str) -> list[str]:
    blank = _is_blank(raw.column("label"))
    if pc.all(blank).as_py():
        why = " (XTREME's copies come without); take the original" if split == "test" else ""
        return [f"{where}: none of its {raw.num_rows} rows has a label{why}"]
    faults = _told(raw, blank, where, "no label; fill it or delete the row")
    known = pc.is_in(raw.column("label"), value_set=pa.array(labels, pa.string()))
    unknown = pc.and_(pc.invert(known), pc.invert(blank))
    strange = pc.unique(raw.column("label").filter(unknown)).to_pylist()
    if len(strange) > SHOWN:  # no typing errors, and one by one they would take hours
        text = f"{len(strange):,} different values are no labels, such as {_shown(strange[0])}"
        hint = f"is the label in another column? the labels are {', '.join(labels)}"
        return [*faults, f"{where}:{_lines(raw, unknown)[0]}: {text}; {hint}"]
    for value in strange:
        near = nearest(value, labels)
        hint = f"did you mean {near!r}?" if near else f"the labels are {', '.join(labels)}"
        mask = pc.equal(raw.column("label"), value)
        faults += _told(raw, mask, where, f"unknown label {_shown(value)}; {hint}")
    return faults


def _told(raw: pa.Table, mask: pa.ChunkedArray, where: str, text: str) -> list[str]:
    lines = _lines(raw, mask)
    if not lines:
        return []
    rule, _, hint = text.partition(";")
    others = f" (and {_rows(lines[1:])})" if len(lines) > 1 else ""
    return [f"{where}:{lines[0]}: {rule}{others};{hint}"]


def _lines(raw: pa.Table, mask: pa.ChunkedArray) -> list[int]:
    lines: list[int] = raw.column("line").filter(pc.fill_null(mask, False)).to_pylist()
    return lines


def _rows(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:_EXAMPLES]))
    over = len(lines) - _EXAMPLES
    if over > 0:
        return f"in rows {shown} and {over} more"
    return f"in row{'s' if len(lines) > 1 else ''} {shown}"


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:39]}…")


def missing_column(where: str, column: str | int, names: Sequence[str]) -> str:
    """Return the fault that a data set lacks a column."""
    near = nearest(str(column), names)
    hint = f"did you mean {near!r}?" if near else f"it has {', '.join(names)}"
    what = f"position {column}" if isinstance(column, int) else repr(column)
    return f"{where}: no column {what}; {hint}"
