"""One update: plain fine-tuning, random perturbation, adversarial training, or their union."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from rxtune.errors import DivergedError
from rxtune.perturb import Perturbation
from rxtune.train.batches import Batch
from rxtune.train.encoder import embedded, perturbed
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
    loss = step_loss(model, batch, settings, generator)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient_norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
    # A sync point on a GPU, and meant to be one: the weights must not move on a bad step. It
    # comes after the backward pass is queued, so that the queue runs empty only once per step.
    if not math.isfinite(loss.detach() + gradient_norm):
        raise DivergedError(
            f"loss and gradient must be finite, but the loss is {loss.item():.3g} and the "
            f"gradient's norm {gradient_norm.item():.3g}; lower the learning rate, sigma or radius"
        )
    optimiser.step()
    return loss.detach()


def step_loss(
    model: PreTrainedModel, batch: Batch, settings: TrainSettings, generator: torch.Generator
) -> Tensor:
    """Return (1 - w) · clean loss + w · perturbed loss of a batch, a scalar with its graph.

    Every pass of one step uses the same dropout masks, and the global random state moves on by
    one pass, whatever the method. Without a perturbation this is the clean loss, bit for bit.

    Source:
        Huang et al. 2021, arXiv 2104.08645 (w = 1, the min-max form).
    """
    if not settings.is_robust or settings.perturbation is None:
        return _losses(model, batch, settings).mean()
    rewind = _dropout_rewinder(batch["input_ids"].device)
    delta = _find_delta(model, batch, settings, settings.perturbation, generator, rewind)
    rewind()
    with perturbed(model, delta):
        loss = _losses(model, batch, settings).mean()
    weight = settings.perturbed_weight
    if weight < 1:
        rewind()
        loss = (1 - weight) * _losses(model, batch, settings).mean() + weight * loss
    return loss


def _find_delta(
    model: PreTrainedModel,
    batch: Batch,
    settings: TrainSettings,
    perturbation: Perturbation,
    generator: torch.Generator,
    rewind: Callable[[], None],
) -> Tensor:
    """Return the step's delta (B, T, H), detached."""

    def loss_of(embeddings: Tensor) -> Tensor:
        rewind()
        with embedded(model, embeddings):
            return _losses(model, batch, settings)

    with torch.no_grad():
        clean = model.get_input_embeddings()(batch["input_ids"])
    return perturbation(loss_of, clean, batch["attention_mask"], generator)


def _losses(model: PreTrainedModel, batch: Batch, settings: TrainSettings) -> Tensor:
    """Return the cross-entropy of every example (B,), in fp32."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    autocast = (
        torch.autocast(batch["input_ids"].device.type, dtype=torch.bfloat16)
        if settings.precision == "bf16"
        else nullcontext()
    )
    with autocast:
        logits = model(**inputs).logits
    return functional.cross_entropy(logits.float(), batch["labels"], reduction="none")


def _dropout_rewinder(device: torch.device) -> Callable[[], None]:
    """Return a function that sets the random state back to where it is now."""
    cpu = torch.get_rng_state()
    # Host-side bookkeeping of the generator: no sync.
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def rewind() -> None:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)

    return rewind
