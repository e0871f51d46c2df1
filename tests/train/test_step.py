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
from torch.profiler import ProfilerActivity, profile
from transformers import PreTrainedModel

from rxtune.errors import DivergedError
from rxtune.perturb import Perturbation
from rxtune.train import EncoderWeights, TrainSettings, build_model
from rxtune.train.batches import Batch, TokenTable
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.step import add_gradients, robust_step

SMOOTH_ADV = Perturbation(sigma=0.01, radius=0.02, pgd_steps=2)
METHODS: dict[str, dict[str, Any]] = {
    "rs_rp": {"perturbation": Perturbation(sigma=0.01)},
    "adv": {"perturbation": Perturbation(radius=0.02, pgd_steps=2, random_start=True)},
    "smooth_adv": {"perturbation": SMOOTH_ADV, "samples": 2, "clean_weight": 0.5},
    "freelb": {
        "perturbation": Perturbation(radius=0.02, pgd_steps=3, ball="sequence"),
        "objective": "freelb",
    },
    "r3f": {"perturbation": Perturbation(sigma=0.01), "objective": "r3f"},
}
MakeSettings = Callable[..., TrainSettings]
LossWith = Callable[..., float]
Values = dict[str, Any]
methods = pytest.mark.parametrize("values", METHODS.values(), ids=list(METHODS))
sites = pytest.mark.parametrize("site", ["word", "context"])


@pytest.fixture
def batch(make_table: Callable[..., pa.Table]) -> Batch:
    return TokenTable(make_table(8), pad_id=1).batch(np.arange(8))


@pytest.fixture
def loss_with(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> Callable[..., float]:
    """Return a function that does the passes of one step with such settings."""
    return lambda **values: step_loss(model, batch, make_settings(**values))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_loss(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Fine-tuning as one writes it by hand."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return functional.cross_entropy(model(**inputs).logits, batch["labels"])


def step_loss(model: PreTrainedModel, batch: Batch, settings: TrainSettings) -> float:
    return add_gradients(model, batch, settings, noise()).item()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"perturbation": Perturbation()},
        {"perturbation": Perturbation(pgd_steps=3), "samples": 3, "clean_weight": 0.5},
        {"perturbation": Perturbation(pgd_steps=3), "objective": "freelb"},
        {"perturbation": Perturbation(radius=1.0, random_start=True), "objective": "freelb"},
        {"perturbation": Perturbation(), "objective": "r3f", "site": "context"},
    ],
)
def test_radius_zero_and_sigma_zero_is_plain_fine_tuning_bit_for_bit(
    weights: EncoderWeights, batch: Batch, make_settings: MakeSettings, values: dict[str, Any]
) -> None:
    by_hand = build_model(weights, ("a", "b", "c"), seed=0).train()
    optimiser = torch.optim.AdamW(by_hand.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    torch.manual_seed(0)
    for _ in range(10):
        optimiser.zero_grad()
        plain_loss(by_hand, batch).backward()
        torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
        optimiser.step()

    ours = build_model(weights, ("a", "b", "c"), seed=0).train()
    optimiser = torch.optim.AdamW(ours.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    torch.manual_seed(0)
    for _ in range(10):
        robust_step(ours, optimiser, batch, make_settings(**values), noise())
    for name, parameter in by_hand.named_parameters():
        assert torch.equal(ours.get_parameter(name), parameter), name


@sites
@pytest.mark.parametrize("objective", ["weighted", "freelb", "r3f"])
def test_a_vanishing_perturbation_is_plain_fine_tuning_up_to_rounding(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings, objective: str, site: str
) -> None:
    model.train()
    tiny = Perturbation(sigma=1e-8, radius=1e-8, pgd_steps=2)
    torch.manual_seed(0)
    plain = plain_loss(model, batch)
    plain.backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    torch.manual_seed(0)
    settings = make_settings(perturbation=tiny, objective=objective, site=site)
    assert step_loss(model, batch, settings) == pytest.approx(plain.item(), rel=1e-5)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], rtol=1e-3, atol=1e-6)


# --- trap 4: dropout


