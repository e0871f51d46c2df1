"""What the nodes of a cluster say of themselves, and which clusters are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxtune.errors import ClusterError
from rxtune.search.cluster import Capacity
from rxtune.search.cluster_check import ClusterReport, require_usable
from rxtune.search.nodes import (
    NodeFacts,
    ask_nodes,
    gpus_text,
    require_same_versions,
    require_seen_by_all,
)
from tests.two_nodes import two_nodes

VERSIONS = (("Python", "3.11.7"), ("ray", "2.60.0"), ("rxtune", "0.1.0"))


def node(name: str, **changes: Any) -> NodeFacts:
    facts = {"host": name, "address": "10.0.0.1", "cpus": 4.0, "gpus": 0.0, "versions": VERSIONS}
    return NodeFacts(**{**facts, **changes})


def test_equal_nodes_pass() -> None:
    require_same_versions([node("head"), node("a"), node("b")])


@pytest.mark.parametrize(
    ("versions", "has"),
    [
        ((("Python", "3.11.7"), ("ray", "2.60.0"), ("rxtune", "0.0.9")), "rxtune 0.0.9"),
        ((("Python", "3.11.7"), ("ray", "2.60.0"), ("rxtune", "")), "rxtune missing"),
        ((("Python", "3.12.1"), ("ray", "2.60.0"), ("rxtune", "0.1.0")), "Python 3.12.1"),
    ],
)
def test_a_node_that_differs_is_named_with_what_it_has_and_needs(versions: Any, has: str) -> None:
    with pytest.raises(ClusterError, match=rf"b \(10\.0\.0\.1\) has {has} where the driver has "):
        require_same_versions([node("head"), node("a"), node("b", versions=versions)])


def test_a_storage_that_a_node_does_not_see_is_refused_by_its_name() -> None:
    nodes = [node("head", sees_storage=True), node("a", sees_storage=False)]
    with pytest.raises(ClusterError, match=r"/data must be shared by all nodes, but a \(10"):
        require_seen_by_all(nodes, "/data")


def test_of_many_nodes_that_do_not_see_it_some_are_named() -> None:
    nodes = [node(name, sees_storage=False) for name in "abcde"]
    with pytest.raises(ClusterError, match=r"c \(10\.0\.0\.1\) and 2 more cannot see"):
        require_seen_by_all(nodes, "/data")


def test_a_storage_that_was_not_asked_for_is_not_refused() -> None:
    require_seen_by_all([node("head"), node("a")], "s3://b/x")


def test_several_nodes_need_a_place_that_all_of_them_reach() -> None:
    def cluster(nodes: int, storage: str | None) -> ClusterReport:
        capacity = Capacity(
            workers=2, cpus_per_trial=1.0, gpus_per_trial=0.0, nodes=nodes, can_grow=False
        )
        facts = tuple(node(f"n{number}") for number in range(nodes))
        return ClusterReport(nodes=facts, capacity=capacity, storage=storage)

    require_usable(cluster(1, None))
    require_usable(cluster(2, "s3://b/runs"))
    with pytest.raises(ClusterError, match="--storage: the cluster has 2 nodes"):
        require_usable(cluster(2, None))


def test_gpus_read_as_people_write_them() -> None:
    two = node("a", gpus=2.0, gpu_names=("A10G", "A10G"), gpu_memory=(24.1, 24.1))
    assert gpus_text(two) == "2 × A10G 24 GB"
    assert gpus_text(node("a", gpus=1.0)) == "1"
    assert gpus_text(node("a")) == "–"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A driver in a cluster of two real nodes."""
    import ray

    with two_nodes() as address:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


@pytest.mark.slow_end_to_end
def test_every_node_describes_itself_the_drivers_own_first(cluster: None, tmp_path: Path) -> None:
    place = tmp_path / "shared" / "runs"
    found = ask_nodes(str(place))
    assert [facts.cpus for facts in found] == [1.0, 2.0]
    assert all(facts.sees_storage for facts in found)
    assert dict(found[0].versions) == dict(found[1].versions)
    assert dict(found[0].versions)["torch"]
    assert not place.parent.exists()  # nothing is left of the question


@pytest.mark.slow_end_to_end
def test_a_bucket_is_not_looked_for_on_the_nodes(cluster: None) -> None:
    assert [facts.sees_storage for facts in ask_nodes("s3://b/x")] == [None, None]


@pytest.mark.slow_end_to_end
def test_nodes_that_do_not_answer_in_time_are_named(cluster: None) -> None:
    with pytest.raises(ClusterError, match=r"must answer within 0 s, but .+ did not; look at it"):
        ask_nodes(None, seconds=0.0)
