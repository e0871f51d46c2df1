"""An encoder tried out on made-up tokens, before hours of training depend on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rxtune.config.configuration import SITES, Site
from rxtune.errors import ModelError
from rxtune.train.encoder import Attention, EncoderWeights, build_model
from rxtune.train.sites import clean_input, embedded, perturbed

PADDING_TOLERANCE = 1e-3
"""How far padding may move a logit, in units of the largest: rounding moves it by 1e-6."""

Inputs = Mapping[str, Tensor]


def check_encoder(
    weights: EncoderWeights,
    *,
    pad_id: int,
    longest: int,
    has_token_types: bool = False,
    sites: Iterable[Site] = ("word",),
    attention: Attention = "auto",
) -> None:
    """Refuse an encoder that cannot be trained as asked. Builds it once: seconds for a base size.

    Args:
        weights: The encoder.
        pad_id: Token id of padding.
        longest: Length of the longest text, in tokens.
        has_token_types: Whether the tokenizer tells the sentences of a pair apart.
        sites: Where perturbations are to enter.
        attention: How attention is to be computed.

    Raises:
        ModelError: It has no such attention, fails on such texts, reads them in one direction
            only, lets padding change a prediction, or cannot be perturbed at a site.
    """
    model = build_model(weights, ("0", "1"), seed=0, attention=attention)
    model.train(False)
    inputs = _made_up_texts(model, pad_id, longest, has_token_types)
    with torch.no_grad():
        plain = _logits_of_texts(model, inputs)
        _require_both_directions(model, inputs)
        _require_padding_to_be_ignored(model, inputs, plain)
        _require_sites(model, inputs, plain, sites)


def _made_up_texts(
    model: PreTrainedModel, pad_id: int, longest: int, has_token_types: bool
) -> dict[str, Tensor]:
    """Return two texts: one of the longest length, one of half of it, padded."""
    words = model.get_input_embeddings()
    assert isinstance(words, nn.Embedding)  # build_model sees to it
    vocabulary = words.num_embeddings
    longest = max(longest, 4)
    half = (longest + 1) // 2
    ids = torch.arange(2 * longest).mul_(7).add_(3).remainder_(vocabulary).view(2, longest)
    ids[ids == pad_id] = (pad_id + 1) % vocabulary
    mask = torch.ones_like(ids)
    ids[1, half:], mask[1, half:] = pad_id, 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if has_token_types:
        inputs["token_type_ids"] = (torch.arange(longest) >= longest // 2).long() * mask
    return inputs


def _logits_of_texts(model: PreTrainedModel, inputs: Inputs) -> Tensor:
    try:
        logits: Tensor = model(**inputs).logits
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{_name(model)} must take texts of {inputs['input_ids'].shape[1]} tokens with "
            f"{', '.join(inputs)}, but fails on them ({_reason(error)}); lower train.max_length "
            f"(the encoder's positions: {_positions(model)}) or choose another encoder"
        ) from error
    return logits


def _require_both_directions(model: PreTrainedModel, inputs: Inputs) -> None:
    ids = inputs["input_ids"].clone()
    changed = {**inputs, "input_ids": ids}
    # The next token: an encoder may well see no further in one layer.
    ids[0, 1] = ids[0, 0]
    before, after = (model.base_model(**texts)[0][0, 0] for texts in (inputs, changed))
    if torch.equal(before, after):
        raise ModelError(
            f"{_name(model)} must read a text in both directions, but its first vector does not "
            "see the second token: it is a decoder; choose an encoder like XLM-R or mmBERT"
        )


def _require_padding_to_be_ignored(model: PreTrainedModel, inputs: Inputs, plain: Tensor) -> None:
    half = int(inputs["attention_mask"][1].sum())
    alone = model(**{name: tensor[1:, :half] for name, tensor in inputs.items()}).logits[0]
    moved = float((alone - plain[1]).abs().max() / plain.abs().max())
    if not moved <= PADDING_TOLERANCE:
        raise ModelError(
            f"{_name(model)} must give a text the same logits whatever pads its batch, but "
            f"padding moves them by {100 * moved:.2g} %; choose another encoder"
        )


def _require_sites(
    model: PreTrainedModel, inputs: Inputs, plain: Tensor, sites: Iterable[Site]
) -> None:
    faults = {site: _site_fault(model, inputs, plain, site) for site in SITES}
    for site in sites:
        if faults[site] is None:
            continue
        working = ", ".join(other for other in SITES if faults[other] is None)
        raise ModelError(
            f"{_name(model)} cannot be perturbed at site {site!r}: {faults[site]}; sites that "
            f"work: {working or 'none, choose another encoder'}"
        )


def _site_fault(model: PreTrainedModel, inputs: Inputs, plain: Tensor, site: Site) -> str | None:
    """Return why a site does not serve, None if it does."""
    try:
        clean = clean_input(model, inputs, site)
        if clean.shape[:2] != inputs["input_ids"].shape:
            return f"there is a tensor of shape {tuple(clean.shape)} instead of one per token"
        with embedded(model, clean, site):
            given = model(**inputs).logits
        with perturbed(model, torch.zeros_like(clean), site):
            unmoved = model(**inputs).logits
        with perturbed(model, clean.flip(-1), site):
            moved = model(**inputs).logits
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        return f"the head cannot read it ({_reason(error)})"
    if not (torch.equal(given, plain) and torch.equal(unmoved, plain)):
        return "a zero perturbation there changes the logits"
    return "the logits do not depend on it" if torch.equal(moved, plain) else None


def _name(model: PreTrainedModel) -> str:
    return f"encoder of kind {model.config.model_type!r}"


def _positions(model: PreTrainedModel) -> str:
    return str(getattr(model.config, "max_position_embeddings", "not stated"))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:160]