@sites
@pytest.mark.parametrize("device", ["cpu", "cuda"], ids=["fast", "stock"])
@methods
def test_all_passes_of_a_step_use_the_same_dropout_masks(
    model: PreTrainedModel, loss_with: LossWith, values: Values, device: str, site: str
) -> None:
    model.train()
    masks: list[Tensor] = []
    first = model.bert.embeddings.dropout if site == "word" else model.dropout
    first.register_forward_hook(lambda _module, _inputs, output: masks.append(output == 0))
    with fast_on_cpu(model, torch.device(device)):  # on "cuda" the layers stay as they are
        loss_with(**values, site=site)
        assert masks[0].any()
        assert all(torch.equal(mask, masks[0]) for mask in masks)
        loss_with(**values, site=site)
    assert not torch.equal(masks[-1], masks[0])


@sites
@methods
def test_the_random_state_moves_on_by_one_pass_whatever_the_method(
    model: PreTrainedModel, batch: Batch, loss_with: LossWith, values: Values, site: str
) -> None:
    model.train()
    torch.manual_seed(0)
    plain_loss(model, batch)
    expected = torch.get_rng_state()
    torch.manual_seed(0)
    loss_with(**values, site=site)
    assert torch.equal(torch.get_rng_state(), expected)


@sites
@pytest.mark.parametrize("ball", ["token", "sequence"])
@pytest.mark.parametrize("objective", ["weighted", "freelb"])
def test_ascent_raises_the_loss_of_the_step(
    model: PreTrainedModel,
    batch: Batch,
    make_settings: MakeSettings,
    objective: str,
    ball: Any,
    site: str,
) -> None:
    model.train()
    torch.manual_seed(0)
    plain = plain_loss(model, batch).item()
    torch.manual_seed(0)
    worst = Perturbation(radius=0.01, pgd_steps=2, ball=ball)
    settings = make_settings(perturbation=worst, objective=objective, site=site)
    assert step_loss(model, batch, settings) > plain


