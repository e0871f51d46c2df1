"""How long an update and a prediction take on this machine, from a few of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from rxtune.data.order import batch_order
from rxtune.train.batches import TokenTable, to_device
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.encoder import enable_gradient_checkpointing
from rxtune.train.evaluate import predict
from rxtune.train.last_layer import first_position_only
from rxtune.train.memory import telling_out_of_memory
from rxtune.train.settings import TrainSettings
from rxtune.train.step import robust_step

WARM_UP = 3
TIMED = 5
PATIENCE = 20.0
"""Seconds after which fewer steps must do."""

_SAMPLE = 256
"""Rows that are predicted."""


def time_step(
    model: PreTrainedModel,
    train: pa.Table,
    settings: TrainSettings,
    *,
    pad_id: int,
    device: torch.device | str,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the seconds of an update: the median over batches of middling length.

    The longest batch is tried first, so that memory which does not suffice shows. The weights stay
    as they are: the learning rate is 0.

    Args:
        model: The classifier; moved to `device`.
        train: Tokenised training data.
        settings: How to train.
        pad_id: Token id of padding.
        device: Where to train.
        clock: Tells seconds.

    Raises:
        TrialOutOfMemoryError: A batch does not fit the memory.
    """
    place = torch.device(device)
    nn.Module.to(model, place).train()
    if settings.gradient_checkpointing:
        enable_gradient_checkpointing(model)
    tokens = TokenTable(train, pad_id=pad_id)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)
    noise = torch.Generator(place).manual_seed(settings.seed)

    def seconds_of(rows: NDArray[np.int64]) -> float:
        began = clock()
        # It ends by reading the loss, so a GPU has done its work by then.
        robust_step(model, optimiser, to_device(tokens.batch(rows), place), settings, noise)
        return clock() - began

    def run() -> float:
        longest, typical = _batches(tokens, settings)
        with first_position_only(model, settings.site), fast_on_cpu(model, place):
            _until(PATIENCE / 2, seconds_of, [longest] * WARM_UP)
            return median(_until(PATIENCE / 2, seconds_of, typical))

    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        return telling_out_of_memory(run, settings, place)


def time_prediction(
    model: PreTrainedModel,
    table: pa.Table,
    *,
    pad_id: int,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the seconds that a row of a tokenised table takes to predict."""
    rows = np.unique(np.linspace(0, table.num_rows - 1, min(_SAMPLE, table.num_rows)).astype(int))
    sample = table.take(rows)
    predict(model, sample.slice(0, _SAMPLE // 8), pad_id=pad_id)
    began = clock()
    predict(model, sample, pad_id=pad_id)
    return (clock() - began) / int(sample.num_rows)


def _batches(
    tokens: TokenTable, settings: TrainSettings
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Return the longest batch of an epoch, and some of middling length, the middle one first."""
    found = batch_order(
        tokens.lengths, batch_size=settings.batch_size, seed=settings.seed, epoch=0
    )
    found.sort(key=lambda rows: int(tokens.lengths[rows].max()))
    places = sorted(range(len(found)), key=lambda place: abs(place - len(found) // 2))
    return found[-1], [found[place] for place in places[:TIMED]]


def _until(
    patience: float,
    seconds_of: Callable[[NDArray[np.int64]], float],
    batches: list[NDArray[np.int64]],
) -> list[float]:
    """Return the seconds of the batches, of fewer where they exceed `patience` together."""
    seconds: list[float] = []
    for rows in batches:
        seconds.append(seconds_of(rows))
        if sum(seconds) > patience:
            break
    return seconds
