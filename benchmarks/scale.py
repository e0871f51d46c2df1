"""Are all places of a cluster busy as it grows, and what does the driver cost there?

    python benchmarks/scale.py --workers 16
    python benchmarks/scale.py --workers 64 --lengths 60 15 5 --keep   # into results/scale.md

Ray's own cluster of many nodes on this machine, and the whole of a search but the training: Ray
Tune, journal, MLflow in a database. A trial sleeps for about its length and reports six times on
the way. All run to their end. With several lengths the trials become shorter from round to round:
that shows where it bends. A place is busy from the moment a worker has a trial in its hands to
the moment the driver has answered its last report. Counted from when the last place has its first
trial of a length to when the last trial of that length begins.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from growth import SPACE, make_director
from search_time import processor
from simulated import EVALUATIONS, messages

from rxtune.config import Configuration, Study, load_study

RESULTS = Path(__file__).parent / "results" / "scale.md"
PLACES = 8
"""Trials on a node, at most."""
ROUNDS = 2
"""Trials that a place gets of each length."""
OBJECTS = 78_643_200
"""Bytes of a node's object store: the least that Ray takes."""
SPREAD = 0.2
"""Trials last up to this share longer or shorter: else all would report at once."""


def study_of(trials: int) -> Study:
    """Return the default search without early stopping."""
    return load_study(SPACE, {"search.trials": trials, "stopping": "none"})


# --- on the workers


def stand_in(config: dict[str, Any], workload: Any) -> None:
    """Report what a trial of this configuration would, as slowly; runs on a Ray worker."""
    from ray import tune

    number = config["number"]
    began = time.time()
    seconds = length_of(number, workload.lengths, workload.per_length) / EVALUATIONS
    told = messages(number, Configuration.from_json(config["configuration"]))
    for message in told:
        if '"kind": "evaluation"' in message:
            time.sleep(seconds)
        tune.report({"message": message})
    with open(workload.times, "a") as file:
        file.write(f"{number} {began} {time.time()}\n")


