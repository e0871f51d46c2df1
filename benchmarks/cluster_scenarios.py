"""What becomes of a search when machines of its cluster die, vanish, leave or join?

    PYTHONPATH=. python benchmarks/cluster_scenarios.py reference
    PYTHONPATH=. python benchmarks/cluster_scenarios.py worker-killed

Needs Linux and root: the machines are namespaces of this one (tests/cluster/real/hosts.py), and
`ray up cluster/on-prem.yaml` makes a cluster of them. Each scenario runs the same search, whose
proposals depend on its seed alone and which stops no trial early. Whatever happens, it must end
with the trials, values, results, best model and MLflow runs of the reference, a search on one
machine that nothing happens to. Outcomes are kept in results/cluster_scenarios.md, a section each.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from kill_campaign import make_encoder
from kill_comparison import MODEL, digest, shown_in_mlflow, trial_of, where_in
from search_time import processor

from rxtune.results import TrialRecord
from rxtune.search.decisions import SearchStudy
from rxtune.track import versions
from rxtune.track.store import connect
from tests.cluster.real.hosts import REPOSITORY, Host, Network, wait_until, why_impossible
from tests.cluster.real.launched import Cluster

SPACE = """\
space:
  method: {choice: [standard, rs_rp]}
  sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}
  learning_rate: {log_uniform: [0.3, 3.0]}
search: {trials: 5, sampler: random}
stopping: none
train: {epochs: 4, max_length: 32}
"""
NAME = "search"
RESULTS = Path(__file__).parent / "results" / "cluster_scenarios.md"
REFERENCE = Path("/var/tmp/rxtune-cluster-reference")
"""Where the undisturbed search is kept between two calls."""
LAUNCHED = ("network-cut", "head-killed")
"""Scenarios in which the launcher or its autoscaler has a part; Ray starts faster without."""
SHORT_CUT_SECONDS = 8.0
NOTICE_SECONDS = 30
"""From a spot notice to the end of the machine; Google gives 30, AWS 120."""


@dataclass
class Search:
    """The search on a cluster's head, and what happened to it."""

    cluster: Cluster
    head: Host
    storage: Path
    began: float = field(default_factory=time.time)
    events: list[tuple[float, str]] = field(default_factory=list)

    @classmethod
    def start(cls, cluster: Cluster) -> Search:
        """Start it on the head as cluster/on-prem.md does; return when all its trials train."""
        shared = cluster.network.shared
        (shared / "space.yaml").write_text(SPACE)
        shutil.copytree(REFERENCE / "encoder", shared / "encoder")
        shutil.copy(REFERENCE / "empty.db", shared / "mlflow.db")
        search = cls(cluster, cluster.head, shared / "storage")
        search.launch(f"--space {shared}/space.yaml --model {shared}/encoder")
        return search

    def launch(self, what: str) -> None:
        """Start or resume it on the head, with its output in a file."""
        tracking = f"sqlite:///{self.cluster.network.shared}/mlflow.db"
        self.head.start(
            f"rxtune search {what} --name {NAME} --address auto --storage {self.storage}"
            f" --tracking-uri {tracking}; echo $? > search.code",
            log=self.head.home / "search.log",
        )

    @property
    def journal(self) -> Path:
        return self.head.home / "runs" / NAME / "journal.log"

    def records(self) -> list[TrialRecord]:
        """Return the trials as the journal has them."""
        if not self.journal.exists() or not self.journal.stat().st_size:
            return []
        with SearchStudy.open(self.journal, read_only=True) as study:
            return study.records()

    def running(self) -> list[TrialRecord]:
        """Return the trials that have begun and not ended."""
        return [record for record in self.records() if record.ended is None]

    def wait_for_evaluations(self, trials: int, least: int = 2) -> None:
        """Wait until so many running trials have at least so many evaluations each."""
        self.wait_until(
            lambda: sum(len(r.evaluations) >= least for r in self.running()) >= trials,
            f"{trials} trials run",
        )

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
        """Wait for something while the search runs."""
        code = self.head.home / "search.code"
        wait_until(lambda: condition() or code.exists(), what, seconds=seconds)
        if not condition():
            raise RuntimeError(f"the search ended before: {what}\n{self.output()}")

    def wait_for_end(self, seconds: float = 200) -> str:
        """Return its exit code."""
        code = self.head.home / "search.code"
        wait_until(code.exists, "the search ends", seconds=seconds)
        wait_until(lambda: bool(code.read_text()), "the search ends")
        return code.read_text().strip()

    def output(self) -> str:
        """Return what it has printed."""
        log = self.head.home / "search.log"
        return log.read_text() if log.exists() else ""

    def tell(self, what: str, at: float | None = None) -> None:
        """Add to the scenario's timeline."""
        self.events.append((at or time.time(), what))


