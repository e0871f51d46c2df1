"""How long a trial trains where all trials are to cost the same: `stopping.unit: compute`."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rxtune.data.order import batch_order, count_updates


def updates_at_cost_of_plain(
    *,
    plain_examples: int,
    plain_batch_size: int,
    epochs: float,
    examples: int,
    batch_size: int,
    cost: float,
    evaluations: int,
    seed: int,
) -> int:
    """Return the number of updates with which a run costs what plain fine-tuning costs.

    It is the nearest one, so the costs differ by half an update at most; yet there is an update
    for every evaluation.

    Args:
        plain_examples: Rows of the training data.
        plain_batch_size: Examples per update of plain fine-tuning.
        epochs: Of plain fine-tuning.
        examples: Rows of an epoch of the run: more than `plain_examples` with static copies.
        batch_size: Examples per update of the run.
        cost: Of an example of the run in examples of plain fine-tuning.
        evaluations: Of the run.
        seed: Of both: it says where in an epoch the smaller batch is.
    """
    plain = count_updates(plain_examples, batch_size=plain_batch_size, epochs=epochs)
    afforded = _examples_in(plain, plain_examples, plain_batch_size, seed) / cost
    whole = int(afforded // examples)
    within = np.cumsum([0, *_batch_sizes(examples, batch_size, seed, whole)])
    nearest = int(np.abs(within + whole * examples - afforded).argmin())
    return max(whole * math.ceil(examples / batch_size) + nearest, evaluations, 1)


def _examples_in(updates: int, examples: int, batch_size: int, seed: int) -> int:
    """Return how many examples a number of updates reads."""
    whole, rest = divmod(updates, math.ceil(examples / batch_size))
    within = _batch_sizes(examples, batch_size, seed, whole)[:rest] if rest else ()
    return whole * examples + int(sum(within))


@lru_cache(maxsize=64)  # the trials of a search ask for few epochs, and large ones take 0.1 s
def _batch_sizes(examples: int, batch_size: int, seed: int, epoch: int) -> tuple[int, ...]:
    """Return the sizes of an epoch's batches, which do not depend on the examples' lengths."""
    lengths: NDArray[np.int64] = np.zeros(examples, np.int64)
    order = batch_order(lengths, batch_size=batch_size, seed=seed, epoch=epoch)
    return tuple(len(batch) for batch in order)
