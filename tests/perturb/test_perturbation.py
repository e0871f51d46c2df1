"""Noise and projected ascent, on losses whose optimum is known."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rxtune.config.configuration import Ball, Norm
from rxtune.errors import StudyError
from rxtune.perturb import Perturbation
from rxtune.perturb.norms import ball_radius, size

EMBEDDINGS = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
Kind = tuple[Norm, Ball]
KINDS: list[Kind] = [("l2", "token"), ("l2", "sequence"), ("linf", "token")]
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
SLOPE = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(2))


def linear(embeddings: Tensor) -> Tensor:
    return (embeddings * SLOPE).sum(dim=(1, 2))


def bowl(embeddings: Tensor) -> Tensor:
    return (embeddings * SLOPE).tanh().square().sum(dim=(1, 2))


def never(embeddings: Tensor) -> Tensor:
    raise AssertionError("the loss must not be asked")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def worst(kind: Kind, radius: float) -> Tensor:
    """The closed-form optimum of a linear loss: ε g / ‖g‖, or ε sign g."""
    slope = SLOPE * MASK[..., None]
    if kind[0] == "linf":
        return radius * slope.sign()
    return ball_radius(radius, MASK, kind[1]) * slope / size(slope, *kind).clamp_min(1e-30)


def perturbation(kind: Kind, **values: Any) -> Perturbation:
    return Perturbation(norm=kind[0], ball=kind[1], **values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_linear_loss_has_its_closed_form_answer(kind: Kind, steps: int) -> None:
    perturb = perturbation(kind, radius=0.3, pgd_steps=steps)
    torch.testing.assert_close(perturb(linear, EMBEDDINGS, MASK, generator()), worst(kind, 0.3))


def test_from_a_random_start_ascent_reaches_the_same_corner_of_the_cube() -> None:
    perturb = Perturbation(radius=0.3, pgd_steps=2, norm="linf", random_start=True)
    torch.testing.assert_close(
        perturb(linear, EMBEDDINGS, MASK, generator()), worst(("linf", "token"), 0.3)
    )


def test_without_a_step_a_random_start_is_the_whole_perturbation() -> None:
    perturb = Perturbation(radius=0.3, random_start=True)
    delta = perturb(never, EMBEDDINGS, MASK, generator())
    assert torch.equal(delta, perturb.start(EMBEDDINGS.shape, MASK, generator()))
    assert (delta[MASK == 1] != 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_random_start_a_step_across_the_ball_reaches_its_worst_side(kind: Kind) -> None:
    perturb = perturbation(kind, radius=0.3, pgd_steps=1, step_size=2e4, random_start=True)
    delta = perturb(linear, EMBEDDINGS, MASK, generator())
    torch.testing.assert_close(delta, worst(kind, 0.3), atol=1e-4, rtol=0)


def test_the_steps_of_ascent_written_out_are_the_perturbation() -> None:
    perturb = Perturbation(sigma=0.1, radius=0.3, pgd_steps=2, ball="sequence", random_start=True)
    source = generator()
    noise = perturb.noise(EMBEDDINGS.shape, MASK, source)
    delta = perturb.start(EMBEDDINGS.shape, MASK, source)
    for _ in range(2):
        point = (EMBEDDINGS + noise + delta).requires_grad_(True)
        (gradient,) = torch.autograd.grad(bowl(point).sum(), [point])
        delta = perturb.climb(delta, gradient, MASK)
    assert torch.equal(perturb(bowl, EMBEDDINGS, MASK, generator()), noise + delta)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_from_the_centre_is_the_fast_gradient_method(kind: Kind) -> None:
    perturb = perturbation(kind, radius=0.3, pgd_steps=1, step_size=1.0)
    point = EMBEDDINGS.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(bowl(point).sum(), [point])
    gradient = gradient * MASK[..., None]
    length = ball_radius(0.3, MASK, kind[1])
    expected = gradient.sign() if kind[0] == "linf" else gradient / (size(gradient, *kind) + 1e-12)
    torch.testing.assert_close(
        perturb(bowl, EMBEDDINGS, MASK, generator()), length * expected * MASK[..., None]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_ascent_raises_the_loss_of_every_example(kind: Kind, sigma: float) -> None:
    noise = Perturbation(sigma=sigma)(never, EMBEDDINGS, MASK, generator())
    perturb = perturbation(kind, sigma=sigma, radius=0.05, pgd_steps=3)
    delta = perturb(bowl, EMBEDDINGS, MASK, generator())
    assert (bowl(EMBEDDINGS + delta) > bowl(EMBEDDINGS + noise)).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 2), st.floats(0, 2), st.integers(0, 3), st.sampled_from(KINDS), st.booleans())
def test_delta_is_zero_on_padding_and_ascent_stays_in_the_ball(
    sigma: float, radius: float, steps: int, kind: Kind, random_start: bool
) -> None:
    perturb = perturbation(
        kind, sigma=sigma, radius=radius, pgd_steps=steps, random_start=random_start
    )
    delta = perturb(bowl, EMBEDDINGS, MASK, generator())
    assert (delta[MASK == 0] == 0).all()
    noise = Perturbation(sigma=sigma)(never, EMBEDDINGS, MASK, generator())
    bound = torch.as_tensor(ball_radius(radius, MASK, kind[1]))
    assert (size(delta - noise, *kind) <= bound * (1 + 1e-4) + 1e-5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_takes_no_part_in_norms(kind: Kind) -> None:
    perturb = perturbation(kind, radius=0.3, pgd_steps=2)
    short = perturb(
        lambda e: (e * SLOPE[1:2, :3]).sum(dim=(1, 2)),
        EMBEDDINGS[1:2, :3],
        MASK[1:2, :3],
        generator(),
    )
    padded = perturb(linear, EMBEDDINGS, MASK, generator())
    torch.testing.assert_close(padded[1:2, :3], short)


@pytest.mark.parametrize("kind", KINDS)
def test_the_inner_loss_is_a_sum_so_that_a_direction_does_not_depend_on_its_batch(
    kind: Kind,
) -> None:
    perturb = perturbation(kind, radius=0.3, pgd_steps=2)
    seen: list[Tensor] = []

    def loss_of(embeddings: Tensor) -> Tensor:
        embeddings.register_hook(seen.append)
        return linear(embeddings)

    perturb(loss_of, EMBEDDINGS, MASK, generator())
    assert all(torch.equal(gradient, SLOPE) for gradient in seen)  # not divided by B


@pytest.mark.parametrize("kind", KINDS)
def test_zero_gradient_leaves_delta_where_it_is(kind: Kind) -> None:
    perturb = perturbation(kind, radius=0.3, pgd_steps=3)
    delta = perturb(lambda e: (e * 0).sum(dim=(1, 2)), EMBEDDINGS, MASK, generator())
    assert torch.equal(delta, torch.zeros_like(delta))


def test_the_inner_passes_compute_no_weight_gradients() -> None:
    weight = SLOPE.clone().requires_grad_(True)
    perturb = Perturbation(sigma=0.1, radius=0.3, pgd_steps=3)
    delta = perturb(lambda e: (e * weight).sum(dim=(1, 2)), EMBEDDINGS, MASK, generator())
    assert weight.grad is None
    assert not delta.requires_grad


def test_delta_is_fp32_even_of_bf16_embeddings() -> None:
    perturb = Perturbation(sigma=0.1, radius=0.3, pgd_steps=1)
    asked: list[torch.dtype] = []

    def loss_of(embeddings: Tensor) -> Tensor:
        asked.append(embeddings.dtype)
        return linear(embeddings.float())

    delta = perturb(loss_of, EMBEDDINGS.bfloat16(), MASK, generator())
    assert delta.dtype == torch.float32
    assert asked == [torch.bfloat16]


def test_noise_comes_from_its_own_generator_alone() -> None:
    perturb = Perturbation(sigma=0.1, radius=0.1, pgd_steps=1, random_start=True)
    before = torch.get_rng_state()
    first = perturb(linear, EMBEDDINGS, MASK, generator(7))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(perturb(linear, EMBEDDINGS, MASK, generator(7)), first)
    assert not torch.equal(perturb(linear, EMBEDDINGS, MASK, generator(8)), first)


def test_noise_has_the_standard_deviation_sigma() -> None:
    mask = torch.ones(50, 20)
    noise = Perturbation(sigma=0.3)(never, torch.zeros(50, 20, 32), mask, generator())
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.mean().item() == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("given_values", "identity", "adversarial"),
    [
        ({}, True, False),
        ({"pgd_steps": 3}, True, False),
        ({"radius": 0.1}, True, False),
        ({"radius": 0.1, "random_start": True}, False, False),
        ({"sigma": 0.1}, False, False),
        ({"radius": 0.1, "pgd_steps": 1}, False, True),
    ],
)
def test_the_corners_know_what_they_are(
    given_values: dict[str, Any], identity: bool, adversarial: bool
) -> None:
    perturb = Perturbation(**given_values)
    assert (perturb.is_identity, perturb.is_adversarial) == (identity, adversarial)


def test_the_identity_gives_zero_and_asks_no_loss() -> None:
    delta = Perturbation()(never, EMBEDDINGS, MASK, generator())
    assert torch.equal(delta, torch.zeros_like(EMBEDDINGS))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sigma": -0.1}, "sigma must be a finite number >= 0, but is -0.1"),
        ({"radius": float("nan")}, "radius must be a finite number >= 0, but is nan"),
        ({"pgd_steps": -1}, "pgd_steps must be a finite number >= 0, but is -1"),
        ({"norm": "l1"}, "norm must be one of l2, linf, but is 'l1'"),
        ({"ball": "word"}, "ball must be one of token, sequence, but is 'word'"),
        (
            {"norm": "linf", "ball": "sequence"},
            "linf bounds every coordinate, so ball must be token, but is sequence; give norm l2",
        ),
    ],
)
def test_what_is_no_perturbation_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Perturbation(**values)


def test_no_point_of_ascent_outlives_its_pass() -> None:
    points: list[weakref.ref[Tensor]] = []

    def loss(point: Tensor) -> Tensor:
        assert all(earlier() is None for earlier in points)
        points.append(weakref.ref(point))
        return bowl(point)

    Perturbation(radius=0.3, pgd_steps=3)(loss, EMBEDDINGS, MASK, generator())
    assert len(points) == 3
