"""Predictions read back: used where they are whole, named where they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from rxtune.config import Configuration
from rxtune.report import read_answers
from rxtune.report.answers import shared_answers
from rxtune.results import ConfirmedRun, ZeroShot

PLAIN = Configuration()
ROBUST = Configuration(method="rs_rp", sigma=0.5)


def make_run(folder: Path, seed: int, configuration: Any = PLAIN, **columns: Any) -> ConfirmedRun:
    """Write the predictions of a run that is right in one of two and two of two items."""
    table = {
        "id": ["a", "b", "a", "b"],
        "language": ["eng", "eng", "qaa", "qaa"],
        "label": ["yes", "no", "yes", "no"],
        "prediction": ["yes", "yes", "yes", "no"],
    }
    name = f"{configuration.method}-{seed}.parquet"
    parquet.write_table(pa.table({**table, **columns}), folder / name)
    return ConfirmedRun(
        trial=0,
        roles=("best plain",),
        configuration=configuration,
        seed=seed,
        zero_shot=ZeroShot(
            accuracy={"eng": 0.5, "qaa": 1.0}, source_language="eng", dev_languages=()
        ),
        predictions=name,
    )


def test_whole_predictions_are_read(tmp_path: Path) -> None:
    found, problems = read_answers([make_run(tmp_path, 1)], tmp_path)
    assert problems == []
    score, influence = found[PLAIN, 1].mean_and_influence(("eng",), "accuracy")
    assert score == 0.5
    assert influence.tolist() == [0.25, -0.25, 0.0, 0.0]


def test_a_run_without_a_result_needs_no_predictions(tmp_path: Path) -> None:
    run = replace(make_run(tmp_path, 1), zero_shot=None, predictions=None)
    assert read_answers([run], tmp_path) == ({}, [])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, 1)
    (tmp_path / "standard-1.parquet").unlink()
    found, (problem,) = read_answers([run], tmp_path)
    assert found == {}
    assert problem == f"{tmp_path.name}/standard-1.parquet of seed 1 is missing"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, 1)
    path = tmp_path / "standard-1.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    found, (problem,) = read_answers([run], tmp_path)
    assert found == {}
    assert "standard-1.parquet of seed 1 cannot be read (" in problem


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"prediction": ["yes"] * 4}, r"says 50\.00 % in qaa, and the run's result 100\.00 %"),
        ({"language": ["eng"] * 4}, "says 75.00 % in eng"),
        ({"language": ["eng", "eng", "qab", "qab"]}, "holds no answer in qaa"),
    ],
)
def test_predictions_of_another_run_are_not_believed(
    tmp_path: Path, columns: Any, why: str
) -> None:
    found, (problem,) = read_answers([make_run(tmp_path, 1, **columns)], tmp_path)
    assert found == {}
    assert why.replace("\\", "") in problem


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, 1)
    parquet.write_table(pa.table({"id": ["a"]}), tmp_path / "standard-1.parquet")
    _, (problem,) = read_answers([run], tmp_path)
    assert "standard-1.parquet of seed 1 cannot be read" in problem


# --- two sides


def both(tmp_path: Path, **columns: Any) -> Any:
    runs = [make_run(tmp_path, seed) for seed in (1, 2)]
    runs += [make_run(tmp_path, seed, ROBUST, **columns) for seed in (1, 2)]
    return read_answers(runs, tmp_path)[0]


def test_sides_with_all_their_answers_are_compared_item_by_item(tmp_path: Path) -> None:
    found = both(tmp_path)
    sides = shared_answers(found, ROBUST, PLAIN, (1, 2))
    assert sides == ([found[ROBUST, 1], found[ROBUST, 2]], [found[PLAIN, 1], found[PLAIN, 2]])


def test_a_seed_without_answers_leaves_no_comparison_by_items(tmp_path: Path) -> None:
    found = both(tmp_path)
    del found[PLAIN, 2]
    assert shared_answers(found, ROBUST, PLAIN, (1, 2)) is None
    assert shared_answers(found, ROBUST, PLAIN, (1,)) is not None
    assert shared_answers(found, ROBUST, PLAIN, ()) is None


def test_other_items_are_not_compared_one_by_one(tmp_path: Path) -> None:
    found = both(tmp_path, id=["a", "c", "a", "c"])
    assert shared_answers(found, ROBUST, PLAIN, (1, 2)) is None
