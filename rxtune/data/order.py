"""The order of training examples: seeded, shuffled, and grouped by length against padding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

POOL = 50
"""Batches that are sorted by length together: larger means less padding and less mixing."""


def batch_order(
    lengths: NDArray[np.integer[Any]], *, batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the batches of one epoch, each an array of example numbers.

    Every example occurs once. Examples are shuffled, sorted by length within pools of 50 batches
    (a stable sort, so that equal lengths stay shuffled) and cut; then the batches are shuffled.
    The result depends on the arguments alone.

    Args:
        lengths: Tokens of every example (N,).
        batch_size: Examples per batch; the last batch cut may be smaller.
        seed: Seed of the run.
        epoch: Number of the epoch, from 0.

    Returns:
        ceil(N / batch_size) arrays of example numbers.
    """
    generator = np.random.default_rng((seed, epoch))
    shuffled = generator.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(shuffled), POOL * batch_size):
        pool = shuffled[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches.extend(pool[cut : cut + batch_size] for cut in range(0, len(pool), batch_size))
    return [batches[number] for number in generator.permutation(len(batches))]


def count_updates(examples: int, *, batch_size: int, epochs: float) -> int:
    """Return the number of optimiser updates in a number of epochs, at least 1.

    Example:
        >>> count_updates(100, batch_size=32, epochs=1.5)
        6
    """
    return max(1, round(math.ceil(examples / batch_size) * epochs))
