"""Projection onto balls, and the direction of ascent."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rxtune.config.configuration import NORMS, Norm
from rxtune.perturb.norms import ascent_direction, ball_radius, project, random_point, size

norms = st.sampled_from(NORMS)
radii = st.floats(1e-4, 1e3)
scales = st.floats(1e-6, 1e6)


@st.composite
def points(draw: st.DrawFn) -> Tensor:
    """A (B, T, H) tensor, some of its tokens zero."""
    batch, tokens, width = (draw(st.integers(1, 4)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    point = torch.randn(batch, tokens, width, generator=generator) * draw(scales)
    return point * (torch.rand(batch, tokens, 1, generator=generator) < 0.8)


@given(points(), radii, norms)
def test_projection_never_leaves_the_ball(delta: Tensor, radius: float, norm: Norm) -> None:
    assert (size(project(delta, radius, norm), norm) <= radius * (1 + 1e-5)).all()


@given(points(), radii, norms)
def test_projection_keeps_what_is_inside(delta: Tensor, radius: float, norm: Norm) -> None:
    inside = project(delta, radius, norm) * 0.5
    assert torch.equal(project(inside, radius, norm), inside)


@given(points(), radii, norms)
def test_projecting_twice_is_projecting_once(delta: Tensor, radius: float, norm: Norm) -> None:
    once = project(delta, radius, norm)
    torch.testing.assert_close(project(once, radius, norm), once)


@given(points(), radii, norms, st.integers(0, 2**31))
def test_no_point_of_the_ball_is_nearer_than_the_projection(
    delta: Tensor, radius: float, norm: Norm, seed: int
) -> None:
    other = project(
        torch.randn(delta.shape, generator=torch.Generator().manual_seed(seed)) * radius,
        radius,
        norm,
    )
    nearest = (delta - project(delta, radius, norm)).double().norm()
    assert nearest <= (delta - other).double().norm() * (1 + 1e-5) + 1e-6 * radius


@given(points(), norms)
def test_the_ascent_direction_has_length_one_or_zero(gradient: Tensor, norm: Norm) -> None:
    lengths = size(ascent_direction(gradient, norm), norm)
    zero = size(gradient, norm) == 0
    torch.testing.assert_close(lengths, torch.where(zero, 0.0, 1.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_zero_gradient_gives_a_zero_direction(norm: Norm) -> None:
    assert torch.equal(ascent_direction(torch.zeros(2, 3, 4), norm), torch.zeros(2, 3, 4))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_gradient_that_is_not_finite_gives_a_finite_direction(norm: Norm, value: float) -> None:
    gradient = torch.ones(1, 2, 3)
    gradient[0, 0, 0] = value
    direction = ascent_direction(gradient, norm)
    assert direction.isfinite().all()
    assert direction[0, 0, 0] == 0


def test_the_sequence_ball_grows_with_the_root_of_the_length() -> None:
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])
    radius = ball_radius(0.5, mask, "l2_sequence")
    assert isinstance(radius, Tensor)
    assert radius.flatten().tolist() == [1.0, 0.5]
    far = torch.full((2, 4, 3), 9.0) * mask[..., None]
    lengths = project(far, radius, "l2_sequence").flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([1.0, 0.5]))


def test_a_sequence_of_padding_alone_has_a_ball_of_one_point() -> None:
    radius = ball_radius(0.5, torch.zeros(1, 4), "l2_sequence")
    assert torch.equal(project(torch.ones(1, 4, 3), radius, "l2_sequence"), torch.zeros(1, 4, 3))


@pytest.mark.parametrize("norm", NORMS)
def test_random_points_lie_in_the_ball_and_not_on_padding(norm: Norm) -> None:
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    radius = ball_radius(0.5, mask, norm)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        point = random_point(torch.Size((2, 3, 4)), radius, mask, norm, generator)
        assert (size(point, norm) <= torch.as_tensor(radius) * (1 + 1e-5)).all()
        assert (point[1, 2] == 0).all()
        assert (point[0] != 0).all()
