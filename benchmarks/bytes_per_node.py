"""Do weights and data travel once per node, or once per trial?

    python benchmarks/bytes_per_node.py

Ray's own cluster of several nodes on this machine, each with an object store of its own, and the
whole of a search but the training. What trials share is a stand-in of 64 MB, handed to Ray as the
search does it, and every trial reads all of it. Counted by Ray: the bytes of all objects that came
into being in a node's store, which on nodes without a driver are those that it was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from growth import make_director
from scale import study_of
from search_time import processor
from simulated import messages

from rxtune.config import Configuration

TRIALS = (1, 4)
"""Trials per node."""
SHARED_BYTES = 64_000_000
OBJECTS = 150_000_000
"""Bytes of a node's object store."""
RESULTS = Path(__file__).parent / "results" / "bytes_per_node.md"


def stand_in(config: dict[str, Any], workload: Any) -> None:
    """Read all that trials share, and report what a trial would; runs on a Ray worker."""
    from ray import tune

    assert int(workload.shared.sum()) == SHARED_BYTES
    time.sleep(1)  # so that every node gets some
    for message in messages(config["number"], Configuration.from_json(config["configuration"])):
        tune.report({"message": message})


def run(nodes: int, trials: int, folder: Path) -> list[int]:
    """Run a search on so many nodes; return the bytes that came to each, its largest first."""
    import numpy as np
    import simulated
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    import rxtune.search.trial
    from rxtune.search.cluster import import_ray, measure_capacity, ray_running
    from rxtune.search.decisions import SearchStudy
    from rxtune.search.options import SearchOptions
    from rxtune.search.tuner import _tune
    from rxtune.track import Tracker

    cloudpickle.register_pickle_by_value(simulated)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    rxtune.search.trial.run_trial = stand_in  # type: ignore[assignment]
    workload: Any = SimpleNamespace(shared=np.ones(SHARED_BYTES, np.uint8))
    import_ray(SearchOptions(name="bytes", address="auto"))
    memory = {"object_store_memory": OBJECTS}
    head = {"num_cpus": 0, "include_dashboard": False, **memory}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    uri = f"sqlite:///{folder}/mlflow.db"
    tracker = Tracker.open(uri, experiment="bytes", run_name="bytes", search_id="bytes")
    try:
        workers = [cluster.add_node(num_cpus=1, **memory) for _ in range(nodes)]
        options = SearchOptions(name="bytes", address=cluster.address)
        with (
            SearchStudy.create(folder / "journal.log", study_of(trials)) as decisions,
            ray_running(options),
        ):
            director = make_director(decisions, tracker, folder)
            _tune(
                director,
                SimpleNamespace(workload=workload, capacity=measure_capacity(options), hosts=()),  # type: ignore[arg-type]
                director._models,
            )
            return sorted((came_to(node.node_id) for node in workers), reverse=True)
    finally:
        tracker.close(600)
        cluster.shutdown()


def came_to(node: str) -> int:
    """Return the bytes of all objects that were ever made or received in a node's store."""
    import ray
    from ray._private.internal_api import node_stats

    (found,) = [one for one in ray.nodes() if one["NodeID"] == node]
    stats = node_stats(found["NodeManagerAddress"], found["NodeManagerPort"])
    return int(stats.store_stats.cumulative_created_bytes)


def measure(nodes: int, trials: int) -> list[int]:
    """Return one measurement, made in a process of its own."""
    command = [sys.executable, __file__, "--here", str(nodes), str(trials)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: list[int] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--here", type=int, nargs=2, metavar=("NODES", "TRIALS"))
    arguments = parser.parse_args()
    if arguments.here:
        with TemporaryDirectory() as folder:
            print(json.dumps(run(*arguments.here, Path(folder))))
        return
    from rxtune.track import versions

    rows = [row(nodes, nodes * count) for nodes in arguments.nodes for count in TRIALS]
    stack = ", ".join(f"{package} {version}" for package, version in versions().items())
    keep(rows, f"{processor()}, {os.cpu_count()} cores; {stack}")


def row(nodes: int, trials: int) -> str:
    """Measure, print and return a row of the table."""
    found = [count / 1e6 for count in measure(nodes, trials)]
    total = sum(found)
    text = f"| {nodes} | {trials} | {total:.0f} | {found[0]:.1f} | {total / trials:.1f} |"
    print(text, flush=True)
    return text


def keep(rows: list[str], where: str) -> None:
    """Write rows into the table, in place of those with as many nodes and trials."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    table = [*(line for line in lines if re.match(r"\| \d", line)), *rows]
    kept: dict[tuple[int, int], str] = {}
    for line in table:
        nodes, trials = (int(word) for word in line.strip("| ").split(" | ")[:2])
        kept[nodes, trials] = line
    head = ["| nodes | trials | MB sent, all nodes | per node, most | per trial |"]
    head.append("|---:|---:|---:|---:|---:|")
    title = f"# {(__doc__ or '').partition(chr(10))[0]}"
    shared = f"Trials share {SHARED_BYTES / 1e6:.0f} MB."
    body = "\n".join([*head, *(kept[key] for key in sorted(kept))])
    RESULTS.write_text("\n\n".join([title, shared, body, where]) + "\n")


if __name__ == "__main__":
    main()
