"""What every test needs: no network, no telemetry, no GPU, one thread."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CACHE = tempfile.TemporaryDirectory(prefix="rxtune-test-cache-")
"""Removed when the tests end: they neither read the user's tokens nor leave any."""

# At import, before any test module imports torch, ray or a hub client, which read them only once.
os.environ.update(
    {
        # Empty, unless the tests marked gpu are asked for.
        "CUDA_VISIBLE_DEVICES": os.environ.get("RXTUNE_TEST_GPU", ""),
        "HF_HUB_OFFLINE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RXTUNE_CACHE": CACHE.name,
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


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server on this machine, which forgets everything at the end."""

    name: str
    endpoint: str
    client: Any

    def uri(self, path: str) -> str:
        options = f"endpoint_override={self.endpoint}&scheme=http&region=us-east-1"
        return f"s3://{self.name}/{path}?{options}"

    def keys(self, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Host and port of an S3 server."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield ":".join(str(part) for part in server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def bucket(s3_endpoint: str) -> Iterator[Bucket]:
    """A bucket, with made-up credentials where the AWS tools look for them."""
    import boto3

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "made-up")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "made-up-secret")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_MAX_ATTEMPTS", "1")
        client = boto3.client("s3", endpoint_url=f"http://{s3_endpoint}", region_name="us-east-1")
        name = f"rxtune-{uuid.uuid4().hex[:8]}"
        client.create_bucket(Bucket=name)
        yield Bucket(name, s3_endpoint, client)
