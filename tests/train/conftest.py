"""Tiny encoders with random weights, and tables of random tokens for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
)

from rxtune.train import EncoderWeights, TrainSettings, build_model

LABELS = ("yes", "maybe", "no")
PAD = 1
VOCABULARY = 60

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()

_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": PAD,
}
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "bert": lambda: BertConfig(**_SIZES),
    "roberta": lambda: RobertaConfig(**_SIZES, type_vocab_size=1),
    "distilbert": lambda: DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=16,
        n_layers=2,
        n_heads=2,
        hidden_dim=24,
        max_position_embeddings=40,
        pad_token_id=PAD,
    ),
    "electra": lambda: ElectraConfig(**_SIZES, embedding_size=8),
    "modernbert": lambda: ModernBertConfig(
        **_SIZES, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3
    ),
    "deberta-v2": lambda: DebertaV2Config(**_SIZES, relative_attention=True),
}


@pytest.fixture
def config() -> PreTrainedConfig:
    return CONFIGS["bert"]()


@pytest.fixture(params=CONFIGS)
def any_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """One model of each kind, in evaluation mode."""
    return random_model(CONFIGS[request.param]())


def random_model(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config.num_labels = len(LABELS)
        return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.fixture
def folder(config: PreTrainedConfig, tmp_path: Path) -> Path:
    """A saved bare encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.AutoModel.from_config(config).save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.fixture
def weights(config: PreTrainedConfig) -> EncoderWeights:
    state = random_model(config).state_dict()
    return EncoderWeights(config, {name: t.numpy().copy() for name, t in state.items()})


@pytest.fixture
def model(weights: EncoderWeights) -> PreTrainedModel:
    return build_model(weights, LABELS, seed=0)


@pytest.fixture
def make_table() -> Callable[..., pa.Table]:
    def table(rows: int, *, seed: int = 0, types: bool = True, longest: int = 12) -> pa.Table:
        """Tokens at random; the label is the remainder of the second token."""
        random = np.random.default_rng(seed)
        texts = [
            random.integers(PAD + 1, VOCABULARY, length).astype(np.int32)
            for length in random.integers(3, longest + 1, rows)
        ]
        columns = {
            "input_ids": pa.array(texts, pa.list_(pa.int32())),
            "label": pa.array([int(text[1]) % len(LABELS) for text in texts], pa.int64()),
        }
        if types:
            halves = [np.arange(len(text)) >= len(text) // 2 for text in texts]
            columns["token_type_ids"] = pa.array(
                [half.astype(np.int8) for half in halves], pa.list_(pa.int8())
            )
        return pa.table(columns)

    return table


@pytest.fixture
def make_settings() -> Callable[..., TrainSettings]:
    def make(**values: Any) -> TrainSettings:
        given = {
            "learning_rate": 1e-3,
            "epochs": 1.0,
            "batch_size": 8,
            "evaluations": 2,
            "seed": 0,
            **values,
        }
        return TrainSettings(**given)

    return make
