"""When nodes were lost and joined, and when trials paused: what Ray and the journal say of it."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from statistics import median

from cluster_search import Search

from rxtune.results import TrialRecord
from tests.cluster.real.hosts import Host


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


def ray_events(search: Search, since: float) -> list[tuple[float, str]]:
    """Return when Ray gave up nodes, and when they joined, after a moment."""
    hosts = search.cluster.nodes
    gone = [(at, f"Ray gives {host.name} up") for host in hosts for at in deaths(search, host)[:1]]
    new = [(at, f"{host.name} joins") for host in hosts for at in births(search, host)]
    return [(at, what) for at, what in [*gone, *new] if at > since]
