"""Gradient accumulation: one update from several smaller passes."""

from __future__ import annotations

from collections.abc import Iterator

from rxtune.train.batches import Batch


def micro_batches(batch: Batch, parts: int) -> Iterator[Batch]:
    """Yield a batch's examples in parts of nearly equal size, in order, none of them empty.

    The parts stay padded to the longest text of the whole batch: finding out the longest of each
    would make a GPU wait.

    Args:
        batch: Each tensor's first dimension is the example.
        parts: Number of parts; a batch of fewer examples gives one part per example.
    """
    parts = min(parts, len(batch["labels"]))
    columns = {name: tensor.tensor_split(parts) for name, tensor in batch.items()}
    for number in range(parts):
        yield {name: pieces[number] for name, pieces in columns.items()}
