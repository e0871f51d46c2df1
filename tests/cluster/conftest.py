"""A simulated AWS, for the tests of cluster/gpu.yaml."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.aws import Account
from tests.cluster.files import load


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    import boto3
    from moto.backends import get_backend
    from ray.autoscaler._private.aws import config, utils

    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray writes the ssh key it makes to ~/.ssh
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    caches = (utils.resource_cache, utils.client_cache, config._get_subnets_or_die)

    def forget() -> None:
        boto3.DEFAULT_SESSION = None
        for cache in caches:
            cache.cache_clear()

    forget()
    region = load("gpu.yaml")["provider"]["region"]
    made = boto3.Session(region_name=region)
    account = Account(made.client("ec2"), made.client("iam"))

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        call = (model.service_model.service_name, model.name, copy.deepcopy(params))
        account.calls.append(call)

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("provide-client-params.*.*", note)
    yield account
    forget()
    server.stop()
    for service in ("ec2", "iam"):  # not S3, which other tests use
        get_backend(service).reset()
