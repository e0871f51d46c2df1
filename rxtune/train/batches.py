"""Batches from a tokenised Arrow table: views of its buffers, padded on the right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from rxtune.data.order import batch_order
from rxtune.data.training import TrainingData
from rxtune.errors import DataError

Batch = dict[str, Tensor]
"""`input_ids`, `attention_mask` and, if the table has it, `token_type_ids`, each (B, T) int64;
`labels` (B,) int64. Named as transformers models take them."""


class TokenTable:
    """A tokenised table as numpy views, from which batches are cut.

    The table has the columns `input_ids` (list of int32), `label` (int64) and, where the encoder
    tells the sentences of a pair apart, `token_type_ids` (list of int8).
    """

    def __init__(self, table: pa.Table, *, pad_id: int) -> None:
        """Lay views over the buffers of `table`; nothing is copied if it is one chunk.

        Raises:
            DataError: A column is missing or has no values.
        """
        self._pad_id = pad_id
        self._ids, self._offsets = _flat(table, "input_ids")
        self._types: NDArray[Any] | None = None
        if "token_type_ids" in table.column_names:
            self._types, type_offsets = _flat(table, "token_type_ids")
            _require_same_lengths(self._offsets, type_offsets)
            # A sliced table may start at different places of the two buffers.
            self._types_shift = int(type_offsets[0]) - int(self._offsets[0])
        self.labels: NDArray[np.int64] = _column(table, "label").to_numpy(zero_copy_only=False)
        self.lengths: NDArray[np.integer[Any]] = np.diff(self._offsets)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.labels)

    @property
    def token_ids(self) -> NDArray[np.integer[Any]]:
        """All token ids of the table, flat (N,)."""
        return self._ids[self._offsets[0] : self._offsets[-1]]

    def batch(self, examples: NDArray[np.integer[Any]]) -> Batch:
        """Return some examples, padded on the right to the longest of them."""
        lengths = self.lengths[examples]
        positions = np.arange(lengths.max(initial=1))
        inside = positions < lengths[:, None]
        # Positions past an example's end read the next one's tokens, and past the table's end
        # its last token; both are overwritten with padding.
        last = int(self._offsets[-1]) - 1
        where = np.minimum(self._offsets[examples][:, None] + positions, last)
        batch = {
            "input_ids": torch.from_numpy(
                np.where(inside, self._ids[where], self._pad_id).astype(np.int64)
            ),
            "attention_mask": torch.from_numpy(inside.astype(np.int64)),
            "labels": torch.from_numpy(self.labels[examples]),
        }
        if self._types is not None:
            types = np.where(inside, self._types[where + self._types_shift], 0)
            batch["token_type_ids"] = torch.from_numpy(types.astype(np.int64))
        return batch


class TrainingBatches:
    """The batches of a whole run by number of update, so that a run can go on anywhere."""

    def __init__(self, data: TrainingData, *, pad_id: int, batch_size: int, seed: int) -> None:
        """Keep what the batches depend on; an epoch is laid out when its first one is asked."""
        self._data, self._pad_id = data, pad_id
        self._batch_size, self._seed = batch_size, seed
        self._epoch = -1
        self._tokens: TokenTable | None = None
        self._order: list[NDArray[np.int64]] = []

    def batch(self, update: int) -> Batch:
        """Return the batch of the update with this number, counted from 0."""
        epoch, place = divmod(update, math.ceil(self._data.examples / self._batch_size))
        tokens = self._tokens
        if tokens is None or epoch != self._epoch:
            # The old epoch goes first: two of them may be more than fits.
            tokens = self._tokens = None
            tokens = TokenTable(self._data.table(epoch), pad_id=self._pad_id)
            # Lengths differ where words do, so every epoch has an order of its own.
            self._order = batch_order(
                tokens.lengths, batch_size=self._batch_size, seed=self._seed, epoch=epoch
            )
            self._tokens, self._epoch = tokens, epoch
        return tokens.batch(self._order[place])


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on a device; copies to a GPU do not wait for each other."""
    if device.type == "cpu":
        return batch
    return {
        name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in batch.items()
    }


def _column(table: pa.Table, name: str) -> pa.Array:
    """Return a column as one array, without a copy if it is one chunk."""
    if name not in table.column_names:
        raise DataError(
            f"tokenised table: column {name!r} is missing, it has "
            f"{', '.join(table.column_names) or 'no columns'}; tokenise the split again"
        )
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _flat(table: pa.Table, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return values and offsets (N + 1,) of a column of lists."""
    column = _column(table, name)
    values, offsets = column.values.to_numpy(), column.offsets.to_numpy()
    if len(column) == 0 or (np.diff(offsets) == 0).any():
        raise DataError(
            f"tokenised table: column {name!r} must hold at least one token per example, but "
            f"has {'no rows' if len(column) == 0 else 'empty rows'}; check the split's text"
        )
    return values, offsets


def _require_same_lengths(offsets: NDArray[Any], type_offsets: NDArray[Any]) -> None:
    if not np.array_equal(offsets - offsets[0], type_offsets - type_offsets[0]):
        raise DataError(
            "tokenised table: token_type_ids must have as many entries per example as "
            "input_ids; tokenise the split again"
        )
