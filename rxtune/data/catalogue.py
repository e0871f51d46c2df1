"""The tasks that rxtune knows by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rxtune.data.task import Split, Task
from rxtune.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def read_babel(language: str, split: Split) -> pa.Table:
    """Return a split of Babel as an Arrow table."""
    import pyarrow as pa

    from rxtune.testbed.babel import LABELS, items

    ids, premises, hypotheses, labels = zip(*items(language, split), strict=True)
    return pa.table(
        {
            "id": ids,
            "text": premises,
            "text_pair": hypotheses,
            "label": pa.array([LABELS.index(label) for label in labels], pa.int64()),
        }
    )


TASKS: Mapping[str, Task] = {
    "babel": Task(
        name="babel",
        title="language inference in English and seven constructed languages (embedded)",
        labels=("entailment", "neutral", "contradiction"),
        source_language="eng",
        target_languages=("qaa", "qab", "qac", "qad", "qae", "qaf", "qag"),
        dev_languages=("qaf",),
        default_model="babel-tiny",
        epochs=2.0,
        batch_size=32,
        max_length=64,
        read=read_babel,
    ),
}


def find_task(name: str) -> Task:
    """Return a task by its name.

    Raises:
        DataError: there is no such task.
    """
    if name in TASKS:
        return TASKS[name]
    close = get_close_matches(name, TASKS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise DataError(f"unknown task {name!r}; {hint}`rxtune tasks` lists: {', '.join(TASKS)}")
