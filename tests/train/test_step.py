"""One robust step: its corners, its masks, its refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from rxtune.errors import DivergedError
from rxtune.perturb import Perturbation
from rxtune.train import EncoderWeights, TrainSettings, build_model
from rxtune.train.batches import Batch, TokenTable
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.step import robust_step, step_loss

SMOOTH_ADV = Perturbation(sigma=0.01, radius=0.02, pgd_steps=2)
MakeSettings = Callable[..., TrainSettings]


@pytest.fixture
def batch(make_table: Callable[..., pa.Table]) -> Batch:
    return TokenTable(make_table(8), pad_id=1).batch(np.arange(8))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_loss(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Fine-tuning as one writes it by hand."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return functional.cross_entropy(model(**inputs).logits, batch["labels"])


def test_radius_zero_and_sigma_zero_is_plain_fine_tuning_bit_for_bit(
    weights: EncoderWeights, batch: Batch, make_settings: MakeSettings
) -> None:
    by_hand = build_model(weights, ("a", "b", "c"), seed=0).train()
    optimiser = torch.optim.AdamW(by_hand.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    torch.manual_seed(0)
    for _ in range(10):
        optimiser.zero_grad()
        plain_loss(by_hand, batch).backward()
        torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
        optimiser.step()

    for perturbation in (None, Perturbation(), Perturbation(pgd_steps=3)):
        ours = build_model(weights, ("a", "b", "c"), seed=0).train()
        optimiser = torch.optim.AdamW(ours.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
        torch.manual_seed(0)
        for _ in range(10):
            robust_step(ours, optimiser, batch, make_settings(perturbation=perturbation), noise())
        for name, parameter in by_hand.named_parameters():
            assert torch.equal(ours.get_parameter(name), parameter), name


def test_a_vanishing_perturbation_is_plain_fine_tuning_up_to_rounding(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    model.train()
    tiny = Perturbation(sigma=1e-8, radius=1e-8, pgd_steps=2)
    torch.manual_seed(0)
    plain = plain_loss(model, batch)
    torch.manual_seed(0)
    robust = step_loss(model, batch, make_settings(perturbation=tiny), noise())
    torch.testing.assert_close(robust, plain)


# --- trap 4: dropout


@pytest.mark.parametrize("device", ["cpu", "cuda"], ids=["fast", "stock"])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_all_passes_of_a_step_use_the_same_dropout_masks(
    model: PreTrainedModel,
    batch: Batch,
    make_settings: MakeSettings,
    weight: float,
    device: str,
) -> None:
    model.train()
    masks: list[Tensor] = []
    model.bert.embeddings.dropout.register_forward_hook(
        lambda _module, _inputs, output: masks.append(output == 0)
    )
    settings = make_settings(perturbation=SMOOTH_ADV, perturbed_weight=weight)
    with fast_on_cpu(model, torch.device(device)):  # on "cuda" the layers stay as they are
        step_loss(model, batch, settings, noise())
        assert len(masks) == (3 if weight == 1 else 4)
        assert masks[0].any()
        assert all(torch.equal(mask, masks[0]) for mask in masks)
        step_loss(model, batch, settings, noise())
    assert not torch.equal(masks[-1], masks[0])


@pytest.mark.parametrize("perturbation", [Perturbation(sigma=0.01), SMOOTH_ADV])
def test_the_random_state_moves_on_by_one_pass_whatever_the_method(
    model: PreTrainedModel,
    batch: Batch,
    make_settings: MakeSettings,
    perturbation: Perturbation,
) -> None:
    model.train()
    torch.manual_seed(0)
    plain_loss(model, batch)
    expected = torch.get_rng_state()
    torch.manual_seed(0)
    settings = make_settings(perturbation=perturbation, perturbed_weight=0.5)
    step_loss(model, batch, settings, noise())
    assert torch.equal(torch.get_rng_state(), expected)


def test_ascent_raises_the_loss_of_the_step(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    model.train()
    torch.manual_seed(0)
    plain = plain_loss(model, batch).item()
    torch.manual_seed(0)
    adv = make_settings(perturbation=Perturbation(radius=0.01, pgd_steps=2))
    assert step_loss(model, batch, adv, noise()).item() > plain


def test_the_loss_is_the_weighted_mean_of_clean_and_perturbed(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    model.train()

    def loss(weight: float) -> float:
        torch.manual_seed(0)
        settings = make_settings(perturbation=SMOOTH_ADV, perturbed_weight=weight)
        return step_loss(model, batch, settings, noise()).item()

    assert loss(0.25) == pytest.approx(0.75 * loss(0.0) + 0.25 * loss(1.0), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "passes"),
    [
        ({}, 1),
        ({"perturbation": Perturbation(sigma=0.01)}, 1),
        ({"perturbation": Perturbation(radius=0.01, pgd_steps=3)}, 4),
        ({"perturbation": SMOOTH_ADV, "perturbed_weight": 0.5}, 4),
        ({"perturbation": SMOOTH_ADV, "perturbed_weight": 0.0}, 1),
    ],
)
def test_no_pass_is_done_in_vain(
    model: PreTrainedModel,
    batch: Batch,
    make_settings: MakeSettings,
    values: dict[str, Any],
    passes: int,
) -> None:
    calls: list[None] = []
    model.register_forward_hook(lambda *_: calls.append(None))
    step_loss(model, batch, make_settings(**values), noise())
    assert len(calls) == passes


def test_the_inner_passes_leave_no_gradient_on_the_weights(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    step_loss(model, batch, make_settings(perturbation=SMOOTH_ADV), noise())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_delta_is_zero_on_padding_and_fp32_under_bf16(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    seen: list[Tensor] = []
    model.bert.embeddings.LayerNorm.register_forward_hook(
        lambda _m, inputs, _o: seen.append(inputs[0])
    )
    settings = make_settings(perturbation=SMOOTH_ADV, precision="bf16")
    step_loss(model, batch, settings, noise())
    plain_loss(model, batch)
    delta = seen[-2] - seen[-1]
    assert delta.dtype == torch.float32
    assert (delta[batch["attention_mask"] == 0] == 0).all()
    assert (delta[batch["attention_mask"] == 1].abs().sum(dim=-1) > 0).all()


# --- trap 7: divergence


@pytest.mark.parametrize("perturbation", [None, SMOOTH_ADV])
def test_a_loss_that_is_not_finite_raises_before_the_optimiser_moves(
    model: PreTrainedModel,
    batch: Batch,
    make_settings: MakeSettings,
    perturbation: Perturbation | None,
) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DivergedError, match="must be finite, but the loss is nan"):
        robust_step(model, optimiser, batch, make_settings(perturbation=perturbation), noise())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor.nan_to_num(7.0), before[name].nan_to_num(7.0)), name
    assert not optimiser.state


def test_a_gradient_that_is_not_finite_raises_before_the_optimiser_moves(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    model.classifier.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = model.classifier.weight.clone()
    with pytest.raises(DivergedError, match=r"gradient's norm (nan|inf)"):
        robust_step(model, optimiser, batch, make_settings(), noise())
    assert torch.equal(model.classifier.weight, before)
