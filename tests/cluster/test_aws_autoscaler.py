"""Ray's autoscaler (v2) with cluster/gpu.yaml: workers come when trials wait, and go when idle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.aws import Account, bootstrapped, create, with_resources

pytestmark = pytest.mark.slow_end_to_end

DEADLINE_SECONDS = 90.0


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Ray's own cluster for tests: nodes are processes of this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    yield cluster
    cluster.shutdown()


def add_node(cluster: Any, kind: str, instance: str) -> None:
    """Add a node that says which instance it runs on, as the launcher makes it say."""
    variables = {
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": instance,
        "RAY_NODE_TYPE_NAME": kind,
    }
    cluster.add_node(num_cpus=1, num_gpus=1, include_dashboard=False, env_vars=variables)


def step_until(autoscaler: Any, happened: Callable[[], object], what: str) -> None:
    """Let the autoscaler look and act until something has happened."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:g} s: {what}"
        assert autoscaler.update_autoscaling_state() is not None
        time.sleep(0.2)


def test_a_spot_worker_comes_for_a_waiting_trial_and_goes_when_idle(
    account: Account, cluster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ray._raylet import GcsClient
    from ray.autoscaler.v2.autoscaler import Autoscaler
    from ray.autoscaler.v2.instance_manager.config import FileConfigReader
    from ray.autoscaler.v2.sdk import request_cluster_resources

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # that of every node: none is used
    account.make_roles()
    config = with_resources(account, bootstrapped(account), monkeypatch)
    config["provider"]["disable_node_updaters"] = True  # no ssh to made-up addresses
    config["idle_timeout_minutes"] = 0.02
    file = tmp_path / "ray_bootstrap_config.yaml"
    file.write_text(yaml.safe_dump(config))
    add_node(cluster, "head", create(config, "head").id)
    account.calls.clear()

    autoscaler = Autoscaler("test", FileConfigReader(str(file)), GcsClient(cluster.gcs_address))
    assert autoscaler.update_autoscaling_state() is not None
    assert account.instances("worker") == []
    # The head's GPU is taken, and one trial waits.
    request_cluster_resources(cluster.gcs_address, [{"resources": {"GPU": 1}}] * 2)
    step_until(autoscaler, lambda: account.instances("worker"), "a worker is started")
    (worker,) = account.instances("worker")
    assert worker["InstanceLifecycle"] == "spot"
    assert worker["InstanceType"] == "g5.xlarge"
    assert account.refused() == []

    add_node(cluster, "worker", worker["InstanceId"])
    request_cluster_resources(cluster.gcs_address, [])
    step_until(autoscaler, lambda: not account.instances("worker"), "the idle worker is ended")
    assert account.refused() == []
    assert len(account.instances("head")) == 1
