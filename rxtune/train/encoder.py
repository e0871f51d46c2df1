"""The encoder: loaded from a local folder, built into a classifier with a seeded head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from rxtune.errors import ModelError

Attention = Literal["auto", "eager", "sdpa"]

LEARNING_RATE = 2e-5
"""Default of a base-size encoder, as Huang et al. 2021 released it."""

_LEGACY_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}
"""Names that checkpoints of TensorFlow times (mBERT) use for a layer norm."""

_PRETRAINED_HEADS = ("head.",)
"""What lies outside the encoder and is pretrained: ModernBERT's, shared with masked modelling."""


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """An encoder as numpy arrays, which worker processes share without copying."""

    config: PreTrainedConfig
    state: Mapping[str, NDArray[Any]]
    """Parameter name -> fp32 array; heads of other tasks included, as the file has them."""

    @property
    def word_embeddings(self) -> NDArray[Any]:
        """The word-embedding matrix (V, H)."""
        model = _empty_model(self.config, ("only",))
        for name, module in model.named_modules():
            if module is model.get_input_embeddings():
                return self.state[_stored_name(f"{name}.weight", self.state, model)]
        raise AssertionError("get_input_embeddings() returns a module of the model")


def load_encoder(path: str | Path) -> EncoderWeights:
    """Return the encoder in a local folder, laid out as transformers saves it.

    Reads `config.json` and `model.safetensors` (or its shards). Never downloads, never unpickles,
    never runs code that lies beside the weights.

    Raises:
        ModelError: The folder or a file is missing, or is not what it should be.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"encoder {folder}: config.json must exist there, but does not; give a local folder "
            "as transformers' save_pretrained() writes it, and download a hub model first "
            f"(hf download {path} --local-dir DIR)"
        )
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"encoder {folder}: config.json is not one that this transformers knows "
            f"({_first_line(error)}); update transformers or choose another encoder"
        ) from error
    state: dict[str, NDArray[Any]] = {}
    for file in _weight_files(folder):
        state.update(_read_weights(file))
    return EncoderWeights(config, state)


def build_model(
    weights: EncoderWeights, labels: tuple[str, ...], seed: int, *, attention: Attention = "auto"
) -> PreTrainedModel:
    """Return a classifier on a copy of the encoder, in fp32 on the CPU.

    The head (and a pooler, where the encoder has none) is initialised from `seed` alone, whatever
    the global random state, which stays as it is. The arrays of `weights` are copied: training
    the model never changes them.

    Args:
        weights: The encoder, from `load_encoder`.
        labels: Names of the classes, in the order of their ids.
        seed: Seed of the head.
        attention: How attention is computed; auto: torch's `scaled_dot_product_attention` where
            transformers has it for the encoder (not for DeBERTa and RemBERT), else `eager`.

    Raises:
        ModelError: The model has no sequence classifier, is no encoder or takes no embeddings,
            or the weights do not fit it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _new_model(weights.config, labels, attention)
    _require_word_embeddings(model)
    for name, array in _matching_state(model, weights.state).items():
        # Into the model's own memory: a tensor on the array would let training change the array,
        # for every process that shares it.
        np.copyto(model.get_parameter(name).detach().numpy(), array)
    return model


def classifier_bytes(weights: EncoderWeights, labels: tuple[str, ...]) -> int:
    """Return the size of a saved classifier on this encoder, in bytes; builds none."""
    model = _empty_model(weights.config, labels)
    tied = {id(tensor): tensor for tensor in model.state_dict(keep_vars=True).values()}
    return sum(tensor.nbytes for tensor in tied.values())


def default_learning_rate(config: PreTrainedConfig) -> float:
    """Return the encoder's own learning rate: its config's `rxtune` entry, else 2e-5."""
    own: Mapping[str, float] = getattr(config, "rxtune", None) or {}
    return float(own.get("learning_rate", LEARNING_RATE))


def enable_gradient_checkpointing(model: PreTrainedModel) -> None:
    """Make the model recompute activations in the backward pass: less memory, a third more time.

    It must not be the reentrant kind, which refuses `torch.autograd.grad`: delta is found by it.
    """
    kind = {"use_reentrant": False}
    model.activation_checkpointing_enable(kind)


def _weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder: one, or the shards that its index names."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return [
            folder / name
            for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))
        ]
    pickled = (
        " (pytorch_model.bin is a pickle and is not read)"
        * (folder / "pytorch_model.bin").is_file()
    )
    raise ModelError(
        f"encoder {folder}: model.safetensors must exist there, but does not{pickled}; save the "
        "encoder with save_pretrained(), which writes it"
    )


