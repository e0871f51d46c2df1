"""Batches cut from Arrow tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch

from rxtune.data.training import PlainData, TrainingData
from rxtune.errors import DataError
from rxtune.train.batches import TokenTable, TrainingBatches, to_device

TABLE = pa.table(
    {
        "input_ids": pa.array([[5, 6, 7], [8], [9, 10]], pa.list_(pa.int32())),
        "token_type_ids": pa.array([[0, 1, 1], [0], [0, 1]], pa.list_(pa.int8())),
        "label": pa.array([2, 0, 1], pa.int64()),
    }
)


def test_a_batch_is_padded_on_the_right_to_its_longest_text() -> None:
    batch = TokenTable(TABLE, pad_id=1).batch(np.array([2, 1]))
    assert batch["input_ids"].tolist() == [[9, 10], [8, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 1], [0, 0]]
    assert batch["labels"].tolist() == [1, 0]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_the_last_text_of_the_table_is_padded_like_any_other() -> None:
    batch = TokenTable(TABLE, pad_id=0).batch(np.array([0, 2]))
    assert batch["input_ids"].tolist() == [[5, 6, 7], [9, 10, 0]]


def test_a_sliced_table_gives_its_own_rows() -> None:
    tokens = TokenTable(TABLE.slice(1, 2), pad_id=0)
    assert len(tokens) == 2
    assert tokens.token_ids.tolist() == [8, 9, 10]
    assert tokens.batch(np.array([0, 1]))["input_ids"].tolist() == [[8, 0], [9, 10]]
    assert tokens.batch(np.array([0, 1]))["token_type_ids"].tolist() == [[0, 0], [0, 1]]


def test_a_slice_beside_a_column_that_was_cut_gives_its_own_rows() -> None:
    ids = TABLE.column("input_ids").slice(0, 2)  # its buffer goes on
    types = pa.array([[0, 1, 1], [0]], pa.list_(pa.int8()))  # and this one ends
    table = pa.table({"input_ids": ids, "token_type_ids": types, "label": [2, 0]})
    batch = TokenTable(table, pad_id=0).batch(np.array([0, 1]))
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 1, 1], [0, 0, 0]]


def test_chunks_are_joined(make_table: Callable[..., pa.Table]) -> None:
    one, two = make_table(5, seed=1), make_table(4, seed=2)
    joined = TokenTable(pa.concat_tables([one, two]), pad_id=1)
    alone = TokenTable(two, pad_id=1)
    for name, tensor in alone.batch(np.arange(4)).items():
        assert torch.equal(joined.batch(np.arange(5, 9))[name], tensor)


def test_tokens_of_one_chunk_are_not_copied() -> None:
    tokens = TokenTable(TABLE, pad_id=0)
    values = TABLE.column("input_ids").chunk(0).values.to_numpy()
    assert np.shares_memory(tokens.token_ids, values)


def test_a_batch_is_not_a_view_of_the_table() -> None:
    tokens = TokenTable(TABLE, pad_id=0)
    tokens.batch(np.array([0]))["labels"][0] = 9
    assert tokens.labels.tolist() == [2, 0, 1]


def test_token_types_are_optional(make_table: Callable[..., pa.Table]) -> None:
    batch = TokenTable(make_table(3, types=False), pad_id=1).batch(np.arange(3))
    assert "token_type_ids" not in batch


def test_on_a_cpu_nothing_is_moved() -> None:
    batch = TokenTable(TABLE, pad_id=0).batch(np.array([0]))
    assert to_device(batch, torch.device("cpu")) is batch


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(DataError, match="column 'label' is missing, it has input_ids"):
        TokenTable(TABLE.select(["input_ids"]), pad_id=0)


@pytest.mark.parametrize("rows", [[], [[5], []]])
def test_texts_without_tokens_are_refused(rows: list[list[int]]) -> None:
    table = pa.table(
        {"input_ids": pa.array(rows, pa.list_(pa.int32())), "label": pa.array([0] * len(rows))}
    )
    with pytest.raises(DataError, match="must hold at least one token per example"):
        TokenTable(table, pad_id=0)


def test_token_types_of_another_length_are_refused() -> None:
    types = pa.array([[0], [0], [0]], pa.list_(pa.int8()))
    with pytest.raises(DataError, match="as many entries per example as input_ids"):
        TokenTable(TABLE.set_column(1, "token_type_ids", types), pad_id=0)


class Changing:
    """Every epoch has other tokens, of other lengths."""

    def __init__(self, make_table: Callable[..., pa.Table]) -> None:
        self.make_table, self.asked, self.examples = make_table, list[int](), 20

    def table(self, epoch: int) -> pa.Table:
        self.asked.append(epoch)
        return self.make_table(20, seed=epoch)


def batches_of(data: TrainingData) -> TrainingBatches:
    return TrainingBatches(data, pad_id=1, batch_size=8, seed=3)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("changes", [False, True])
def test_a_run_can_go_on_at_any_update(changes: bool, make_table: Callable[..., pa.Table]) -> None:
    data = Changing(make_table) if changes else PlainData(make_table(20))
    straight = batches_of(data)
    expected = [straight.batch(update) for update in range(9)]
    for update in (8, 0, 5, 3, 2):
        assert same(batches_of(data).batch(update), expected[update])


def test_an_epoch_holds_its_own_examples_each_once(make_table: Callable[..., pa.Table]) -> None:
    data = Changing(make_table)
    batches = batches_of(data)
    for epoch in (0, 1):
        found = [batches.batch(3 * epoch + place) for place in range(3)]
        lengths = sorted(int(n) for b in found for n in b["attention_mask"].sum(dim=1))
        assert lengths == sorted(map(len, make_table(20, seed=epoch)["input_ids"].to_pylist()))
    assert data.asked == [0, 1]
