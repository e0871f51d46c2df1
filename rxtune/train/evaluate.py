"""Predictions and scores per language, in one pass over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from rxtune.config.select import Metric
from rxtune.data.mixed_language import MixedPairs
from rxtune.perturb import Perturbation
from rxtune.train.batches import Batch, TokenTable, to_device
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.last_layer import first_position_only
from rxtune.train.scores import count_scores, score
from rxtune.train.sites import clean_input, evaluation_mode, perturbed

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 16384}
"""Most tokens, padding included, in one batch. A CPU gains nothing by more."""

_NOISE_SEED = 0
"""One for all trials, so that they differ by their weights alone."""


def predict(
    model: PreTrainedModel,
    table: pa.Table,
    *,
    pad_id: int,
    tokens_per_batch: int | None = None,
    sigma: float = 0.0,
) -> NDArray[np.int64]:
    """Return the class id of every row (N,).

    The model's training mode and the random state stay as they are; a prediction does not depend
    on the rows beside it, unless there is noise.

    Args:
        model: The classifier.
        table: Tokenised, with `input_ids`, `label` (not looked at) and maybe `token_type_ids`.
        pad_id: Token id of padding.
        tokens_per_batch: Bound of a batch's size (B · T), None: by device; a longer text makes
            its own batch.
        sigma: Standard deviation per coordinate of noise on the word embeddings, the same for
            every model that gets the same rows; 0: none.
    """
    tokens = TokenTable(table, pad_id=pad_id)
    classes = np.empty(len(tokens), dtype=np.int64)
    device = next(model.parameters()).device
    bound = tokens_per_batch or TOKENS_PER_BATCH.get(device.type, TOKENS_PER_BATCH["cuda"])
    noise = torch.Generator(device).manual_seed(_NOISE_SEED) if sigma else None
    with (
        evaluation_mode(model),
        first_position_only(model),
        fast_on_cpu(model, device),
        torch.inference_mode(),
    ):
        parts = []
        for rows in by_length(tokens.lengths, bound):
            batch = to_device(tokens.batch(rows), device)
            del batch["labels"]
            parts.append((rows, _classify(model, batch, sigma, noise)))
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
    return count_scores(found, tables).accuracy


def evaluate_noisy(
    model: PreTrainedModel, table: pa.Table, *, pad_id: int, sigma: float, metric: Metric
) -> float:
    """Return the score in [0, 1] with Gaussian noise on the word embeddings, dropout off.

    Args:
        model: The classifier.
        table: Tokenised, with `label`.
        pad_id: Token id of padding.
        sigma: Standard deviation of the noise per coordinate, in units of the embeddings.
        metric: Accuracy or macro-F1.
    """
    found = predict(model, _only_read(table), pad_id=pad_id, sigma=sigma)
    return score(table.column("label").to_numpy(), found, metric)


def evaluate_mixed(
    model: PreTrainedModel, pairs: MixedPairs, *, pad_id: int, metric: Metric = "accuracy"
) -> dict[str, dict[str, float]]:
    """Return the score in [0, 1] by language of the first sentence, then of the second.

    Args:
        model: The classifier.
        pairs: The same items in all ordered pairs of languages.
        pad_id: Token id of padding.
        metric: Accuracy or macro-F1.

    Source: Huang et al. 2021, arXiv 2104.08645, the generalized cross-lingual setting.
    """
    shape = len(pairs.language_pairs), pairs.items
    labels = pairs.tokens.column("label").to_numpy().reshape(shape)
    found = predict(model, pairs.tokens, pad_id=pad_id).reshape(shape)
    matrix: dict[str, dict[str, float]] = {language: {} for language in pairs.languages}
    for (first, second), right, answers in zip(pairs.language_pairs, labels, found, strict=True):
        matrix[first][second] = score(right, answers, metric)
    return matrix


def _classify(
    model: PreTrainedModel, batch: Batch, sigma: float, noise: torch.Generator | None
) -> torch.Tensor:
    """Return the class ids of a batch (B,), on its device."""
    entered: AbstractContextManager[None] = nullcontext()
    if noise is not None:
        shape = clean_input(model, batch, "word").shape
        delta = Perturbation(sigma=sigma).noise(shape, batch["attention_mask"], noise)
        entered = perturbed(model, delta, "word")
    with entered:
        logits: torch.Tensor = model(**batch).logits
    return logits.argmax(dim=-1)


def _only_read(table: pa.Table) -> pa.Table:
    """Return the columns that a prediction needs: ids of items would be copied for nothing."""
    names = ("input_ids", "token_type_ids", "label")
    return table.select([name for name in names if name in table.column_names])


def by_length(
    lengths: NDArray[np.integer[Any]], tokens_per_batch: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows in batches of similar length, the longest first."""
    longest_first = np.argsort(-lengths.astype(np.int64), kind="stable")
    start = 0
    while start < len(longest_first):
        rows = max(1, tokens_per_batch // int(lengths[longest_first[start]]))
        yield longest_first[start : start + rows]
        start += rows
