"""Accuracy per language, in one pass over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from rxtune.train.batches import TokenTable, to_device
from rxtune.train.cpu import fast_on_cpu

TOKENS_PER_BATCH = {"cpu": 768, "cuda": 16384}
"""Most tokens, padding included, in one batch: a CPU is fastest where they fit its cache."""


def predict(
    model: PreTrainedModel,
    table: pa.Table,
    *,
    pad_id: int,
    tokens_per_batch: int | None = None,
) -> NDArray[np.int64]:
    """Return the class id of every row (N,).

    The model's training mode and the random state stay as they are; a prediction does not depend
    on the rows beside it.

    Args:
        model: The classifier.
        table: Tokenised, with `input_ids`, `label` (not looked at) and maybe `token_type_ids`.
        pad_id: Token id of padding.
        tokens_per_batch: Bound of a batch's size (B · T), None: by device; a longer text makes
            its own batch.
    """
    tokens = TokenTable(table, pad_id=pad_id)
    classes = np.empty(len(tokens), dtype=np.int64)
    device = next(model.parameters()).device
    bound = tokens_per_batch or TOKENS_PER_BATCH.get(device.type, TOKENS_PER_BATCH["cuda"])
    with _evaluation_mode(model), fast_on_cpu(model, device), torch.inference_mode():
        parts = []
        for rows in _by_length(tokens.lengths, bound):
            batch = to_device(tokens.batch(rows), device)
            del batch["labels"]
            parts.append((rows, model(**batch).logits.argmax(dim=-1)))
        # Read at the end: on a GPU each read would wait for the queue to run empty.
        for rows, found in parts:
            classes[rows] = found.cpu().numpy()
    return classes


def evaluate(
    model: PreTrainedModel,
    tables: Mapping[str, pa.Table],
    *,
    pad_id: int,
    tokens_per_batch: int | None = None,
) -> dict[str, float]:
    """Return the accuracy in [0, 1] by language, all languages in one pass of batches.

    Args:
        model: The classifier.
        tables: Language -> tokenised table.
        pad_id: Token id of padding.
        tokens_per_batch: Bound of a batch's size (B · T), None: by device.
    """
    if not tables:
        return {}
    together = pa.concat_tables(list(tables.values()))
    labels = together.column("label").to_numpy()
    correct = predict(model, together, pad_id=pad_id, tokens_per_batch=tokens_per_batch) == labels
    ends = np.cumsum([table.num_rows for table in tables.values()])
    return {
        language: float(part.mean())
        for language, part in zip(tables, np.split(correct, ends[:-1]), strict=True)
    }


def _by_length(
    lengths: NDArray[np.integer[Any]], tokens_per_batch: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows in batches of similar length, the longest first."""
    longest_first = np.argsort(-lengths.astype(np.int64), kind="stable")
    start = 0
    while start < len(longest_first):
        rows = max(1, tokens_per_batch // int(lengths[longest_first[start]]))
        yield longest_first[start : start + rows]
        start += rows


@contextmanager
def _evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    was_training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(was_training)
