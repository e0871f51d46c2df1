"""Hosts that join while a search runs, in a real cluster on this machine."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rxtune.search.cluster import Capacity
from rxtune.search.newcomers import Newcomers
from rxtune.search.nodes import own_versions
from rxtune.search.tuner import _room

pytestmark = pytest.mark.slow_end_to_end

MEMORY = {"object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A driver in a cluster of one node with one CPU."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **MEMORY})
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


def until(newcomers: Newcomers, wanted: Callable[[list[float]], bool]) -> list[float]:
    """Look as the search does, again and again, until the CPUs of all usable hosts are so."""
    found: list[float] = []

    def has_come() -> bool:
        found[:] = sorted(node["CPU"] for node in newcomers.look())
        return wanted(found)

    wait_until(has_come)
    return found


def wait_until(has_come: Callable[[], bool]) -> None:
    for _ in range(600):
        if has_come():
            return
        time.sleep(0.1)
    raise AssertionError("it has not come")


def heads() -> set[str]:
    """Return who was there when the search began."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def free(node: Any) -> float:
    """Return how many CPUs Ray has left on a node for whoever asks."""
    from ray._private.state import available_resources_per_node

    return available_resources_per_node().get(node.node_id, {}).get("CPU", 0.0)


def test_a_host_that_has_what_the_driver_has_counts_once_it_has_said_so(
    cluster: Any,
) -> None:
    newcomers = Newcomers(None, heads())
    joined = cluster.add_node(num_cpus=3, **MEMORY)
    assert until(newcomers, lambda cpus: 3.0 in cpus) == [1.0, 3.0]
    assert newcomers.problems == []
    cluster.remove_node(joined)
    assert until(newcomers, lambda cpus: 3.0 not in cpus) == [1.0]


@pytest.mark.parametrize(
    ("versions", "why"),
    [
        ({"rxtune": "9.9.9"}, "it has rxtune .+ where the driver has rxtune 9.9.9"),
        ({}, "it cannot see the folder of .+, where the checkpoints lie"),
    ],
)
def test_a_host_that_would_fail_trials_is_closed_to_them_and_named(
    cluster: Any, tmp_path: Path, versions: dict[str, str], why: str
) -> None:
    known = heads()
    joined = cluster.add_node(num_cpus=2, **MEMORY)  # while the data was prepared
    file = tmp_path / "probe"  # on one machine all hosts see the same disk, so it is not there
    newcomers = Newcomers(None if versions else str(file), known, own_versions() | versions)
    try:
        until(newcomers, lambda cpus: bool(newcomers.problems))
        cpus = until(newcomers, lambda cpus: free(joined) == 0)
        assert cpus == [1.0]
        (problem,) = newcomers.problems
        assert re.search(rf"joined and was not used: {why}", problem)
    finally:
        cluster.remove_node(joined)


def test_a_host_gives_more_room_unless_the_number_of_trials_is_fixed(
    cluster: Any, tmp_path: Path
) -> None:
    capacity = Capacity(workers=1, cpus_per_trial=1.0, gpus_per_trial=0.0, nodes=1, can_grow=False)
    ready: Any = SimpleNamespace(hosts=frozenset(heads()), capacity=capacity)
    follows: Any = SimpleNamespace(
        hosts=ready.hosts, capacity=replace(capacity, follows_cluster=True)
    )
    joined = cluster.add_node(num_cpus=2, **MEMORY)
    try:
        with _room(follows, str(tmp_path)) as (room, problems):
            assert len([*tmp_path.iterdir()]) == 1  # what a host must see
            wait_until(lambda: room() == 3)
            assert problems == []
        with _room(ready, str(tmp_path)) as (room, _):
            assert room() == 0
        assert [*tmp_path.iterdir()] == []
    finally:
        cluster.remove_node(joined)


def test_on_one_machine_nobody_is_asked(tmp_path: Path) -> None:
    with _room(SimpleNamespace(hosts=frozenset()), str(tmp_path)) as (room, problems):  # type: ignore[arg-type]
        assert (room(), problems) == (0, ())
    assert [*tmp_path.iterdir()] == []
