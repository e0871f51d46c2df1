"""What a model is trained on: the same for the same seed and epoch, and never more of it."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pyarrow as pa
import pytest

from rxtune.data import tokenise
from rxtune.data.substitution import SubstitutionTable
from rxtune.data.training import Parcel, PlainData, SubstitutedData, TrainingText
from rxtune.testbed.tokenizer import build_tokenizer

TEXTS = pa.table(
    {
        "id": [str(number) for number in range(30)],
        "text": ["the old king praised the big dog"] * 30,
        "label": pa.array([number % 3 for number in range(30)], pa.int64()),
    }
)
TABLE = SubstitutionTable({"king": ["queen"], "big": ["small", "old"], "dog": ["cat"]})


@pytest.fixture(scope="module")
def fresh() -> SubstitutedData:
    text = TrainingText.of(TEXTS, "texts", build_tokenizer(), 16)
    return SubstitutedData(text=text, neighbours=Parcel.of(TABLE), probability=0.7, seed=3)


def rows(table: pa.Table) -> list[object]:
    return table["input_ids"].to_pylist()


def test_plain_data_is_the_same_table_in_every_epoch() -> None:
    data = PlainData(TEXTS)
    assert data.examples == 30
    assert data.table(0) is data.table(7) is TEXTS


def test_every_epoch_draws_anew_and_has_as_many_examples(fresh: SubstitutedData) -> None:
    first, second = fresh.table(0), fresh.table(1)
    assert rows(first) != rows(second)
    assert first.num_rows == second.num_rows == fresh.examples == 30
    assert first["label"] == TEXTS["label"]
    assert {first[name].num_chunks for name in first.column_names} == {1}


def test_a_draw_depends_on_seed_and_epoch_alone(fresh: SubstitutedData) -> None:
    first = rows(fresh.table(0))
    fresh.table(1)
    assert rows(fresh.table(0)) == first
    assert rows(replace(fresh, seed=4).table(0)) != first
    assert rows(replace(fresh, probability=0.2).table(0)) != first


def test_with_probability_0_tokens_are_the_plain_ones(fresh: SubstitutedData) -> None:
    expected = tokenise(TEXTS, build_tokenizer(), 16)
    assert replace(fresh, probability=0.0).table(2) == expected


def test_static_copies_stand_beside_the_original_and_stay(fresh: SubstitutedData) -> None:
    static = replace(fresh, copies=2)
    table = static.table(0)
    assert table.num_rows == static.examples == 90
    assert static.table(5) is table
    original, first, second = (rows(table.slice(at, 30)) for at in (0, 30, 60))
    assert original == rows(tokenise(TEXTS, build_tokenizer(), 16))
    assert first != second
    assert table["label"].to_pylist() == 3 * TEXTS["label"].to_pylist()


def test_a_parcel_travels_as_bytes_and_is_unpacked_once() -> None:
    parcel = Parcel.of({"a": [1]})
    arrived = pickle.loads(pickle.dumps(parcel))
    assert arrived.open() == {"a": [1]}
    assert arrived.open() is parcel.open()


def test_a_worker_gets_the_same_data(fresh: SubstitutedData) -> None:
    arrived = pickle.loads(pickle.dumps(fresh))
    assert rows(arrived.table(1)) == rows(fresh.table(1))
