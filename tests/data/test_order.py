"""The order of training examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxtune.data.order import batch_order, count_updates

LENGTHS = np.random.default_rng(0).integers(5, 40, 1000)


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 40), st.integers(0, 2**31), st.integers(0, 5))
def test_every_example_occurs_once_per_epoch(
    examples: int, batch_size: int, seed: int, epoch: int
) -> None:
    lengths = np.random.default_rng(seed).integers(1, 9, examples)
    batches = batch_order(lengths, batch_size=batch_size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches)) == list(range(examples))
    assert len(batches) == math.ceil(examples / batch_size)
    assert max(map(len, batches)) <= batch_size


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [
            int(n) for b in batch_order(LENGTHS, batch_size=8, seed=seed, epoch=epoch) for n in b
        ]

    np.random.seed(1)
    first = order(0, 0)
    np.random.seed(2)
    assert order(0, 0) == first
    assert order(0, 1) != first
    assert order(1, 0) != first


def test_batches_hold_texts_of_similar_length() -> None:
    batches = batch_order(LENGTHS, batch_size=16, seed=0, epoch=0)
    padded = sum(int(LENGTHS[batch].max()) * len(batch) for batch in batches)
    assert padded < 1.1 * LENGTHS.sum()


@pytest.mark.parametrize(
    ("rows", "mean", "deviation", "most"),
    [(6000, 13.0, 2.5, 0.02), (701, 34.0, 10.6, 0.06), (20_000, 46.0, 17.8, 0.03)],
    ids=["as Babel", "as SIB-200", "as XNLI"],
)
def test_little_of_an_epoch_is_padding(
    rows: int, mean: float, deviation: float, most: float
) -> None:
    variance = math.log(1 + (deviation / mean) ** 2)
    draw = np.random.default_rng(0)
    lengths = draw.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), rows)
    lengths = np.clip(lengths.round(), 3, 128).astype(int)
    batches = batch_order(lengths, batch_size=32, seed=0, epoch=0)
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    assert 1 - lengths.sum() / padded < most


def test_batches_do_not_come_in_the_order_of_their_length() -> None:
    means = [
        LENGTHS[batch].mean() for batch in batch_order(LENGTHS, batch_size=16, seed=0, epoch=0)
    ]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.4


def test_texts_of_one_length_are_mixed_anew_every_epoch() -> None:
    same = np.full(64, 7)
    first, second = (
        {frozenset(map(int, b)) for b in batch_order(same, batch_size=8, seed=0, epoch=epoch)}
        for epoch in (0, 1)
    )
    assert not first & second


@pytest.mark.parametrize(
    ("examples", "batch_size", "epochs", "updates"),
    [(100, 32, 1, 4), (100, 32, 1.5, 6), (96, 32, 2, 6), (5, 32, 0.01, 1), (6000, 32, 2, 376)],
)
def test_the_number_of_updates_is_fixed_before_training(
    examples: int, batch_size: int, epochs: float, updates: int
) -> None:
    assert count_updates(examples, batch_size=batch_size, epochs=epochs) == updates