def length_of(number: int, lengths: Sequence[float], per_length: int) -> float:
    """Return how long a trial lasts, in seconds."""
    length = lengths[min(number // per_length, len(lengths) - 1)]
    return length * random.Random(number).uniform(1 - SPREAD, 1 + SPREAD)


# --- on the driver


@dataclass
class Ticks:
    """What the driver has used and heard by now, noted every half second."""

    reports: int = 0
    worker_megabytes: float = 0.0
    noted: list[tuple[float, float, float, int]] = field(default_factory=list)

    @contextmanager
    def noting(self, workers: int) -> Iterator[None]:
        """Note in the background, with the processor time of the thread that asks for it."""
        done = threading.Event()
        clock = time.pthread_getcpuclockid(threading.get_ident())

        def note() -> None:
            while not done.wait(0.5):
                own = time.clock_gettime(clock)
                self.noted.append((time.time(), time.process_time(), own, self.reports))
                if not self.worker_megabytes and self.reports > workers:
                    self.worker_megabytes = worker_megabytes()

        thread = threading.Thread(target=note)
        thread.start()
        yield
        done.set()
        thread.join()

    def between(self, first: float, last: float) -> dict[str, float]:
        """Return the processor time per report, in ms, and its share of the time."""
        (t0, all0, own0, n0), *_, (t1, all1, own1, n1) = [
            tick for tick in self.noted if first <= tick[0] <= last
        ]
        reports = max(1, n1 - n0)
        return {
            "reports a second": round(reports / (t1 - t0), 2),
            "driver ms a report": round(1000 * (all1 - all0) / reports, 1),
            "loop ms a report": round(1000 * (own1 - own0) / reports, 1),
            "loop %": round(100 * (own1 - own0) / (t1 - t0), 1),
        }


@contextmanager
def cluster_of(workers: int) -> Iterator[str]:
    """Run nodes with as many places together, beside a head that takes no trials."""
    from ray.cluster_utils import Cluster

    os.environ.update({"RAY_prestart_worker_first_driver": "0"})  # nothing would use them
    memory = {"object_store_memory": OBJECTS}
    head = {"num_cpus": 0, "include_dashboard": False, **memory}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for first in range(0, workers, PLACES):
            cluster.add_node(wait=False, num_cpus=min(PLACES, workers - first), **memory)
        cluster.wait_for_nodes(timeout=120)
        yield cluster.address
    finally:
        cluster.shutdown()


def run(workers: int, lengths: Sequence[float], folder: Path) -> list[dict[str, Any]]:
    """Run a search of simulated trials on so many places; return a row per length."""
    import simulated
    from ray import cloudpickle

    import rxtune.search.trial
    from rxtune.search.cluster import import_ray, measure_capacity, ray_running
    from rxtune.search.decisions import SearchStudy
    from rxtune.search.options import SearchOptions
    from rxtune.search.tuner import _tune
    from rxtune.track import Tracker

    cloudpickle.register_pickle_by_value(simulated)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    rxtune.search.trial.run_trial = stand_in  # type: ignore[assignment]
    per_length, ticks = workers * ROUNDS, Ticks()
    workload = SimpleNamespace(
        lengths=tuple(lengths), per_length=per_length, times=str(folder / "times.txt")
    )
    import_ray(SearchOptions(name="scale", address="auto"))
    uri = f"sqlite:///{folder}/mlflow.db"
    tracker = Tracker.open(uri, experiment="scale", run_name="scale", search_id="scale")
    study = study_of(per_length * len(lengths))
    with cluster_of(workers) as address, SearchStudy.create(folder / "j.log", study) as decisions:
        options = SearchOptions(name="scale", address=address)
        with ray_running(options):
            director = make_director(decisions, tracker, folder)
            hear = director.hear

            def counting(number: int, message: str) -> bool:
                ticks.reports += 1
                stop: bool = hear(number, message)
                return stop

            director.hear = counting
            began = time.time()
            with ticks.noting(workers):
                _tune(
                    director,
                    SimpleNamespace(
                        workload=workload, capacity=measure_capacity(options), hosts=()
                    ),  # type: ignore[arg-type]
                    director._models,
                )
    tracker.close(600)
    assert not tracker.problems, tracker.problems
    trials = read_times(folder / "times.txt")
    return [row(workers, n, length, trials, ticks, began) for n, length in enumerate(lengths)]


def read_times(path: Path) -> dict[int, tuple[float, float]]:
    """Return when each trial began and ended on its worker."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {int(number): (float(first), float(last)) for number, first, last in lines}


def row(
    workers: int,
    position: int,
    length: float,
    trials: dict[int, tuple[float, float]],
    ticks: Ticks,
    began: float,
) -> dict[str, Any]:
    """Return what the trials of one length have shown."""
    per_length = workers * ROUNDS
    own = range(position * per_length, (position + 1) * per_length)
    starts = sorted(trials[number][0] for number in own)
    first, last = starts[workers - 1], starts[-1]
    spent = sum(max(0.0, min(end, last) - max(start, first)) for start, end in trials.values())
    return {
        "workers": workers,
        "nodes": -(-workers // PLACES),
        "trial s": length,
        "busy %": round(100 * spent / (workers * (last - first)), 2),
        **ticks.between(first, last),
        "window s": round(last - first),
        "ready s": round(starts[workers - 1] - began) if position == 0 else "",
        "worker MB": round(ticks.worker_megabytes),
    }


# --- the command


def measure(workers: int, lengths: Sequence[float]) -> list[dict[str, Any]]:
    """Return the rows of one cluster, measured in a process of its own."""
    command = [sys.executable, __file__, "--here", "--workers", str(workers), "--lengths"]
    words = [str(length) for length in lengths]
    done = subprocess.run([*command, *words], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def worker_megabytes() -> float:
    """Return the memory of one worker process that is its own, in MB."""
    sizes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if path.read_text().startswith("ray::ImplicitFunc"):
            rollup = path.with_name("smaps_rollup").read_text()
            sizes.append(next(int(x.split()[1]) for x in rollup.splitlines() if "Pss:" in x))
    return sum(sizes) / max(1, len(sizes)) / 1024


def keep(rows: list[dict[str, Any]], where: str) -> None:
    """Write rows into the table, in place of those with as many workers and as long trials."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    table = [line for line in lines if line.startswith("|")][2:]
    kept = {tuple(line.split(" | ")[:3]): line for line in table}
    for row in rows:
        line = "| " + " | ".join(str(value) for value in row.values()) + " |"
        kept[tuple(line.split(" | ")[:3])] = line
    ordered = sorted(kept.values(), key=_order)
    head = ["| " + " | ".join(rows[0]) + " |", "|" + "---:|" * len(rows[0])]
    title = f"# {(__doc__ or '').partition(chr(10))[0]}"
    RESULTS.write_text("\n\n".join([title, "\n".join([*head, *ordered]), where]) + "\n")


def _order(line: str) -> tuple[int, float]:
    workers, _, length, *_ = line.strip("| ").split(" | ")
    return int(workers), -float(length)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--lengths", type=float, nargs="+", default=[75.0])
    parser.add_argument("--keep", action="store_true", help="write the rows into the results")
    parser.add_argument("--here", action="store_true", help="measure in this process")
    arguments = parser.parse_args()
    if arguments.here:
        with TemporaryDirectory() as folder:
            for found in run(arguments.workers[0], arguments.lengths, Path(folder)):
                print(json.dumps(found))
        return
    from rxtune.track import versions

    stack = ", ".join(f"{package} {version}" for package, version in versions().items())
    where = f"{processor()}, {os.cpu_count()} cores; {stack}"
    print(where, flush=True)
    for workers in arguments.workers:
        rows = measure(workers, arguments.lengths)
        print(*rows, sep="\n", flush=True)
        if arguments.keep:
            keep(rows, where)


if __name__ == "__main__":
    main()
