"""Where a perturbation enters: the word embeddings, or the encoder's contextual output."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from rxtune.config.configuration import Site
from rxtune.errors import ModelError
from rxtune.train.batches import TokenTable, to_device

_PROJECTIONS = ("embeddings_project", "encoder.embedding_hidden_mapping_in")
"""From narrow word embeddings to the hidden size: ELECTRA's; RemBERT's and ALBERT's."""

_ROWS = 32
"""Examples per batch where the unit is measured."""


def clean_input(model: PreTrainedModel, inputs: Mapping[str, Tensor], site: Site) -> Tensor:
    """Return what a perturbation is added to (B, T, H), with its graph.

    At the context site the encoder runs once, and the global random state then stands where the
    head's first draw is: whoever remembers it here gives `embedded` the head's dropout masks of a
    whole pass. At the word site nothing is drawn.

    Args:
        model: The classifier.
        inputs: `input_ids`, `attention_mask` and maybe `token_type_ids` (B, T); `labels` are
            not looked at.
        site: `word`: output of the word embedding; `context`: what pooler and head read.
    """
    if site == "word":
        embeddings: Tensor = model.get_input_embeddings()(inputs["input_ids"])
        return embeddings
    texts = {name: tensor for name, tensor in inputs.items() if name != "labels"}
    with _pooler_skipped(model.base_model):
        context: Tensor = model.base_model(**texts)[0]
    return context


@contextmanager
def embedded(model: PreTrainedModel, embeddings: Tensor, site: Site = "word") -> Iterator[None]:
    """Take `embeddings` (B, T, H) for what is at the site, in every forward pass inside.

    The model is called with `input_ids` as usual, so that position ids and masks stay those of
    the text. At the context site nothing before the pooler or head is computed.
    """
    replaced = (
        _given_words(model, embeddings)
        if site == "word"
        else _replaced_forward(model.base_model, lambda *_a, **_k: _pooled(model, embeddings))
    )
    with replaced:
        yield


@contextmanager
def perturbed(model: PreTrainedModel, delta: Tensor, site: Site = "word") -> Iterator[None]:
    """Add delta (B, T, H) to what is at the site, in every forward pass inside.

    The sum is taken in fp32. Gradients flow to delta and to the weights before the site.
    """
    encode = model.base_model.forward

    def add(output: Tensor) -> Tensor:
        return (output.float() + delta).to(output.dtype)

    def encode_and_add(*args: Any, **kwargs: Any) -> BaseModelOutputWithPooling:
        with _pooler_skipped(model.base_model):
            output: Tensor = encode(*args, **kwargs)[0]
        return _pooled(model, add(output))

    replaced = (
        _word_output(model, add)
        if site == "word"
        else _replaced_forward(model.base_model, encode_and_add)
    )
    with replaced:
        yield


def _pooled(model: PreTrainedModel, context: Tensor) -> BaseModelOutputWithPooling:
    """Return what the encoder returns to the head: the context, pooled where it has a pooler."""
    pooler = _pooler(model.base_model)
    return BaseModelOutputWithPooling(
        last_hidden_state=context,
        pooler_output=None if pooler is None else pooler(context),
    )


def _pooler(encoder: nn.Module) -> nn.Module | None:
    """Return the encoder's own pooler, which BERT has; elsewhere it belongs to the head."""
    pooler = getattr(encoder, "pooler", None)
    return pooler if isinstance(pooler, nn.Module) else None


@contextmanager
def _pooler_skipped(encoder: nn.Module) -> Iterator[None]:
    """Let the encoder pool nothing inside the block: its pooler comes after the site."""
    pooler = _pooler(encoder)
    if pooler is None:
        yield
        return
    with _replaced_forward(pooler, lambda *_args, **_kwargs: None):
        yield


@contextmanager
def _replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before


@contextmanager
def _given_words(model: PreTrainedModel, embeddings: Tensor) -> Iterator[None]:
    words = model.get_input_embeddings()
    with _block_in_fp32(model), _replaced_forward(words, lambda *_a, **_k: embeddings):
        yield


@contextmanager
def _word_output(model: PreTrainedModel, replace: Callable[[Tensor], Tensor]) -> Iterator[None]:
    hook = model.get_input_embeddings().register_forward_hook(
        lambda _module, _inputs, output: replace(output)
    )
    try:
        with _block_in_fp32(model):
            yield
    finally:
        hook.remove()


@contextmanager
def _block_in_fp32(model: PreTrainedModel) -> Iterator[None]:
    """Keep autocast out of the embedding block: sum with the positions, norm and projection.

    Most blocks are fp32 under autocast anyway. A projection to the hidden size is not, and makes
    the effect of a small delta nearly twice as wrong (`benchmarks/results/bf16_effect.md`).
    """
    with ExitStack() as stack:
        for module in _embedding_block(model):
            stack.enter_context(_without_autocast(module))
        yield


@contextmanager
def _without_autocast(module: nn.Module) -> Iterator[None]:
    plain = module.forward
    device = next(module.parameters()).device.type

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_autocast_enabled(device):
            return plain(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return plain(*args, **kwargs)

    with _replaced_forward(module, forward):
        yield


_blocks: WeakKeyDictionary[PreTrainedModel, list[nn.Module]] = WeakKeyDictionary()
"""Found once per model: a walk through its modules costs as much as a dozen of their passes."""


def _embedding_block(model: PreTrainedModel) -> list[nn.Module]:
    """Return what lies between the word embedding, which is in it, and the first layer."""
    if model not in _blocks:
        _blocks[model] = _find_embedding_block(model)
    return _blocks[model]


def _find_embedding_block(model: PreTrainedModel) -> list[nn.Module]:
    words, encoder = model.get_input_embeddings(), model.base_model
    around = [child for child in encoder.children() if any(m is words for m in child.modules())]
    parts = dict(encoder.named_modules())
    return [*around, *(parts[name] for name in _PROJECTIONS if name in parts)]


@torch.no_grad()
def measure_context_unit(
    model: PreTrainedModel, table: pa.Table, pad_id: int, sample: int = 1000
) -> float:
    """Return m at the context site: the median L2 norm of the contextual vectors of real tokens.

    Args:
        model: The classifier before training; its mode and the random state stay as they are.
        table: The tokenised training data.
        pad_id: Token id of padding.
        sample: Number of rows that are measured, evenly spread over the table; there is no
            randomness in it.

    Raises:
        ModelError: m is not a positive number: the encoder is damaged.
    """
    tokens = TokenTable(table, pad_id=pad_id)
    rows = np.unique(np.linspace(0, len(tokens) - 1, min(sample, len(tokens))).astype(np.int64))
    device = next(model.parameters()).device
    norms = []
    with evaluation_mode(model):
        for part in np.array_split(rows, -(-len(rows) // _ROWS)):
            batch = to_device(tokens.batch(part), device)
            context = clean_input(model, batch, "context")
            lengths = torch.linalg.vector_norm(context.float(), dim=-1)
            norms.append(lengths[batch["attention_mask"].bool()].cpu())
    unit = float(torch.cat(norms).median())
    if not (math.isfinite(unit) and unit > 0):
        raise ModelError(
            f"encoder of kind {model.config.model_type!r}: the median norm of its contextual "
            f"vectors must be a positive number, but is {unit}; its file is damaged"
        )
    return unit


def context_width(model: PreTrainedModel) -> int:
    """Return the width H of the contextual vectors; that of the word embeddings may be smaller."""
    return int(model.config.get_text_config().hidden_size)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switch dropout off inside the block."""
    was_training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(was_training)