# --- what happens


def worker_killed(search: Search) -> None:
    """A worker loses power in the middle of trials: no packet tells the others."""
    worker = search.cluster.workers[0]
    lose(search, worker, worker.kill, "worker1 loses power")
    search.wait_for_end()


def worker_crashed(search: Search) -> None:
    """A worker is shut down in the middle of trials: its kernel still closes the connections."""
    worker = search.cluster.workers[0]
    lose(search, worker, worker.crash, "worker1 is shut down")
    search.wait_for_end()


def network_hiccup(search: Search) -> None:
    """A worker's network is cut for some seconds, shorter than Ray takes to give it up."""
    worker = search.cluster.workers[0]
    search.wait_for_evaluations(3)
    worker.cut()
    search.tell("worker1 is cut off")
    time.sleep(SHORT_CUT_SECONDS)  # the length of the hiccup is the scenario
    worker.mend()
    search.tell("its network is mended")
    search.wait_for_end()


def network_cut(search: Search) -> None:
    """A worker's network is cut until Ray has given it up, then mended; meanwhile it trains on."""
    worker = search.cluster.workers[0]
    lose(search, worker, worker.cut, "worker1 is cut off")
    wait_until(lambda: bool(deaths(search, worker)), "Ray gives it up", seconds=150)
    worker.mend()
    search.tell("its network is mended")
    search.wait_for_end()
    wait_until(lambda: len(births(search, worker)) > 1, "worker1 joins again", seconds=120)


def host_added(search: Search) -> None:
    """A host joins a cluster of two while the search runs: `ray start` on it, with the token."""
    search.wait_for_evaluations(2)
    new = search.cluster.join("worker2")
    search.tell("worker2 has joined", births(search, new)[0])
    search.wait_until(lambda: bool(new.processes("ray::ImplicitFunc")), "worker2 trains")
    search.tell("worker2 trains")
    search.wait_for_end()


def spot_notice(search: Search) -> None:
    """A machine will be taken away in 30 s: Ray is told to drain it, then it loses power."""
    worker = search.cluster.workers[0]
    search.wait_for_evaluations(3)
    node = search.cluster.alive()[worker.address]
    drain = (
        f"ray drain-node --node-id {node} --reason DRAIN_NODE_REASON_PREEMPTION"
        f" --reason-message spot --deadline-remaining-seconds {NOTICE_SECONDS}"
    )
    search.head.run(drain)
    noticed = time.time()
    search.tell(f"notice: worker1 goes in {NOTICE_SECONDS} s")
    while time.time() < noticed + NOTICE_SECONDS and worker.processes("ray::ImplicitFunc"):
        time.sleep(0.5)
    if not worker.processes("ray::ImplicitFunc"):
        search.tell("its trial has left it")
    wait_until(lambda: time.time() > noticed + NOTICE_SECONDS, "the notice is up")
    worker.kill()
    search.tell("worker1 loses power")
    search.wait_for_end()


def head_killed(search: Search) -> None:
    """The head loses power; another machine becomes the head and resumes from the storage."""
    search.wait_until(lambda: any(r.ended for r in search.records()), "a trial ends")
    search.wait_for_evaluations(2)
    before = search.records()
    search.head.kill()
    search.tell(f"the head loses power, {sum(r.ended is not None for r in before)} trials ended")
    cluster = search.cluster
    cluster.head = search.head = cluster.network.add("head2")
    cluster.write_file()
    cluster.up()
    search.tell("a new head is up, and the workers have joined it")
    search.launch("--resume")
    search.wait_until(lambda: bool(search.running()), "trials go on")
    search.tell("trials go on")
    lost = [old.number for old in before if not is_kept(old, search.records())]
    search.tell(f"redone: {', '.join(f'trial {n}' for n in lost) or 'nothing'}")
    search.wait_for_end()


