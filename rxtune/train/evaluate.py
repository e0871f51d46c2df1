"""Accuracy per language, in one pass over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from rxtune.data.mixed_language import MixedPairs
from rxtune.train.batches import TokenTable, to_device
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.sites import evaluation_mode

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
    with evaluation_mode(model), fast_on_cpu(model, device), torch.inference_mode():
        parts = []
        for rows in _by_length(tokens.lengths, bound):
            batch = to_device(tokens.batch(rows), device)
            del batch["labels"]
            parts.append((rows, model(**batch).logits.argmax(dim=-1)))
        # Read at the end: on a GPU each read would wait for the queue to run empty.
        for rows, found in parts:
            classes[rows] = found.cpu().numpy()
    return classes


def predict_by_language(
    model: PreTrainedModel,
    tables: Mapping[str, pa.Table],
    *,
    pad_id: int,
    tokens_per_batch: int | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Return the class ids of every table's rows (N,), all languages in one pass of batches.

    Args:
        model: The classifier.
        tables: Language -> tokenised table.
        pad_id: Token id of padding.
        tokens_per_batch: Bound of a batch's size (B · T), None: by device.
    """
    if not tables:
        return {}
    read = [_only_read(table) for table in tables.values()]
    found = predict(
        model, pa.concat_tables(read), pad_id=pad_id, tokens_per_batch=tokens_per_batch
    )
    ends = np.cumsum([table.num_rows for table in read])
    return dict(zip(tables, np.split(found, ends[:-1]), strict=True))


def accuracy_by_language(
    predictions: Mapping[str, NDArray[np.int64]], tables: Mapping[str, pa.Table]
) -> dict[str, float]:
    """Return the share of right predictions in [0, 1] by language."""
    return {
        language: float((found == tables[language].column("label").to_numpy()).mean())
        for language, found in predictions.items()
    }


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
    found = predict_by_language(model, tables, pad_id=pad_id, tokens_per_batch=tokens_per_batch)
    return accuracy_by_language(found, tables)


def evaluate_mixed(
    model: PreTrainedModel, pairs: MixedPairs, *, pad_id: int
) -> dict[str, dict[str, float]]:
    """Return the accuracy in [0, 1] by language of the first sentence, then of the second.

    Args:
        model: The classifier.
        pairs: The same items in all ordered pairs of languages.
        pad_id: Token id of padding.

    Source: Huang et al. 2021, arXiv 2104.08645, the generalized cross-lingual setting.
    """
    labels = pairs.tokens.column("label").to_numpy()
    correct = predict(model, pairs.tokens, pad_id=pad_id) == labels
    matrix: dict[str, dict[str, float]] = {language: {} for language in pairs.languages}
    parts = correct.reshape(len(pairs.language_pairs), pairs.items).mean(axis=1)
    for (first, second), accuracy in zip(pairs.language_pairs, parts, strict=True):
        matrix[first][second] = float(accuracy)
    return matrix


def _only_read(table: pa.Table) -> pa.Table:
    """Return the columns that a prediction needs: ids of items would be copied for nothing."""
    names = ("input_ids", "token_type_ids", "label")
    return table.select([name for name in names if name in table.column_names])


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
