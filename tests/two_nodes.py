"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def two_nodes() -> Iterator[str]:
    """Run a head with one CPU and a node with two, and lend the cluster's address."""
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **memory})
    try:
        cluster.add_node(num_cpus=2, **memory)
        yield cluster.address
    finally:
        cluster.shutdown()
