"""What `rxtune check --address` shows of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from rxtune.cli.console import output
from rxtune.cli.data import plain_table
from rxtune.search.nodes import gpus_text

if TYPE_CHECKING:
    from rxtune.search.cluster_check import ClusterReport
    from rxtune.search.nodes import NodeFacts


def show_cluster(report: ClusterReport) -> None:
    """Print the nodes, their versions and how many trials they hold."""
    mine = report.nodes[0]
    output.print("\n[bold]Cluster[/], the driver's node first:")
    columns = ("node", "address", "CPUs", "GPUs", "versions")
    table = plain_table(*columns, right=("CPUs",))
    for node in report.nodes:
        cells = (
            node.host,
            node.address,
            f"{node.cpus:g}",
            gpus_text(node),
            _different(node, mine),
        )
        table.add_row(*map(escape, cells))
    output.print(table)
    versions = ", ".join(f"{name} {found}" for name, found in mine.versions)
    capacity = report.capacity
    grows = " More nodes may be added by the autoscaler; they are not asked." * capacity.can_grow
    output.print(
        f"The driver has {escape(versions)}. {capacity.workers} trials at a time, each with"
        f" {capacity.cpus_per_trial:g} CPU and {capacity.gpus_per_trial:g} GPU.{grows}",
        soft_wrap=True,
    )


def _different(node: NodeFacts, mine: NodeFacts) -> str:
    """Return what a node has in another version than the driver."""
    found = dict(node.versions)
    other = [
        f"{name} {found.get(name) or 'missing'}"
        for name, version in mine.versions
        if found.get(name) != version
    ]
    return ", ".join(other) or ("the driver's" if node is not mine else "")
