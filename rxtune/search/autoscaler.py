"""A cluster that starts without a node for trials: its autoscaler is asked for one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

NODE_SECONDS = 900.0
"""How long a node may take to come: a cloud starts and installs one in some minutes."""
LOOK_SECONDS = 2.0
_KUBERAY = "KUBERAY_GEN_RAY_START_CMD"
"""Environment variable of the pods that KubeRay makes; its autoscaler runs beside the head."""

Nodes = Iterable[Mapping[str, float]]


def is_autoscaled() -> bool:
    """Return whether an autoscaler runs beside this process, on the head: Ray itself does not say.

    `ray up` gives the head's monitor a file of node types; a cluster of fixed nodes has none.
    """
    return _KUBERAY in os.environ or any(
        b"--autoscaling-config" in line and b"monitor.py" in line for line in _command_lines()
    )


def _command_lines() -> Iterable[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:  # it has ended
            continue


def await_node(
    asked: Mapping[str, float],
    nodes: Callable[[], Nodes],
    *,
    seconds: float | None = None,
) -> None:
    """Ask for a node with some resources, and return when there is one, or it takes too long.

    Args:
        asked: What a trial needs, such as `{"CPU": 1, "GPU": 1}`.
        nodes: Returns what the nodes that are up have.
        seconds: How long to wait; `NODE_SECONDS` by default.
    """
    from ray.autoscaler.sdk import request_resources

    limit = NODE_SECONDS if seconds is None else seconds
    wish = {kind: amount for kind, amount in asked.items() if amount > 0}
    told = " and ".join(f"{amount:g} {kind}" for kind, amount in wish.items())
    sys.stderr.write(f"Waiting up to {limit / 60:.0f} min for a node with {told} …\n")
    request_resources(bundles=[wish])
    try:
        deadline = time.monotonic() + limit
        while not _is_there(wish, nodes()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
    finally:
        request_resources(bundles=[])  # from now on the trials that wait are its reason


def _is_there(wish: Mapping[str, float], nodes: Nodes) -> bool:
    return any(all(node.get(kind, 0.0) >= wish[kind] for kind in wish) for node in nodes)
