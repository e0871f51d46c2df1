"""Balls around the origin, per token or per sequence: projection, ascent and random points."""

from __future__ import annotations

import torch
from torch import Tensor

from rxtune.config.configuration import Ball, Norm

SMALLEST_NORM = 1e-12
"""Added to a norm before dividing by it, so that a zero gradient gives a zero direction."""


def ascent_direction(gradient: Tensor, norm: Norm, ball: Ball = "token") -> Tensor:
    """Return the direction of steepest ascent under a norm.

    Args:
        gradient: Gradient of the loss (B, T, H), zero on padding; non-finite entries count as 0.
        norm: `l2`: unit vector; `linf`: sign.
        ball: Of `l2`: whether tokens or sequences get a unit vector.

    Returns:
        Direction (B, T, H); zero where the gradient is zero, never NaN.
    """
    gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    if norm == "linf":
        return gradient.sign()
    return gradient / (size(gradient, norm, ball) + SMALLEST_NORM)


def project(delta: Tensor, radius: Tensor | float, norm: Norm, ball: Ball = "token") -> Tensor:
    """Return the nearest point of the ball of a radius.

    Args:
        delta: Points (B, T, H).
        radius: Radius of the ball, a number or broadcastable to (B, T, 1), in the units of the
            embeddings (see `ball_radius`).
        norm: `l2`, or `linf`: per coordinate.
        ball: Of `l2`: one per token, or one per sequence.

    Returns:
        Points (B, T, H); a point inside the ball is returned as it is.
    """
    if norm == "linf":
        bound = torch.as_tensor(radius, dtype=delta.dtype, device=delta.device)
        return delta.clamp(-bound, bound)
    scale = radius / size(delta, norm, ball).clamp_min(SMALLEST_NORM)
    return delta * scale.clamp_max(1.0)


def ball_radius(radius: float, mask: Tensor, ball: Ball) -> Tensor | float:
    """Return the radius as `project` takes it: radius · √L for the ball of a sequence.

    So a token may move as far as in a ball of its own, if all tokens move alike.

    Args:
        radius: Radius per token, or per coordinate (`linf`, which has no ball per sequence).
        mask: 1 where a position may be perturbed (B, T); L is its sum per sequence.
        ball: Per token or per sequence.

    Returns:
        A number, or a tensor (B, 1, 1) for `sequence`.
    """
    if ball == "token":
        return radius
    return radius * mask.sum(dim=1, dtype=torch.float32).sqrt()[:, None, None]


def random_point(
    shape: torch.Size,
    radius: Tensor | float,
    mask: Tensor,
    norm: Norm,
    ball: Ball,
    generator: torch.Generator,
) -> Tensor:
    """Return a random point of the ball, zero on padding.

    Uniform over the cube for `linf`. For the L2 balls the direction is uniform and the length
    uniform on [0, radius]: in hundreds of dimensions a point that is uniform by volume (length
    radius · U^(1/d)) would always lie at the surface.

    Args:
        shape: (B, T, H).
        radius: As `project` takes it.
        mask: 1 where a position may be perturbed (B, T).
        norm: The norm of the ball.
        ball: Of `l2`: one per token, or one per sequence.
        generator: Source of randomness; draws on its own device.

    Returns:
        Point (B, T, H) in fp32 on the device of `mask`.

    Source:
        Rice, Wong and Kolter 2020, arXiv 2002.11569, their code; FreeLB's own start is uniform
        over a cube whose corner has the length of the radius (Zhu et al. 2020, arXiv 1909.11764).
    """
    inside = mask[..., None].to(torch.float32)
    if norm == "linf":
        uniform = torch.rand(shape, generator=generator, device=generator.device)
        return (2 * uniform.to(mask.device) - 1) * radius * inside
    draw = torch.randn(shape, generator=generator, device=generator.device)
    direction = ascent_direction(draw.to(mask.device) * inside, norm, ball)
    lengths = torch.rand(
        (shape[0], 1 if ball == "sequence" else shape[1], 1),
        generator=generator,
        device=generator.device,
    )
    return direction * lengths.to(mask.device) * radius


def size(delta: Tensor, norm: Norm, ball: Ball = "token") -> Tensor:
    """Return the norm of every ball's point: (B, T, 1), or (B, 1, 1) for `sequence`."""
    if norm == "linf":
        return delta.abs().amax(dim=-1, keepdim=True)
    dims = (-2, -1) if ball == "sequence" else (-1,)
    lengths: Tensor = torch.linalg.vector_norm(delta, dim=dims, keepdim=True)
    return lengths
