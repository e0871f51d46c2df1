"""What `canonical` takes for one model really is one: the same step, written by the same code."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rxtune.config import METHODS, Configuration
from rxtune.config.canonical import canonical
from rxtune.config.configuration import READ_BY
from rxtune.perturb import Scale, Scales
from rxtune.train.batches import Batch, TokenTable
from rxtune.train.settings import TrainSettings, resolve
from rxtune.train.step import add_gradients

PERTURBING = [method for method in METHODS if method not in READ_BY["copies"]]


def drawn(seed: int) -> Configuration:
    """Return a configuration near the corners of a method, without what it does not read."""
    draw = random.Random(seed)
    found = Configuration(
        method=draw.choice(PERTURBING),
        sigma=draw.choice([0.0, 0.3]),
        samples=draw.choice([1, 2]),
        radius=draw.choice([0.0, 0.2, 0.2]),
        pgd_steps=draw.choice([0, 1, 1, 2]),
        norm=draw.choice(["l2", "linf"]),
        ball=draw.choice(["token", "sequence"]),
        step_size=draw.choice([0.5, 1.0, 1.5, 2.5]),
        random_start=draw.choice([True, False]),
        clean_weight=draw.choice([0.0, 0.5]),
        consistency_weight=draw.choice([0.0, 1.0]),
        site=draw.choice(["word", "context"]),
    )
    return Configuration(**found.searched())


def resolved(configuration: Configuration) -> TrainSettings:
    defaults = TrainSettings(learning_rate=1e-3, epochs=1.0, batch_size=8, evaluations=1, seed=0)
    scales = Scales(word=Scale(0.5, 16), context=Scale(4.0, 16))
    return resolve(configuration, defaults, scales)


def step(model: PreTrainedModel, batch: Batch, configuration: Configuration) -> list[Tensor]:
    """Return the loss and the gradients of one update, from the same random states."""
    model.train()
    model.zero_grad()
    torch.manual_seed(3)
    noise = torch.Generator().manual_seed(5)
    loss = add_gradients(model, batch, resolved(configuration), noise)
    gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    return [loss, *gradients]


@pytest.fixture
def batch(make_table: Callable[..., pa.Table]) -> Batch:
    return TokenTable(make_table(6), pad_id=1).batch(np.arange(6))


def test_the_simplest_form_of_a_configuration_takes_the_same_step(
    model: PreTrainedModel, batch: Batch
) -> None:
    corners = [c for seed in range(400) if canonical(c := drawn(seed)) != c]
    assert {c.method for c in corners} == {*PERTURBING} - {"standard"}
    for corner in corners[:40]:
        simple = canonical(corner)
        wanted, found = step(model, batch, simple), step(model, batch, corner)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=str(corner))


def test_the_simplest_form_costs_no_more_and_as_much_where_nothing_is_drawn_in_vain() -> None:
    for seed in range(400):
        corner = drawn(seed)
        cost, least = (
            resolved(c).forward_equivalents_per_example for c in (corner, canonical(corner))
        )
        assert least <= cost
        once = replace(corner, samples=1)
        if corner.method != "r3f":  # without its divergence it is computed all the same
            assert resolved(once).forward_equivalents_per_example == (
                resolved(canonical(once)).forward_equivalents_per_example
            )
