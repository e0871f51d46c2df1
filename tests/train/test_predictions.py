"""Saved predictions: enough to recount an accuracy without rxtune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from rxtune.train.predictions import FILE_NAME, prediction_table, save_predictions

TABLES = {
    "eng": pa.table({"id": ["a", "b"], "label": pa.array([0, 2], pa.int64())}),
    "qaa": pa.table({"id": ["b"], "label": pa.array([2], pa.int64())}),
}


def predictions() -> pa.Table:
    found = {"eng": np.array([0, 1]), "qaa": np.array([2])}
    return prediction_table(found, TABLES, ("yes", "maybe", "no"))


def test_a_row_says_what_was_right_and_what_was_said() -> None:
    assert predictions().to_pylist() == [
        {"id": "a", "language": "eng", "label": "yes", "prediction": "yes"},
        {"id": "b", "language": "eng", "label": "no", "prediction": "maybe"},
        {"id": "b", "language": "qaa", "label": "no", "prediction": "no"},
    ]


@pytest.mark.parametrize("scheme", ["path", "uri"])
def test_the_file_can_be_read_by_anyone(scheme: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_predictions(predictions(), str(folder) if scheme == "path" else folder.as_uri())
    assert parquet.read_table(folder / FILE_NAME) == predictions()
