"""The encoder's last layer, computed only where the head reads it: at the first position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from rxtune.config.configuration import Site

_AFTER_ATTENTION = {
    **dict.fromkeys(
        ("bert", "camembert", "deberta-v2", "electra", "rembert", "roberta", "xlm-roberta"),
        "encoder.layer.{}.attention.output",
    ),
    "distilbert": "transformer.layer.{}.sa_layer_norm",
}
"""Kind of encoder whose head reads the first position alone -> what comes after the tokens of a
layer have seen each other, with the layer's number to be filled in."""


@contextmanager
def first_position_only(model: PreTrainedModel, site: Site = "word") -> Iterator[None]:
    """Compute what follows the last layer's attention for the first position alone, in the block.

    Logits and gradients stay what they are: no head of these kinds reads another position. This
    spares three quarters of the last layer's products, three eighths of all in two layers and
    6 % in twelve. Other kinds of encoders are left as they are.

    Args:
        model: The classifier.
        site: Where perturbations enter. At `context` they need the output at all positions, so
            that nothing is spared.
    """
    module = None if site == "context" else _after_attention(model)
    if module is None:
        yield
        return
    hook = module.register_forward_pre_hook(_first_position)
    try:
        yield
    finally:
        hook.remove()


def _after_attention(model: PreTrainedModel) -> nn.Module | None:
    """Return the module of the last layer after which positions do not see each other."""
    path = _AFTER_ATTENTION.get(model.config.model_type)
    if path is None:
        return None
    last = model.config.get_text_config().num_hidden_layers - 1
    return model.base_model.get_submodule(path.format(last))


def _first_position(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x[:, :1] if isinstance(x, Tensor) else x for x in inputs)
