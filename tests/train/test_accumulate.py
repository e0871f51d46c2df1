"""Several small passes make the update of a large one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from rxtune.perturb import Perturbation
from rxtune.train import EncoderWeights, TrainSettings, build_model
from rxtune.train.accumulate import micro_batches
from rxtune.train.batches import Batch, TokenTable
from rxtune.train.step import add_gradients, robust_step


@pytest.fixture
def batch(make_table: Callable[..., pa.Table]) -> Batch:
    return TokenTable(make_table(7), pad_id=1).batch(np.arange(7))


def numbered(rows: int) -> Batch:
    return {"labels": torch.arange(rows), "input_ids": torch.arange(rows)[:, None].expand(-1, 3)}


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 20), parts=st.integers(1, 25))
def test_parts_are_the_batch_in_order_and_of_nearly_equal_size(rows: int, parts: int) -> None:
    pieces = list(micro_batches(numbered(rows), parts))
    sizes = [len(piece["labels"]) for piece in pieces]
    assert len(pieces) == min(rows, parts)
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    for name, tensor in numbered(rows).items():
        assert torch.equal(torch.cat([piece[name] for piece in pieces]), tensor)


ADVERSARIAL = Perturbation(radius=0.02, pgd_steps=2)


def gradients(
    model: PreTrainedModel, batch: Batch, settings: TrainSettings
) -> tuple[Tensor, list[Tensor]]:
    model.zero_grad()
    loss = add_gradients(model, batch, settings, torch.Generator().manual_seed(0))
    return loss, [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    "divided", [{"accumulation": n} for n in (2, 3, 7, 50)] + [{"tokens_per_pass": 30}]
)
@pytest.mark.parametrize("perturbation", [None, ADVERSARIAL], ids=["standard", "adv"])
def test_the_gradient_is_that_of_the_whole_batch(
    model: PreTrainedModel,
    batch: Batch,
    make_settings: Callable[..., TrainSettings],
    perturbation: Perturbation | None,
    divided: dict[str, int],
) -> None:
    model.eval()  # dropout would be drawn anew for each part
    one = make_settings(perturbation=perturbation)
    several = make_settings(perturbation=perturbation, **divided)
    assert several.parts_of(*batch["input_ids"].shape) > 1
    whole_loss, whole = gradients(model, batch, one)
    loss, accumulated = gradients(model, batch, several)
    torch.testing.assert_close(loss, whole_loss)
    for ours, expected in zip(accumulated, whole, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-4)


def test_an_update_in_parts_ends_at_the_weights_of_a_whole_one(
    weights: EncoderWeights, batch: Batch, make_settings: Callable[..., TrainSettings]
) -> None:
    ends = []
    for parts in (1, 4):
        model = build_model(weights, ("a", "b", "c"), seed=0)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        settings = make_settings(accumulation=parts)
        robust_step(model.eval(), optimiser, batch, settings, torch.Generator())
        ends.append([parameter.detach() for parameter in model.parameters()])
    for ours, expected in zip(*ends, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)
