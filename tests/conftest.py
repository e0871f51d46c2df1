"""What every test needs: no network, no telemetry, no GPU, one thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# At import, before any test module imports torch, ray or a hub client, which read them only once.
os.environ.update(
    {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved BERT with random weights, spread so wide that its accuracy is not constant."""
    import torch
    import transformers

    from rxtune.testbed.tokenizer import build_tokenizer

    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    tokenizer = build_tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    config.rxtune = {"learning_rate": 3e-3}
    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