def _read_weights(file: Path) -> dict[str, NDArray[Any]]:
    """Return the floating-point tensors of a file as fp32 arrays, legacy names brought up."""
    try:
        # Through torch, because numpy has no bfloat16.
        with safe_open(file, framework="pt") as tensors:
            state = {_current_name(name): tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
            # Of tied weights a file holds one, and notes the others' names.
            for name, stored in (tensors.metadata() or {}).items():
                if _current_name(stored) in state:
                    state.setdefault(_current_name(name), state[_current_name(stored)])
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"encoder {file}: must be a safetensors file, but cannot be read "
            f"({_first_line(error)}); fetch or save it again"
        ) from error
    # Copies: the tensors are views of the file, which somebody may overwrite.
    return {
        name: tensor.to(torch.float32, copy=True).numpy()
        for name, tensor in state.items()
        if tensor.is_floating_point()
    }


def _current_name(name: str) -> str:
    for ending, current in _LEGACY_ENDINGS.items():
        if name.endswith(ending):
            return name.removesuffix(ending) + current
    return name


def _new_model(
    config: PreTrainedConfig, labels: tuple[str, ...], attention: Attention = "auto"
) -> PreTrainedModel:
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"encoder of kind {config.model_type!r}: it must be an encoder alone, but has a "
            "decoder; choose one like XLM-R or mmBERT"
        )
    own = type(config).from_dict(config.to_dict())
    own.id2label = dict(enumerate(labels))
    own.label2id = {label: number for number, label in enumerate(labels)}
    own.problem_type = "single_label_classification"
    kind = {} if attention == "auto" else {"attn_implementation": attention}
    try:
        # The config may name the 16-bit type that the file was saved in.
        model = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
            own, dtype=torch.float32, **kind
        )
    except (ImportError, ValueError) as error:
        if "attn_implementation" in str(error) or "attention" in str(error):
            raise ModelError(
                f"encoder of kind {config.model_type!r}: train.attention must be one that "
                f"transformers has for it, but is {attention!r}; write auto or eager"
            ) from error
        raise ModelError(
            f"encoder of kind {config.model_type!r}: transformers must have a sequence "
            f"classifier for it, but has none ({_first_line(error)}); choose another encoder"
        ) from error
    assert isinstance(model, PreTrainedModel)
    return model


def _require_word_embeddings(model: PreTrainedModel) -> None:
    try:
        words = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        words = None
    if not isinstance(words, nn.Embedding):
        raise ModelError(
            f"encoder of kind {model.config.model_type!r}: it must look its tokens up in an "
            "embedding, which is where perturbations enter, but does not; choose another encoder"
        )


def _empty_model(config: PreTrainedConfig, labels: tuple[str, ...]) -> PreTrainedModel:
    """Return the model without memory for its weights, to ask it for names."""
    with torch.device("meta"):
        return _new_model(config, labels)


def _stored_name(name: str, state: Mapping[str, NDArray[Any]], model: nn.Module) -> str:
    """Return the name under which a file has a weight: a bare encoder lacks the prefix."""
    prefix = f"{model.base_model_prefix}."
    return name if name in state else name.removeprefix(prefix)


def _matching_state(
    model: PreTrainedModel, state: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return what the encoder part of the model takes from the file.

    Raises:
        ModelError: The file lacks a weight of the encoder, or one has another shape.
    """
    prefix = f"{model.base_model_prefix}."
    found: dict[str, NDArray[Any]] = {}
    for name, parameter in model.named_parameters():
        is_head = not name.startswith((prefix, *_PRETRAINED_HEADS))
        if is_head:
            continue
        array = state.get(_stored_name(name, state, model))
        if array is None:
            if not name.startswith(prefix) or ".pooler." in name:
                continue  # a bare encoder has no head, one from masked modelling no pooler
            raise ModelError(
                f"encoder of kind {model.config.model_type!r}: the file must hold the weight "
                f"{name!r}, but it holds {len(state)} others; check that config.json and "
                "model.safetensors belong together"
            )
        if array.shape != parameter.shape:
            raise ModelError(
                f"encoder of kind {model.config.model_type!r}: {name!r} must have the shape "
                f"{tuple(parameter.shape)} that config.json gives, but has {array.shape}; check "
                "that config.json and model.safetensors belong together"
            )
        found[name] = array
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
