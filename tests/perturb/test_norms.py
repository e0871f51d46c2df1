"""Projection onto balls, and the direction of ascent."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rxtune.config.configuration import Ball, Norm
from rxtune.perturb.norms import ascent_direction, ball_radius, project, random_point, size

KINDS: list[tuple[Norm, Ball]] = [("l2", "token"), ("l2", "sequence"), ("linf", "token")]
kinds = st.sampled_from(KINDS)
radii = st.floats(1e-4, 1e3)
scales = st.floats(1e-6, 1e6)


@st.composite
def points(draw: st.DrawFn) -> Tensor:
    """A (B, T, H) tensor, some of its tokens zero."""
    batch, tokens, width = (draw(st.integers(1, 4)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    point = torch.randn(batch, tokens, width, generator=generator) * draw(scales)
    return point * (torch.rand(batch, tokens, 1, generator=generator) < 0.8)


@given(points(), radii, kinds)
def test_projection_never_leaves_the_ball(
    delta: Tensor, radius: float, kind: tuple[Norm, Ball]
) -> None:
    assert (size(project(delta, radius, *kind), *kind) <= radius * (1 + 1e-5)).all()


@given(points(), radii, kinds)
def test_projection_keeps_what_is_inside(
    delta: Tensor, radius: float, kind: tuple[Norm, Ball]
) -> None:
    inside = project(delta, radius, *kind) * 0.5
    assert torch.equal(project(inside, radius, *kind), inside)


@given(points(), radii, kinds)
def test_projecting_twice_is_projecting_once(
    delta: Tensor, radius: float, kind: tuple[Norm, Ball]
) -> None:
    once = project(delta, radius, *kind)
    torch.testing.assert_close(project(once, radius, *kind), once)


@given(points(), radii, kinds, st.integers(0, 2**31))
def test_no_point_of_the_ball_is_nearer_than_the_projection(
    delta: Tensor, radius: float, kind: tuple[Norm, Ball], seed: int
) -> None:
    other = project(
        torch.randn(delta.shape, generator=torch.Generator().manual_seed(seed)) * radius,
        radius,
        *kind,
    )
    nearest = (delta - project(delta, radius, *kind)).double().norm()
    assert nearest <= (delta - other).double().norm() * (1 + 1e-5) + 1e-6 * radius


@given(points(), kinds)
def test_the_ascent_direction_has_length_one_or_zero(
    gradient: Tensor, kind: tuple[Norm, Ball]
) -> None:
    lengths = size(ascent_direction(gradient, *kind), *kind)
    zero = size(gradient, *kind) == 0
    torch.testing.assert_close(lengths, torch.where(zero, 0.0, 1.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_gradient_gives_a_zero_direction(kind: tuple[Norm, Ball]) -> None:
    assert torch.equal(ascent_direction(torch.zeros(2, 3, 4), *kind), torch.zeros(2, 3, 4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_gradient_that_is_not_finite_gives_a_finite_direction(
    kind: tuple[Norm, Ball], value: float
) -> None:
    gradient = torch.ones(1, 2, 3)
    gradient[0, 0, 0] = value
    direction = ascent_direction(gradient, *kind)
    assert direction.isfinite().all()
    assert direction[0, 0, 0] == 0


def test_the_sequence_ball_grows_with_the_root_of_the_length() -> None:
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])
    radius = ball_radius(0.5, mask, "sequence")
    assert isinstance(radius, Tensor)
    assert radius.flatten().tolist() == [1.0, 0.5]
    far = torch.full((2, 4, 3), 9.0) * mask[..., None]
    lengths = project(far, radius, "l2", "sequence").flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([1.0, 0.5]))


def test_a_sequence_of_padding_alone_has_a_ball_of_one_point() -> None:
    radius = ball_radius(0.5, torch.zeros(1, 4), "sequence")
    assert torch.equal(
        project(torch.ones(1, 4, 3), radius, "l2", "sequence"), torch.zeros(1, 4, 3)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_random_points_lie_in_the_ball_and_not_on_padding(kind: tuple[Norm, Ball]) -> None:
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    radius = ball_radius(0.5, mask, kind[1])
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        point = random_point(torch.Size((2, 3, 4)), radius, mask, *kind, generator)
        assert (size(point, *kind) <= torch.as_tensor(radius) * (1 + 1e-5)).all()
        assert (point[1, 2] == 0).all()
        assert (point[0] != 0).all()


@pytest.mark.parametrize("ball", ["token", "sequence"])
def test_the_length_of_a_random_point_is_uniform_and_its_direction_too(ball: Ball) -> None:
    mask = torch.ones(4000, 2)
    radius = ball_radius(0.5, mask, ball)
    generator = torch.Generator().manual_seed(0)
    point = random_point(torch.Size((4000, 2, 8)), radius, mask, "l2", ball, generator)
    shares = (size(point, "l2", ball) / radius).flatten()
    assert shares.mean().item() == pytest.approx(1 / 2, abs=0.02)
    assert shares.var().item() == pytest.approx(1 / 12, abs=0.005)
    assert point.mean(dim=(0, 1)).abs().max() < 0.01


def test_a_random_point_of_the_cube_is_uniform() -> None:
    mask = torch.ones(500, 4)
    generator = torch.Generator().manual_seed(0)
    point = random_point(torch.Size((500, 4, 8)), 0.5, mask, "linf", "token", generator)
    assert point.var().item() == pytest.approx(0.5**2 / 3, rel=0.05)


def test_both_balls_are_one_where_a_sequence_has_one_token() -> None:
    delta = torch.randn(5, 1, 4, generator=torch.Generator().manual_seed(0))
    radius = ball_radius(0.5, torch.ones(5, 1), "sequence")
    torch.testing.assert_close(
        project(delta, radius, "l2", "sequence"), project(delta, 0.5, "l2", "token")
    )
