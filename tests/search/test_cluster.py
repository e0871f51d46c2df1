"""How many trials fit, and which wishes no machine could fulfil."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from ray._private.state import state
from ray.core.generated.autoscaler_pb2 import ClusterConfig, NodeGroupConfig

from rxtune.errors import ClusterError
from rxtune.search.cluster import (
    Capacity,
    _fitting,
    measure_capacity,
    ray_running,
    room_for,
)
from rxtune.search.options import SearchOptions

Measure = Callable[..., Capacity]


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Return a function that measures a made-up cluster."""

    def run(*nodes: dict[str, float], groups: Any = None, **options: Any) -> Capacity:
        alive = [{"Alive": True, "Resources": node} for node in nodes]
        gone = {"Alive": False, "Resources": {"CPU": 512.0, "GPU": 64.0}}
        monkeypatch.setattr(ray, "nodes", lambda: [*alive, gone])
        monkeypatch.setattr("rxtune.search.cluster.is_autoscaled", lambda: False)
        config = None
        if groups is not None:
            made = [NodeGroupConfig(resources=r, max_count=most) for r, most in groups]
            config = ClusterConfig(node_group_configs=made)
        monkeypatch.setattr(state, "get_cluster_config", lambda: config)
        return measure_capacity(SearchOptions(name="rs", **options))

    return run


def test_one_trial_per_core_where_there_is_no_gpu(measure: Measure) -> None:
    capacity = measure({"CPU": 4.0})
    assert (capacity.workers, capacity.gpus_per_trial, capacity.can_grow) == (4, 0.0, False)


def test_one_trial_per_gpu_where_there_are_gpus(measure: Measure) -> None:
    head, worker = {"CPU": 8.0}, {"CPU": 32.0, "GPU": 4.0}
    capacity = measure(head, worker, worker)
    assert (capacity.workers, capacity.gpus_per_trial, capacity.nodes) == (8, 1.0, 3)


def test_several_trials_share_a_gpu_if_asked_to(measure: Measure) -> None:
    assert measure({"CPU": 8.0, "GPU": 1.0}, gpus_per_trial=0.25).workers == 4
    assert measure({"CPU": 8.0, "GPU": 1.0}, gpus_per_trial=0.1).workers == 8


@given(
    cpus=st.integers(1, 64),
    gpus=st.integers(0, 8),
    share=st.sampled_from([0.05, 0.1, 0.2, 0.3, 1 / 3, 0.5, 1.0]),
)
def test_what_fits_a_node_never_asks_for_more_than_it_has(
    cpus: int, gpus: int, share: float
) -> None:
    count = _fitting({"CPU": float(cpus), "GPU": float(gpus)}, 1.0, share)
    assert count <= cpus
    assert count * share <= gpus + 1e-6
    assert count == cpus or (count + 1) * share > gpus


def test_more_workers_than_fit_would_only_wait(measure: Measure) -> None:
    assert measure({"CPU": 2.0}, workers=8).workers == 2
    assert measure({"CPU": 8.0}, workers=3).workers == 3


def test_a_cluster_that_can_grow_takes_as_many_workers_as_asked_for(measure: Measure) -> None:
    groups = [({"CPU": 8, "GPU": 1}, 10)]
    capacity = measure({"CPU": 4.0}, groups=groups, workers=6, address="auto")
    assert (capacity.workers, capacity.gpus_per_trial, capacity.can_grow) == (6, 1.0, True)


def test_on_a_cluster_trials_may_wait_for_nodes_that_do_not_show_beforehand(
    measure: Measure,
) -> None:
    assert measure({"CPU": 2.0}, workers=8, address="auto").workers == 8
    assert measure({"CPU": 2.0}, address="auto").workers == 2


def test_a_cluster_is_followed_unless_a_number_of_workers_was_asked_for(measure: Measure) -> None:
    assert measure({"CPU": 2.0}, address="auto").follows_cluster
    assert not measure({"CPU": 2.0}, address="auto", workers=2).follows_cluster
    assert not measure({"CPU": 2.0}).follows_cluster