SCENARIOS: dict[str, Callable[[Search], None]] = {
    "worker-killed": worker_killed,
    "worker-crashed": worker_crashed,
    "network-hiccup": network_hiccup,
    "network-cut": network_cut,
    "host-added": host_added,
    "spot-notice": spot_notice,
    "head-killed": head_killed,
}


def lose(search: Search, worker: Host, how: Callable[[], None], what: str) -> None:
    """Make a worker disappear while three trials run."""
    search.wait_for_evaluations(3)
    how()
    search.tell(what)


def is_kept(old: TrialRecord, now: list[TrialRecord]) -> bool:
    """Return whether a trial has all that it had."""
    found = next((record for record in now if record.number == old.number), None)
    return found is not None and found.evaluations[: len(old.evaluations)] == old.evaluations


# --- what Ray and the journal say of it


def deaths(search: Search, worker: Host) -> list[float]:
    """Return when Ray gave up nodes of a host."""
    return [at for at, line in head_log(search, worker) if "death reason" in line]


def births(search: Search, worker: Host) -> list[float]:
    """Return when nodes of a host joined."""
    return [at for at, line in head_log(search, worker) if "Registering new node" in line]


def head_log(search: Search, worker: Host) -> list[tuple[float, str]]:
    """Return the lines of Ray's control service that name a host's node, with their times."""
    logs = list((search.head.folder / "tmp" / "ray").glob("session_2*/logs/gcs_server.out"))
    lines = [line for log in logs for line in log.read_text().splitlines()]
    joined = re.compile(rf"node_id=(\w+) .*node_address={re.escape(worker.address)}$")
    own = {found[1] for line in lines if (found := joined.search(line))}
    return [
        (datetime.fromisoformat(m[1].replace(",", ".")).timestamp(), line)
        for line in lines
        if (m := _TIME.match(line)) and any(node in line for node in own)
    ]


_TIME = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d+)")


def pauses(records: list[TrialRecord], since: float) -> list[tuple[float, str]]:
    """Return, of each trial that was interrupted after a moment, when it went on."""
    found = []
    for record in records:
        times = [e.time for e in record.evaluations]
        for number, (last, following) in enumerate(pairwise(times), start=2):
            usual = median(later - earlier for earlier, later in pairwise(times))
            if last <= since + usual and following > since and following - last > 2 * usual:
                what = f"its last was {following - last:.1f} s before, usually {usual:.1f} s"
                found.append((following, f"trial {record.number} has evaluation {number}; {what}"))
    return found


# --- what must have come out


def outcome(folder: Path, mlflow: Path) -> dict[str, Any]:
    """Return what a search has left that must not depend on what happened to it."""
    with SearchStudy.open(folder / "journal.log", read_only=True) as study:
        trials = [trial_of(record) for record in study.records()]
    place = mlflow.parent
    runs = [run for run in shown_in_mlflow(place) if run[0] != NAME]
    return {
        "trials": trials,
        "best model": digest(folder / "best" / MODEL),
        "MLflow": sorted(runs, key=repr),
    }


def make_reference() -> None:
    """Run the search on this machine alone, and keep what it leaves."""
    shutil.rmtree(REFERENCE, ignore_errors=True)
    REFERENCE.mkdir()
    (REFERENCE / "space.yaml").write_text(SPACE)
    encoder = make_encoder(REFERENCE / "encoder")
    words = ["--space", "space.yaml", "--model", str(encoder), "--storage", "storage"]
    command = [sys.executable, "-m", "rxtune", "search", "--name", NAME, "--workers", "1", *words]
    began = time.time()
    # Made here, as its making takes long and belongs to no scenario.
    connect(f"sqlite:///{REFERENCE}/mlflow.db", "another")
    shutil.copy(REFERENCE / "mlflow.db", REFERENCE / "empty.db")
    here = {**os.environ, "PYTHONPATH": str(REPOSITORY)}  # as on the hosts
    subprocess.run(command, cwd=REFERENCE, env=here, check=True)
    print(f"{time.time() - began:.0f} s")


