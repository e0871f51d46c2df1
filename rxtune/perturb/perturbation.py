"""The perturbation of one training step: Gaussian noise, then projected ascent through it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rxtune.config.configuration import NORMS, Norm
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
    """Bound ε of the ascent: per token (`l2`), per token and then times √L (`l2_sequence`),
    per coordinate (`linf`)."""
    pgd_steps: int = 0
    """Number K of projected gradient steps; each costs a forward and an input backward pass."""
    norm: Norm = "l2"
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
        if self.norm not in NORMS:
            raise StudyError(
                f"perturbation: norm must be one of {', '.join(NORMS)}, but is {self.norm!r}"
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
        noise = self._noise(clean.shape, mask, generator)
        radius = ball_radius(self.radius, mask, self.norm)
        if self._starts_off_centre:
            start = random_point(clean.shape, radius, mask, self.norm, generator)
        else:
            start = torch.zeros_like(noise)
        if not self.is_adversarial:
            return noise + start
        return noise + self._ascend(loss_of, clean, noise, start, radius, mask)

    def _noise(self, shape: torch.Size, mask: Tensor, generator: torch.Generator) -> Tensor:
        """Return sigma · N(0, I) inside the mask (B, T, H), fp32."""
        if self.sigma == 0:
            return torch.zeros(shape, dtype=torch.float32, device=mask.device)
        draw = torch.randn(shape, generator=generator, device=generator.device)
        return draw.to(mask.device).mul_(self.sigma).mul_(mask[..., None])

    def _ascend(
        self,
        loss_of: LossOf,
        clean: Tensor,
        noise: Tensor,
        delta: Tensor,
        radius: Tensor | float,
        mask: Tensor,
    ) -> Tensor:
        """Return delta (B, T, H) after K steps of ascent, each projected onto the ball."""
        length = self.step_size / self.pgd_steps * radius
        inside = mask[..., None].to(torch.float32)
        for _ in range(self.pgd_steps):
            delta.requires_grad_(True)
            with torch.enable_grad():
                # A sum, not a mean: an example's gradient must not depend on its batch.
                loss = loss_of((clean + noise + delta).to(clean.dtype)).sum()
                # Only delta: backward() would compute gradients of all weights, and add them up.
                (gradient,) = torch.autograd.grad(loss, [delta])
            step = length * ascent_direction(gradient * inside, self.norm)
            delta = project(delta.detach() + step, radius, self.norm) * inside
        return delta