def test_there_is_room_on_every_node_that_is_up_now(measure: Measure) -> None:
    before = measure({"CPU": 4.0, "GPU": 1.0}, address="auto")
    assert room_for(before, [{"CPU": 4.0, "GPU": 1.0}]) == 1
    grown = [{"CPU": 4.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 4.0}, {"CPU": 64.0}]
    assert room_for(before, grown) == 5


def test_a_group_that_may_have_no_node_is_no_room_to_grow(measure: Measure) -> None:
    capacity = measure({"CPU": 4.0}, groups=[({"GPU": 8}, 0)], address="auto")
    assert (capacity.gpus_per_trial, capacity.can_grow) == (0.0, False)


def test_more_than_any_node_has_is_refused_with_what_there_is(measure: Measure) -> None:
    with pytest.raises(ClusterError, match="--gpus-per-trial: 1 GPU asked for, but this machine"):
        measure({"CPU": 4.0}, gpus_per_trial=1.0)
    with pytest.raises(ClusterError, match="largest node of the cluster has 2; ask for at most 2"):
        measure({"CPU": 4.0, "GPU": 2.0}, {"GPU": 2.0}, gpus_per_trial=4.0, address="auto")
    with pytest.raises(ClusterError, match="--cpus-per-trial: 16 CPU asked for"):
        measure({"CPU": 4.0}, cpus_per_trial=16.0)


def test_a_trial_that_no_single_node_has_room_for_is_refused_and_does_not_wait(
    measure: Measure,
) -> None:
    head, worker = {"CPU": 32.0}, {"CPU": 8.0, "GPU": 1.0}
    with pytest.raises(ClusterError, match="16 CPU and 1 GPU asked for, but no node of the"):
        measure(head, worker, cpus_per_trial=16.0, address="auto")
    assert measure(head, worker, cpus_per_trial=8.0, address="auto").workers == 1


def test_what_only_a_new_node_would_have_is_not_refused(measure: Measure) -> None:
    groups = [({"CPU": 8, "GPU": 4}, 2)]
    assert measure({"CPU": 4.0}, groups=groups, gpus_per_trial=4.0).gpus_per_trial == 4.0
    with pytest.raises(ClusterError, match="8 GPU asked for"):
        measure({"CPU": 4.0}, groups=groups, gpus_per_trial=8.0)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://head:10001", "must be host:port or auto, got 'ray://head:10001'; the driver runs"),
        ("head", "must be host:port or auto, got 'head'"),
        ("head:port", "must be host:port or auto, got 'head:port'"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(address: str, message: str) -> None:
    with (
        pytest.raises(ClusterError, match=message),
        ray_running(SearchOptions(name="rs", address=address)),
    ):
        pytest.fail("Ray must not have been started")


def test_an_address_at_which_nobody_answers_is_refused_at_once() -> None:
    with socket.socket() as closed:  # bound, but not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with (
            pytest.raises(ClusterError, match=f"no Ray cluster at '{address}'.*`ray status`"),
            ray_running(SearchOptions(name="rs", address=address)),
        ):
            pytest.fail("Ray must not have been started")


@pytest.mark.parametrize(
    ("asked", "cores"),
    [
        ({}, 8),
        ({"workers": 3}, 3),
        ({"workers": 3, "cpus_per_trial": 1.5}, 5),
        ({"workers": 9}, 8),
        ({"workers": 1, "cpus_per_trial": 16.0}, 8),
        ({"workers": 1, "cpus_per_trial": 0.25}, 1),
    ],
)
def test_ray_starts_on_the_cores_that_trials_use_and_as_many_processes_in_advance(
    asked: dict[str, Any], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("ray._private.utils.get_num_cpus", lambda **_: 8)
    monkeypatch.setattr(ray, "init", lambda **given: told.append(given))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with ray_running(SearchOptions(name="rs", **asked)):
        pass
    assert [given["num_cpus"] for given in told] == [cores]


def test_a_ray_that_does_not_start_is_a_refusal_not_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\nMore")  # as Ray does

    monkeypatch.setattr(ray, "init", time_out)
    message = "Ray does not start on this machine: The current node timed out during startup"
    with pytest.raises(ClusterError, match=message), ray_running(SearchOptions(name="rs")):
        pytest.fail("there is no Ray")
