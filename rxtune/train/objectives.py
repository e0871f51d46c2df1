"""What a robust step minimises: each objective adds its gradient to the weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rxtune.perturb import Perturbation
from rxtune.train.passes import Passes
from rxtune.train.settings import TrainSettings


def add_objective(
    passes: Passes,
    settings: TrainSettings,
    perturbation: Perturbation,
    generator: torch.Generator,
    share: float,
) -> Tensor:
    """Add share · gradient of the objective's mean over the batch, and return share · mean.

    Args:
        passes: Of this step.
        settings: How to train; they name the objective.
        perturbation: Not the identity.
        generator: Source of noise and random starts.
        share: Weight of this batch in the update.
    """
    match settings.objective:
        case "weighted":
            return _weighted(passes, settings, perturbation, generator, share)
        case "freelb":
            return _freelb(passes, perturbation, generator, share)
        case "r3f":
            weight = settings.consistency_weight
            return _r3f(passes, weight, perturbation, generator, share)


def _weighted(
    passes: Passes,
    settings: TrainSettings,
    perturbation: Perturbation,
    generator: torch.Generator,
    share: float,
) -> Tensor:
    """Minimise (1 - w) · clean loss + w · mean over n draws of the perturbed loss.

    Source:
        Huang et al. 2021, arXiv 2104.08645 (w = 1, the min-max form; n = 1).
    """
    if settings.samples == 1 and settings.clean_weight == 0:
        point = passes.through(passes.perturb(perturbation, generator))
        loss = share * passes.losses(point).mean()
        passes.backward(loss)
        return loss.detach()
    weight = share * (1 - settings.clean_weight) / settings.samples
    total = torch.zeros((), device=passes.mask.device)
    for _ in range(settings.samples):
        # Delta has no name: it must not lie about beside its sum with the input.
        point = passes.leaf(passes.perturb(perturbation, generator))
        total = total + _add_loss(passes, point, weight)
    if settings.clean_weight > 0:
        total = total + _add_loss(passes, passes.leaf(), share * settings.clean_weight)
    return total


def _freelb(
    passes: Passes, perturbation: Perturbation, generator: torch.Generator, share: float
) -> Tensor:
    """Minimise the mean of the losses that ascent passes on its way, the start included.

    One backward pass gives the gradient of the weights and the next step of delta. After the last
    one delta is not needed, so there are K - 1 steps of ascent, and K = 1 trains at the start.

    Source:
        Zhu et al. 2020, arXiv 1909.11764, algorithm 1, with the step c ε / K of this package and
        `random_point` for its start.
    """
    steps = perturbation.pgd_steps
    total = torch.zeros((), device=passes.mask.device)
    delta = perturbation.start(passes.clean.shape, passes.mask, generator)
    for step in range(1, steps + 1):
        point = passes.leaf(delta)
        total = total + _add_loss(passes, point, share / steps)
        if step < steps and point.grad is not None:
            # Of the sum of the losses, so that a direction does not depend on its batch.
            gradient = point.grad * (steps * len(passes.labels) / share)
            delta = perturbation.climb(delta, gradient, passes.mask)
    return total


def _r3f(
    passes: Passes,
    weight: float,
    perturbation: Perturbation,
    generator: torch.Generator,
    share: float,
) -> Tensor:
    """Minimise clean loss + λ · symmetric KL divergence of clean and noisy prediction.

    Source:
        R3F of Aghajanyan et al. 2020, arXiv 2008.03156, with normal noise. Here both passes have
        the same dropout masks, so that the divergence is the noise's alone.
    """
    clean_point = passes.leaf()
    noisy_point = passes.leaf(passes.perturb(perturbation, generator))
    clean, noisy = passes.logits(clean_point), passes.logits(noisy_point)
    loss = functional.cross_entropy(clean, passes.labels) + weight * symmetric_kl(clean, noisy)
    loss = share * loss
    passes.backward(loss, clean_point, noisy_point)
    return loss.detach()


def symmetric_kl(logits: Tensor, others: Tensor) -> Tensor:
    """Return the batch mean of KL(p ‖ q) + KL(q ‖ p) in nats, a scalar.

    Args:
        logits: Of p (B, C), fp32.
        others: Of q (B, C), fp32.
    """
    log_p, log_q = functional.log_softmax(logits, dim=-1), functional.log_softmax(others, dim=-1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1).mean()


def _add_loss(passes: Passes, point: Tensor, weight: float) -> Tensor:
    """Add the gradient of weight · mean loss at a point; return that, detached."""
    loss = weight * passes.losses(point).mean()
    passes.backward(loss, point)
    return loss.detach()