def test_the_loss_is_the_weighted_mean_of_clean_and_perturbed(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    model.train()
    torch.manual_seed(0)
    clean = plain_loss(model, batch).item()

    def loss(weight: float) -> float:
        torch.manual_seed(0)
        settings = make_settings(perturbation=SMOOTH_ADV, clean_weight=weight)
        return step_loss(model, batch, settings)

    assert loss(0.75) == pytest.approx(0.75 * clean + 0.25 * loss(0.0), rel=1e-5)


def test_more_samples_average_the_losses_of_their_draws(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    model.eval()
    settings = make_settings(perturbation=Perturbation(sigma=0.5))
    source = noise()
    alone = [add_gradients(model, batch, settings, source).item() for _ in range(3)]
    together = make_settings(perturbation=Perturbation(sigma=0.5), samples=3)
    assert len(set(alone)) == 3
    assert step_loss(model, batch, together) == pytest.approx(np.mean(alone), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "passes"),
    [
        ({}, 1),
        ({"perturbation": Perturbation(sigma=0.01)}, 1),
        ({"perturbation": Perturbation(radius=0.01, pgd_steps=3)}, 4),
        ({"perturbation": SMOOTH_ADV, "clean_weight": 0.5}, 4),
        ({"perturbation": SMOOTH_ADV, "clean_weight": 0.0}, 3),
        ({"perturbation": SMOOTH_ADV, "samples": 2, "clean_weight": 0.5}, 7),
        ({"perturbation": Perturbation(radius=0.01, pgd_steps=3), "objective": "freelb"}, 3),
        ({"perturbation": Perturbation(sigma=0.01), "objective": "r3f"}, 2),
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
    step_loss(model, batch, make_settings(**values))
    assert len(calls) == passes


@methods
def test_at_the_context_site_the_encoder_runs_once_forward_and_once_backward(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings, values: dict[str, Any]
) -> None:
    forward: list[None] = []
    backward: list[None] = []

    def count(_module: Any, _inputs: Any, output: Any) -> None:
        forward.append(None)
        (output[0] if isinstance(output, tuple) else output).register_hook(
            lambda _gradient: backward.append(None)
        )

    model.bert.encoder.layer[0].register_forward_hook(count)
    step_loss(model, batch, make_settings(**values, site="context"))
    assert (len(forward), len(backward)) == (1, 1)


def test_the_inner_passes_leave_no_gradient_on_the_weights(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    seen: list[Tensor] = []
    model.classifier.bias.register_hook(seen.append)
    step_loss(model, batch, make_settings(perturbation=SMOOTH_ADV))
    assert len(seen) == 1


def test_weights_need_a_gradient_in_the_last_pass_alone(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    needed: list[bool] = []
    weights = list(model.parameters())
    model.register_forward_pre_hook(
        lambda *_: needed.append(any(weight.requires_grad for weight in weights))
    )
    weights[-1].requires_grad_(False)
    step_loss(model, batch, make_settings(perturbation=SMOOTH_ADV))
    assert needed == [False, False, True]
    assert [weight.requires_grad for weight in weights] == [True] * (len(weights) - 1) + [False]


def test_a_broken_off_ascent_leaves_the_weights_trainable(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    def stop(*_: Any) -> None:
        raise RuntimeError("stop")

    model.register_forward_pre_hook(stop)
    with pytest.raises(RuntimeError, match="stop"):
        step_loss(model, batch, make_settings(perturbation=SMOOTH_ADV))
    assert all(weight.requires_grad for weight in model.parameters())


def test_given_embeddings_are_not_looked_up_in_vain(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    with profile(activities=[ProfilerActivity.CPU]) as plain:
        plain_loss(model, batch)
    with profile(activities=[ProfilerActivity.CPU]) as robust:
        step_loss(model, batch, make_settings(perturbation=SMOOTH_ADV))

    def lookups(profiled: profile) -> int:
        return sum(e.count for e in profiled.key_averages() if e.key == "aten::embedding")

    # Of three passes each looks up positions and types; words are looked up once.
    assert lookups(robust) == 3 * (lookups(plain) - 1) + 1


def test_delta_is_zero_on_padding_and_fp32_under_bf16(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings
) -> None:
    seen: list[Tensor] = []
    model.bert.embeddings.LayerNorm.register_forward_hook(
        lambda _m, inputs, _o: seen.append(inputs[0])
    )
    settings = make_settings(perturbation=SMOOTH_ADV, precision="bf16")
    step_loss(model, batch, settings)
    plain_loss(model, batch)
    delta = seen[-2] - seen[-1]
    assert delta.dtype == torch.float32
    assert (delta[batch["attention_mask"] == 0] == 0).all()
    assert (delta[batch["attention_mask"] == 1].abs().sum(dim=-1) > 0).all()


@sites
@methods
def test_bf16_gives_about_the_loss_of_fp32(
    model: PreTrainedModel, loss_with: LossWith, values: Values, site: str
) -> None:
    losses = [loss_with(**values, site=site, precision=name) for name in ("fp32", "bf16")]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert all(weight.grad.dtype == torch.float32 for weight in model.parameters())


# --- one update


@sites
@methods
def test_the_parts_of_a_batch_add_up_to_the_whole(
    model: PreTrainedModel, loss_with: LossWith, values: Values, site: str
) -> None:
    model.eval()
    perturbation = values["perturbation"]
    values = {
        **values,
        "site": site,
        # Noise is drawn anew for each part; the ascent of an example does not see the others.
        "perturbation": Perturbation(radius=0.02, pgd_steps=2, ball=perturbation.ball),
    }
    gradients = []
    for parts in (1, 3):
        model.zero_grad()
        loss = loss_with(**values, accumulation=parts)
        gradients.append([torch.tensor(loss), *(w.grad.clone() for w in model.parameters())])
    for whole, added in zip(*gradients, strict=True):
        torch.testing.assert_close(added, whole, rtol=1e-3, atol=1e-6)


@methods
def test_the_gradient_is_clipped_once_over_all_passes(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings, values: dict[str, Any]
) -> None:
    model.eval()
    settings = make_settings(**values, clip_norm=1e-3)
    step_loss(model, batch, settings)
    gradient = torch.cat([weight.grad.flatten() for weight in model.parameters()])
    before = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    robust_step(model, torch.optim.SGD(model.parameters(), lr=1.0), batch, settings, noise())
    moved = before - torch.cat([weight.detach().flatten() for weight in model.parameters()])
    assert gradient.norm() > 1e-3
    torch.testing.assert_close(moved, 1e-3 * gradient / gradient.norm(), rtol=1e-2, atol=1e-7)


# --- trap 7: divergence


@pytest.mark.parametrize("values", [{}, *METHODS.values()], ids=["standard", *METHODS])
def test_a_loss_that_is_not_finite_raises_before_the_optimiser_moves(
    model: PreTrainedModel, batch: Batch, make_settings: MakeSettings, values: dict[str, Any]
) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DivergedError, match="must be finite, but the loss is nan"):
        robust_step(model, optimiser, batch, make_settings(**values), noise())
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
