"""Encoders of known shapes with random weights, what they train on, and their matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lengths
import numpy as np
import pyarrow as pa
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    XLMRobertaConfig,
)

from rxtune.data.order import batch_order
from rxtune.perturb import Perturbation, Scale
from rxtune.train import TrainSettings

LABELS = 3


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An encoder without its weights."""

    name: str
    config: Callable[[], PreTrainedConfig]

    def classifier(self, device: torch.device) -> PreTrainedModel:
        """Return a classifier with random weights in fp32, made on the device."""
        torch.manual_seed(0)
        with device:
            return AutoModelForSequenceClassification.from_config(
                self.config(), dtype=torch.float32
            )

    def forward_flops(self, texts: lengths.Lengths) -> float:
        """Return the floating-point operations of the matrix products of a forward pass.

        A multiplication and an addition are two. Padding, the head and all that is no matrix
        product count for nothing. The last layer counts in full, though less of it may be needed.
        """
        config: Any = self.config()
        width, inner = config.hidden_size, config.intermediate_size
        weights = 4 * width**2 + 2 * width * inner
        tokens, pairs = float(texts.sum()), float((texts.astype(np.float64) ** 2).sum())
        return float(config.num_hidden_layers * (2 * weights * tokens + 4 * width * pairs))


def _xlmr() -> XLMRobertaConfig:
    return XLMRobertaConfig(
        vocab_size=250_002, max_position_embeddings=514, type_vocab_size=1,
        layer_norm_eps=1e-5, num_labels=LABELS,
    )  # fmt: skip


def _mbert() -> BertConfig:
    return BertConfig(vocab_size=119_547, num_labels=LABELS)


def _toy(kind: type[PreTrainedConfig]) -> PreTrainedConfig:
    return kind(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=160, num_labels=LABELS,
    )  # fmt: skip


SHAPES = (Shape(name="XLM-R base", config=_xlmr), Shape(name="mBERT", config=_mbert))
TOY_SHAPES = (
    Shape(name="toy XLM-R", config=lambda: _toy(XLMRobertaConfig)),
    Shape(name="toy BERT", config=lambda: _toy(BertConfig)),
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """One epoch of texts, in updates of a size."""

    name: str
    texts: lengths.Lengths
    batch_size: int
    tokens_per_pass: int | None = None
    """Most tokens that go through the encoder at a time, padding included."""

    @property
    def updates(self) -> int:
        """Number of updates."""
        return -(-len(self.texts) // self.batch_size)

    @property
    def padding(self) -> float:
        """Share of padding in all tokens."""
        batches = batch_order(self.texts, batch_size=self.batch_size, seed=0, epoch=0)
        padded = sum(int(self.texts[rows].max()) * len(rows) for rows in batches)
        return float(1 - self.texts.sum() / padded)

    def table(self, shape: Shape) -> pa.Table:
        """Return random tokens of these lengths."""
        config: Any = shape.config()
        return lengths.random_tokens(self.texts, vocabulary=config.vocab_size, labels=LABELS)

    def settings(
        self, perturbation: Perturbation | None, device: torch.device, **values: Any
    ) -> TrainSettings:
        """Return how rxtune trains it; bf16 on a GPU, as by default."""
        return TrainSettings(
            learning_rate=2e-5, epochs=1.0, batch_size=self.batch_size, evaluations=1, seed=0,
            precision="bf16" if device.type == "cuda" else "fp32", perturbation=perturbation,
            tokens_per_pass=self.tokens_per_pass, **values,
        )  # fmt: skip


def xnli_like(batch_size: int, updates: int, tokens_per_pass: int | None = None) -> Work:
    """Return work of XNLI's lengths."""
    bound = f", at most {tokens_per_pass} tokens a pass" if tokens_per_pass else ""
    return Work(
        name=f"XNLI-like, updates of {batch_size}{bound}",
        texts=lengths.xnli(batch_size * updates),
        batch_size=batch_size,
        tokens_per_pass=tokens_per_pass,
    )


def longest(batch_size: int, updates: int) -> Work:
    """Return work whose texts all have the greatest length."""
    texts = np.full(batch_size * updates, lengths.LONGEST, np.int64)
    return Work(
        name=f"all of {lengths.LONGEST}, updates of {batch_size}",
        texts=texts,
        batch_size=batch_size,
    )


def methods(model: PreTrainedModel) -> dict[str, Perturbation | None]:
    """Return what is trained by name: sizes as a search might propose them."""
    words = model.get_input_embeddings().weight.detach()
    scale = Scale(float(words[:1000].norm(dim=1).median()), words.shape[1])
    radius = scale.radius(0.05, "l2")
    return {
        "plain": None,
        "rs_rp": Perturbation(sigma=scale.sigma(0.5)),
        "adv, K = 1": Perturbation(radius=radius, pgd_steps=1),
        "adv, K = 3": Perturbation(radius=radius, pgd_steps=3),
    }
