"""The perturbation of one training step: Gaussian noise, then projected ascent through it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rxtune.config.configuration import BALLS, NORMS, Ball, Norm
from rxtune.errors import StudyError
from rxtune.perturb.norms import ascent_direction, ball_radius, project, random_point

LossOf = Callable[[Tensor], Tensor]
"""Perturbed embeddings (B, T, H) -> loss of every example (B,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """Noise of standard deviation sigma and the worst point of a ball around the noisy embedding.

    Its corners: radius 0 is randomized smoothing by random perturbation (RS-RP), sigma 0 is
    adversarial training (ADV), both 0 the identity. All lengths are absolute, in the units of the
    embeddings (`rxtune.perturb.units` makes them from relative ones).
    """

    sigma: float = 0.0
    """Standard deviation of the noise per coordinate."""
    radius: float = 0.0
    """Bound ε of the ascent: per token (times √L for the ball of a sequence), or per coordinate
    (`linf`)."""
    pgd_steps: int = 0
    """Number K of projected gradient steps; each costs a forward and an input backward pass."""
    norm: Norm = "l2"
    ball: Ball = "token"
    """Of `l2`: one ball per token, or one per sequence."""
    step_size: float = 2.0
    """c in the length a = c ε / K of one step."""
    random_start: bool = False
    """Whether ascent starts at a random point of the ball instead of its centre."""

    def __post_init__(self) -> None:
        """Refuse what is no perturbation."""
        for name in ("sigma", "radius", "step_size", "pgd_steps"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise StudyError(
                    f"perturbation: {name} must be a finite number >= 0, but is {value}; "
                    "give 0 to switch it off"
                )
        _require_one_of("norm", self.norm, NORMS)
        _require_one_of("ball", self.ball, BALLS)
        if self.norm == "linf" and self.ball != "token":
            raise StudyError(
                f"perturbation: linf bounds every coordinate, so ball must be token, but is "
                f"{self.ball}; give norm l2 for a ball per sequence"
            )

    @property
    def is_identity(self) -> bool:
        """Whether delta is always zero, so that the step is plain fine-tuning."""
        return self.sigma == 0 and not self.is_adversarial and not self._starts_off_centre

    @property
    def is_adversarial(self) -> bool:
        """Whether delta depends on the loss, so that inner passes are needed."""
        return self.radius > 0 and self.pgd_steps > 0

    @property
    def _starts_off_centre(self) -> bool:
        return self.radius > 0 and self.random_start

    def __call__(
        self, loss_of: LossOf, embeddings: Tensor, mask: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the delta of one step: noise plus what projected ascent through it finds.

        The ball bounds what ascent adds to the noise, not the noise.

        Args:
            loss_of: Maps *perturbed embeddings* (B, T, H) to the loss per example (B,). It is
                called K times, and only differentiated with respect to its argument. Its draws
                (dropout) have to be the same at each call: the caller sees to it.
            embeddings: The clean embeddings (B, T, H); no gradient flows into them.
            mask: 1 where a position may be perturbed, 0 on padding (B, T).
            generator: Source of the noise, never the global one.

        Returns:
            Delta (B, T, H), fp32, detached, zero outside the mask.

        Source:
            Madry et al. 2018, arXiv 1706.06083, section 2.1; through noise: Salman et al. 2019,
            arXiv 1906.04584, with one draw of the noise per step.
        """
        clean = embeddings.detach()
        noise = self.noise(clean.shape, mask, generator)
        if self.radius == 0:
            return noise
        delta = self.start(clean.shape, mask, generator)
        for _ in range(self.pgd_steps if self.is_adversarial else 0):
            # Without names for point and gradient: they must not lie about in the next pass.
            delta = self.climb(
                delta, _gradient(loss_of, (clean + noise + delta).to(clean.dtype)), mask
            )
        return noise + delta

    def noise(self, shape: torch.Size, mask: Tensor, generator: torch.Generator) -> Tensor:
        """Return sigma · N(0, I) inside the mask (B, T, H), fp32."""
        if self.sigma == 0:
            return _zeros(shape, mask.device)
        draw = torch.randn(shape, generator=generator, device=generator.device)
        return draw.to(mask.device).mul_(self.sigma).mul_(mask[..., None])

    def start(self, shape: torch.Size, mask: Tensor, generator: torch.Generator) -> Tensor:
        """Return where ascent starts (B, T, H), fp32: the ball's centre or a random point."""
        if not self._starts_off_centre:
            return _zeros(shape, mask.device)
        radius = ball_radius(self.radius, mask, self.ball)
        return random_point(shape, radius, mask, self.norm, self.ball, generator)

    def climb(self, delta: Tensor, gradient: Tensor, mask: Tensor) -> Tensor:
        """Return delta after one step of ascent, projected onto the ball.

        Args:
            delta: A point of the ball (B, T, H), fp32.
            gradient: Of the summed loss at the point (B, T, H).
            mask: 1 where a position may be perturbed (B, T).
        """
        inside = mask[..., None].to(torch.float32)
        radius = ball_radius(self.radius, mask, self.ball)
        direction = ascent_direction(gradient.float() * inside, self.norm, self.ball)
        step = self.step_size / self.pgd_steps * radius * direction
        return project(delta + step, radius, self.norm, self.ball) * inside


def _gradient(loss_of: LossOf, point: Tensor) -> Tensor:
    """Return the gradient of the summed loss at a point (B, T, H)."""
    point.requires_grad_(True)
    with torch.enable_grad():
        # A sum, not a mean: an example's gradient must not depend on its batch.
        loss = loss_of(point).sum()
        # Only the point: backward() would add up gradients of all weights.
        (gradient,) = torch.autograd.grad(loss, [point])
    return gradient


def _zeros(shape: torch.Size, device: torch.device) -> Tensor:
    """Return zeros in fp32 that take no memory; not to be written to."""
    return torch.zeros((), dtype=torch.float32, device=device).expand(shape)


def _require_one_of(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise StudyError(
            f"perturbation: {name} must be one of {', '.join(valid)}, but is {value!r}"
        )
