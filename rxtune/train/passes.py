"""The forward and backward passes of one step: one input, one set of dropout masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from rxtune.config.configuration import Site
from rxtune.perturb import Perturbation
from rxtune.train.batches import Batch
from rxtune.train.settings import Precision
from rxtune.train.sites import clean_input, embedded


class Passes:
    """What the passes of one step share: the texts, the clean input, the dropout masks.

    Every pass starts from a leaf of its own, so that its graph can go as soon as its gradient is
    known; `close` then takes what has arrived at the leaves on to the weights before the site. At
    the context site the encoder so runs once forward and once backward, however many passes the
    head makes.
    """

    def __init__(
        self, model: PreTrainedModel, batch: Batch, *, site: Site, precision: Precision
    ) -> None:
        """Compute the clean input; the global random state then stands before the first mask."""
        self._model, self._site, self._precision = model, site, precision
        self._inputs = _without_labels(batch)
        self.labels, self.mask = batch["labels"], batch["attention_mask"]
        with autocast(precision, self.mask.device):
            # fp32, because a small delta vanishes in a 16-bit sum.
            self._graph = clean_input(model, self._inputs, site).float()
        self.clean = self._graph.detach()
        """The clean input (B, T, H), fp32."""
        self._rewind = _dropout_rewinder(self.mask.device)
        self._gradient: Tensor | None = None

    def logits(self, point: Tensor) -> Tensor:
        """Return the logits (B, C) in fp32 where `point` (B, T, H) stands at the site."""
        self._rewind()
        with embedded(self._model, point, self._site), autocast(self._precision, point.device):
            return self._model(**self._inputs).logits.float()  # type: ignore[no-any-return]

    def losses(self, point: Tensor) -> Tensor:
        """Return the cross-entropy of every example (B,), in nats."""
        return functional.cross_entropy(self.logits(point), self.labels, reduction="none")

    def perturb(self, perturbation: Perturbation, generator: torch.Generator) -> Tensor:
        """Return the delta of a perturbation of the clean input (B, T, H).

        Meanwhile the weights need no gradient, so that ascent's passes keep nothing for it.
        """
        with _frozen(self._model) if perturbation.is_adversarial else nullcontext():
            return perturbation(self.losses, self.clean, self.mask, generator)

    def leaf(self, delta: Tensor | None = None) -> Tensor:
        """Return the input shifted by delta (B, T, H), as a leaf that gathers its gradient."""
        point = self.clean.clone() if delta is None else self.clean + delta
        return point.requires_grad_(True)

    def through(self, delta: Tensor) -> Tensor:
        """Return the input shifted by delta (B, T, H), on the graph of what lies before the site.

        For the only pass that trains: of the input nothing is kept, so no other pass may follow.
        """
        point = self._graph + delta
        del self._graph, self.clean
        return point

    def backward(self, loss: Tensor, *leaves: Tensor) -> None:
        """Add the gradient of a loss to the weights after the site, and keep that of the input."""
        loss.backward()  # type: ignore[no-untyped-call]
        for leaf in leaves:
            assert leaf.grad is not None, "the loss depends on every leaf"
            self._gradient = leaf.grad if self._gradient is None else self._gradient + leaf.grad

    def close(self) -> None:
        """Add the gradient of all passes to the weights before the site."""
        if self._gradient is not None and self._graph.requires_grad:
            self._graph.backward(self._gradient)  # type: ignore[no-untyped-call]


def plain_losses(model: PreTrainedModel, batch: Batch, precision: Precision) -> Tensor:
    """Return the cross-entropy of every example (B,), in fp32, without any of the above."""
    with autocast(precision, batch["labels"].device):
        logits = model(**_without_labels(batch)).logits
    return functional.cross_entropy(logits.float(), batch["labels"], reduction="none")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which forward passes have a precision."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def _without_labels(batch: Batch) -> Batch:
    return {name: tensor for name, tensor in batch.items() if name != "labels"}


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Let no weight need a gradient inside the block."""
    trained = [weight for weight in weights_of(model) if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)


_weights: WeakKeyDictionary[nn.Module, list[nn.Parameter]] = WeakKeyDictionary()
"""Found once per model: a walk through its modules takes 2 % of a small model's step."""


def weights_of(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a model, in their order; it must not get others later."""
    if model not in _weights:
        _weights[model] = list(model.parameters())
    return _weights[model]


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
