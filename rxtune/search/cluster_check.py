"""Whether a cluster can run a search, and what the search will cost there; trains nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rxtune.errors import ClusterError
from rxtune.search.cluster import Capacity, measure_capacity, ray_running
from rxtune.search.nodes import (
    NodeFacts,
    ask_nodes,
    require_same_versions,
    require_seen_by_all,
)
from rxtune.search.options import SearchOptions
from rxtune.storage import require_writable

if TYPE_CHECKING:
    from rxtune.search.forecast import Forecast
    from rxtune.search.workload import Workload

SLOT_SECONDS = 900.0
"""How long to wait until a trial's place is free: a node may have to be started for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReport:
    """A cluster as it is now."""

    nodes: tuple[NodeFacts, ...]
    """All that are up now, the driver's own first."""
    capacity: Capacity
    storage: str | None
    """Where trials would keep their checkpoints; None: nothing was asked for."""


def ask_cluster(capacity: Capacity, storage: str | None) -> ClusterReport:
    """Return what all nodes of the cluster that was joined say of themselves.

    Raises:
        ClusterError: A node does not answer, or the storage cannot be written.
    """
    return ClusterReport(nodes=tuple(ask_nodes(storage)), capacity=capacity, storage=storage)


def check_places(options: SearchOptions) -> None:
    """Refuse a storage or an MLflow store that is named and would fail the search.

    Raises:
        ClusterError: The storage cannot be written.
        TrackingError: MLflow cannot be reached.
    """
    if options.storage is not None:
        require_writable(options.storage)
    if options.tracking_uri is not None:
        from rxtune.track import resolve_uri
        from rxtune.track.store import connect

        connect(resolve_uri(options.tracking_uri), options.experiment)


def check_cluster(
    options: SearchOptions, on_cluster: Callable[[ClusterReport], None], workload: Workload
) -> Forecast:
    """Ask all nodes of a cluster, and time a few steps where trials would run.

    Args:
        options: With the cluster's address.
        on_cluster: Called as soon as the nodes have answered.
        workload: Of the search.

    Raises:
        ClusterError: The cluster or one of its nodes would fail the search.
        TrialOutOfMemoryError: A step does not fit the memory there.
    """
    with ray_running(options):
        capacity = measure_capacity(options)
        report = ask_cluster(capacity, options.storage)
        on_cluster(report)
        require_usable(report)
        forecast = _measured_there(workload, capacity)
    return replace(forecast, at_a_time=capacity.workers, place="this cluster")


def require_usable(report: ClusterReport) -> None:
    """Refuse a cluster on which trials would fail.

    Raises:
        ClusterError: Versions differ, or checkpoints would lie on one node's disk, while trials
            may move between several.
    """
    require_same_versions(report.nodes)
    if report.storage is not None:
        require_seen_by_all(report.nodes, report.storage)
    elif report.capacity.nodes > 1:
        raise ClusterError(
            f"--storage: the cluster has {report.capacity.nodes} nodes, so checkpoints and models"
            " need a place that all of them reach, such as s3://bucket/folder or a shared file"
            " system"
        )


def _measured_there(workload: Workload, capacity: Capacity) -> Forecast:
    """Time the steps on the kind of node that trials get, which the driver's need not be."""
    import ray

    from rxtune.search.forecast import measure

    timed: Any = ray.remote(measure)
    place = timed.options(
        num_cpus=capacity.cpus_per_trial, num_gpus=capacity.gpus_per_trial, max_retries=0
    )
    asked = place.remote(workload)
    ready, _ = ray.wait([asked], timeout=SLOT_SECONDS)
    if not ready:
        raise ClusterError(
            f"--address: no place for a trial was free within {SLOT_SECONDS / 60:.0f} minutes;"
            " `ray status` shows what the cluster does; ask again when it is idle"
        )
    found: Forecast = ray.get(asked)
    return found
