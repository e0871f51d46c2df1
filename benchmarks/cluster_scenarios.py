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
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cluster_search import REFERENCE, Search, make_reference, verdict
from cluster_timeline import births, deaths, pauses, ray_events
from search_time import processor

from rxtune.results import TrialRecord
from rxtune.track import versions
from tests.cluster.real.hosts import Host, Network, wait_until, why_impossible
from tests.cluster.real.launched import Cluster

RESULTS = Path(__file__).parent / "results" / "cluster_scenarios.md"
NOTE = """\
One run each, on an otherwise idle machine; a cluster of three hosts made of network namespaces."""
LAUNCHED = ("network-cut", "head-killed")
"""Scenarios in which the launcher or its autoscaler has a part; Ray starts faster without."""
SHORT_CUT_SECONDS = 8.0
NOTICE_SECONDS = 30
"""From a spot notice to the end of the machine; Google gives 30, AWS 120."""


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


# --- what is kept of it


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


def keep(name: str, text: str) -> None:
    """Write a scenario's section in place of its last one."""
    print(text)
    title = f"# {(__doc__ or '').partition(chr(10))[0]}\n\n"
    old = RESULTS.read_text().removeprefix(title) if RESULTS.exists() else ""
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", old, re.MULTILINE | re.DOTALL))
    sections[name] = text.partition("\n")[2]
    body = "".join(f"## {n}\n{sections[n].rstrip()}\n\n" for n in SCENARIOS if n in sections)
    RESULTS.write_text(f"{title}{NOTE}\n\n{body.rstrip()}\n")


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