def play(name: str) -> None:
    """Run a scenario, compare what came out with the reference, and write its section."""
    with Network() as network:
        workers = 1 if name == "host-added" else 2
        cluster = Cluster(network, workers=workers, dashboard=False)
        cluster.up() if name in LAUNCHED else cluster.start()
        search = Search.start(cluster)
        try:
            SCENARIOS[name](search)
        except BaseException:
            print(search.output(), *search.events, sep="\n")
            raise
        keep(name, section(name, search, verdict(search)))


def verdict(search: Search) -> str:
    """Return whether the search came out as the reference did, and where not."""
    code = (search.head.home / "search.code").read_text().strip()
    if code != "0":
        return f"**NO: exit {code}**: {search.output().strip().splitlines()[-1]}"
    shared = search.cluster.network.shared
    expected = outcome(REFERENCE / "runs" / NAME, REFERENCE / "mlflow.db")
    found = outcome(search.journal.parent, shared / "mlflow.db")
    unequal = [where_in(kind, found[kind], expected[kind]) for kind in expected
               if found[kind] != expected[kind]]  # fmt: skip
    return f"**NO: {'; '.join(unequal)}**" if unequal else "yes"


def section(name: str, search: Search, outcome: str) -> str:
    """Return a scenario's part of the results."""
    search.events.sort()
    first = search.events[0][0]
    events = [*search.events, *ray_events(search, first), *pauses(search.records(), first)]
    if ends := [record.ended for record in search.records() if record.ended]:
        events.append((max(ends), "the last trial ends"))
    rows = [f"| {at - first:+.1f} | {what} |" for at, what in sorted(events)]
    table = ["| s | |", "|---:|---|", *rows]
    stack = ", ".join(f"{package} {version}" for package, version in versions().items())
    where = f"{processor()}, {os.cpu_count()} cores; {stack}; {datetime.now():%Y-%m-%d}"
    says = SCENARIOS[name].__doc__ or ""
    equal = f"All trials, results, the best model and MLflow as in the reference: {outcome}."
    return "\n\n".join([f"## {name}", says.strip(), "\n".join(table), equal, where]) + "\n"


def ray_events(search: Search, since: float) -> list[tuple[float, str]]:
    """Return when Ray gave up nodes, and when they joined, after a moment."""
    hosts = search.cluster.nodes
    gone = [(at, f"Ray gives {host.name} up") for host in hosts for at in deaths(search, host)[:1]]
    new = [(at, f"{host.name} joins") for host in hosts for at in births(search, host)]
    return [(at, what) for at, what in [*gone, *new] if at > since]


def keep(name: str, text: str) -> None:
    """Write a scenario's section in place of its last one."""
    print(text)
    title = f"# {(__doc__ or '').partition(chr(10))[0]}\n\n"
    old = RESULTS.read_text().removeprefix(title) if RESULTS.exists() else ""
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", old, re.MULTILINE | re.DOTALL))
    sections[name] = text.partition("\n")[2]
    body = "".join(f"## {n}\n{sections[n].rstrip()}\n\n" for n in SCENARIOS if n in sections)
    RESULTS.write_text(title + body.rstrip() + "\n")


def main() -> None:
    """Run one scenario, or the reference, and keep what came out."""
    parser = argparse.ArgumentParser(description="Disturb a search on a cluster of namespaces.")
    parser.add_argument("scenario", choices=["reference", *SCENARIOS])
    arguments = parser.parse_args()
    if arguments.scenario == "reference":
        make_reference()
        return
    if why := why_impossible():
        sys.exit(why)
    if not REFERENCE.exists():
        sys.exit("first: cluster_scenarios.py reference")
    play(arguments.scenario)


if __name__ == "__main__":
    main()
