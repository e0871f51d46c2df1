"""One update: plain fine-tuning, or any of the robust objectives, one gradient behind them all."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rxtune.errors import DivergedError
from rxtune.train.accumulate import micro_batches
from rxtune.train.batches import Batch
from rxtune.train.objectives import add_objective
from rxtune.train.passes import Passes, plain_losses, weights_of
from rxtune.train.settings import TrainSettings


def robust_step(
    model: PreTrainedModel,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    settings: TrainSettings,
    generator: torch.Generator,
) -> Tensor:
    """Do one update of the weights.

    Args:
        model: The classifier, in training mode.
        optimiser: Of the model's weights, its learning rate set.
        batch: On the model's device.
        settings: How to train.
        generator: Source of the noise.

    Returns:
        The loss before the update, in nats: a scalar on the model's device, detached.

    Raises:
        DivergedError: Loss or gradient is not finite; the weights are as before the step.
    """
    optimiser.zero_grad(set_to_none=True)
    loss = add_gradients(model, batch, settings, generator)
    gradient_norm = nn.utils.clip_grad_norm_(weights_of(model), settings.clip_norm)
    # A sync point on a GPU, and meant to be one: the weights must not move on a bad step. It
    # comes after the backward pass is queued, so that the queue runs empty only once per step.
    if not math.isfinite(loss + gradient_norm):
        raise DivergedError(
            f"loss and gradient must be finite, but the loss is {loss.item():.3g} and the "
            f"gradient's norm {gradient_norm.item():.3g}; lower the learning rate, sigma or radius"
        )
    optimiser.step()
    return loss


def add_gradients(
    model: PreTrainedModel, batch: Batch, settings: TrainSettings, generator: torch.Generator
) -> Tensor:
    """Add the gradient of a step's loss to the weights, and return the loss, detached.

    With `accumulation` or `tokens_per_pass` the batch goes through the model in parts, each with
    masks and noise of its own; the loss stays the mean over all examples.
    """
    total = torch.zeros((), device=batch["labels"].device)
    parts = settings.parts_of(*batch["input_ids"].shape)
    for part in micro_batches(batch, parts):
        share = len(part["labels"]) / len(batch["labels"])
        total = total + _add_part(model, part, settings, generator, share)
    return total


def _add_part(
    model: PreTrainedModel,
    part: Batch,
    settings: TrainSettings,
    generator: torch.Generator,
    share: float,
) -> Tensor:
    """Add share · gradient of the part's mean loss, and return share · mean loss, detached.

    Every pass uses the same dropout masks, and the global random state moves on by one pass,
    whatever the method. Without a perturbation this is plain fine-tuning, bit for bit.
    """
    if not settings.is_robust or settings.perturbation is None:
        loss = share * plain_losses(model, part, settings.precision).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
    passes = Passes(model, part, site=settings.site, precision=settings.precision)
    total = add_objective(passes, settings, settings.perturbation, generator, share)
    passes.close()
    return total
