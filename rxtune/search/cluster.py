"""Ray: started on this machine or joined, and asked what it has room for."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rxtune.errors import ClusterError
from rxtune.search.autoscaler import await_node, is_autoscaled
from rxtune.search.cluster_token import require_token
from rxtune.search.nodes import alive_nodes
from rxtune.search.options import SearchOptions
from rxtune.search.quiet import raylet_silenced

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # verbose=0 alone still prints
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the new behaviour, without its warning
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # 300 KB of driver memory a trial
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # a lost worker is told of in one line
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the tuner has its own: it must tell the trials
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",  # else those at the start bound those of a new host
    # Its own takes a SIGTERM away from Python: the process then aborts and leaves others behind.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the journal remembers, Ray does not
    # Else Ray itself starts the trial of a preempted node again, beside the one that we start.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Environment that keeps Ray quiet and out of the journal's business."""

PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What trials run on."""

    workers: int
    """Trials at a time."""
    cpus_per_trial: float
    gpus_per_trial: float
    nodes: int
    can_grow: bool
    """Whether an autoscaler may add nodes."""
    follows_cluster: bool = False
    """Whether there are to be more trials at a time where hosts have joined."""

    @property
    def threads(self) -> int:
        """CPU threads of one trial."""
        return max(1, int(self.cpus_per_trial))

    @property
    def device(self) -> str:
        """Where a trial trains: on the CPU if no GPU was asked for, even where there is one."""
        return "cuda" if self.gpus_per_trial > 0 else "cpu"


def import_ray(options: SearchOptions) -> None:
    """Import Ray with the environment that it is to have; some of it is read only then."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if options.address is None:
        # Ray keeps as many idle processes as there are free cores. A trial first takes the core
        # and then the process, and in between Ray would end the one that has all imported.
        os.environ.setdefault("RAY_kill_idle_workers_interval_ms", "0")
    if _every_process_trains(options):
        os.environ.setdefault("RAY_preload_python_modules", "rxtune.search.preload")
    import ray  # noqa: F401


def _every_process_trains(options: SearchOptions) -> bool:
    """Return whether the processes that Ray starts in advance, one per core, will all be used."""
    has_gpu = options.gpus_per_trial != 0 and any(Path("/dev").glob("nvidia[0-9]*"))
    return options.address is None and options.cpus_per_trial == 1 and not has_gpu


def _own_cores(options: SearchOptions) -> int:
    """Return the cores of this machine that Ray is to know of: those that trials will use."""
    from ray._private.utils import get_num_cpus  # heeds the limits of a container

    cores = int(get_num_cpus(override_docker_cpu_warning=True))
    if options.workers is None:
        return cores
    return max(1, min(cores, math.ceil(options.workers * options.cpus_per_trial)))


@contextmanager
def in_started_processes(options: SearchOptions) -> Iterator[None]:
    """Let Ray Tune take the processes that Ray has started in advance on this machine.

    It asks for processes with an environment of its own, which are started when a trial is there;
    on one machine all inherit the driver's environment anyhow.
    """
    from ray.tune.execution import class_cache

    if options.address is not None:
        yield
        return
    own, passed_on = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = own, passed_on


@contextmanager
def ray_running(options: SearchOptions) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster at `options.address`; leave it at the end.

    Raises:
        ClusterError: there is no cluster at the address, or Ray does not start.
        KeyboardInterrupt: Ctrl-C or a SIGTERM came while Ray was starting.
    """
    import_ray(options)
    import ray

    _require_reachable(options.address)
    if options.address is not None:
        require_token(options.address)
    where: dict[str, Any] = {"address": options.address}
    if options.address is None:
        cores = _own_cores(options)
        where = {"address": "local", "include_dashboard": False, "num_cpus": cores}
    try:
        with _signals_afterwards():
            ray.init(
                **where,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except KeyboardInterrupt:
        ray.shutdown()
        raise
    except Exception as error:  # a node that does not come up in time is a bare one of Ray's
        raise _unreachable(options.address, str(error).strip().partition("\n")[0]) from error
    try:
        with raylet_silenced():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _signals_afterwards() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block, in which Ray starts; a second may not.

    Half started, Ray leaves processes behind. It takes SIGTERM for itself there, as an exception
    that is lost in some places; so it is kept from that.
    """
    from ray._private import utils

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: Any) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = {kind: signal.signal(kind, note) for kind in (signal.SIGINT, signal.SIGTERM)}
    patched: Any = utils
    taking = getattr(utils, "set_sigterm_handler", None)
    patched.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        patched.set_sigterm_handler = taking
        for kind, handler in before.items():
            signal.signal(kind, signal.SIG_DFL if handler is None else handler)
    if came:
        raise KeyboardInterrupt


def _require_reachable(address: str | None) -> None:
    """Refuse an address at once that nothing answers at; Ray itself would retry for long."""
    if address in (None, "auto", "local"):
        return
    if "://" in address:
        raise ClusterError(
            f"--address: must be host:port or auto, got {address!r}; the driver runs on the"
            " cluster's head node: `ray exec cluster/gpu.yaml 'rxtune search … --address auto'`"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"--address: must be host:port or auto, got {address!r}")
    try:
        socket.create_connection((host, int(port)), PROBE_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, str(error)) from error


def _unreachable(address: str | None, why: str) -> ClusterError:
    if address is None:
        return ClusterError(f"Ray does not start on this machine: {why}")
    return ClusterError(
        f"--address: no Ray cluster at {address!r} ({why}); the search runs on a node of it, best"
        " the head (`ray exec cluster/… 'rxtune search … --address auto'`), where `ray status`"
        " shows it; without --address it runs on this machine alone"
    )


def measure_capacity(options: SearchOptions) -> Capacity:
    """Return how many trials fit at a time, of those that were asked for.

    Raises:
        ClusterError: a trial asks for more than any node has or could ever have.
    """
    nodes = _nodes()
    wish = {"CPU": options.cpus_per_trial, "GPU": options.gpus_per_trial or 0.0}
    is_fixed = options.address is None or not is_autoscaled()
    if not is_fixed and not any(_fitting(node, *wish.values()) for node in nodes):
        await_node(wish, _nodes)
        nodes = _nodes()
    grown = _largest_after_growth()
    n_gpus = max(_most(nodes, "GPU"), grown.get("GPU", 0.0))
    gpus = options.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if n_gpus >= 1 else 0.0
    for flag, kind, asked in (
        ("--gpus-per-trial", "GPU", gpus),
        ("--cpus-per-trial", "CPU", options.cpus_per_trial),
    ):
        _require_room(flag, kind, asked, nodes, grown, options.address)
    fitting = sum(_fitting(node, options.cpus_per_trial, gpus) for node in nodes)
    if not fitting and not grown:  # each fits some node, but not the same
        raise ClusterError(
            f"--cpus-per-trial: {options.cpus_per_trial:g} CPU and {gpus:g} GPU asked for, but no"
            " node of the cluster has both; ask for fewer of the one or a share of the other"
        )
    workers = options.workers or fitting or 1
    # An autoscaler starts nodes for trials that wait, and not every one shows itself beforehand.
    may_wait = bool(grown) or options.address is not None
    return Capacity(
        # Else more than fit would only wait, proposed before the results they should learn from.
        workers=workers if may_wait else min(workers, fitting),
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=gpus,
        nodes=len(nodes),
        can_grow=bool(grown),
        follows_cluster=options.address is not None and options.workers is None,
    )


def room_for(capacity: Capacity, nodes: Sequence[dict[str, float]]) -> int:
    """Return how many such trials fit nodes that have these resources."""
    cpus, gpus = capacity.cpus_per_trial, capacity.gpus_per_trial
    return sum(_fitting(node, cpus, gpus) for node in nodes)


def keep_to_share(device: str) -> None:
    """Bound this worker's memory by the share of a GPU that Ray has given it."""
    if device != "cuda":
        return
    import ray

    from rxtune.train import limit_memory

    worker: Any = ray.get_runtime_context()
    assigned = worker.get_assigned_resources()
    limit_memory(device, float(assigned.get("GPU", 1.0)))


def _nodes() -> list[dict[str, float]]:
    """Return what the nodes that are up have."""
    return [node["Resources"] for node in alive_nodes()]


def _largest_after_growth() -> dict[str, float]:
    """Return per resource the most that a node the autoscaler may add has; empty without one."""
    from ray._private.state import state

    config = state.get_cluster_config()
    if config is None:
        return {}
    largest: dict[str, float] = {}
    for group in config.node_group_configs:
        if group.max_count != 0:
            for kind, amount in group.resources.items():
                largest[kind] = max(largest.get(kind, 0.0), float(amount))
    return largest


def _require_room(
    flag: str,
    kind: str,
    asked: float,
    nodes: list[dict[str, float]],
    grown: dict[str, float],
    address: str | None,
) -> None:
    most = max(_most(nodes, kind), grown.get(kind, 0.0))
    if asked <= most:
        return
    where = "this machine has" if address is None else "the largest node of the cluster has"
    advice = "leave the flag out to train on the CPU" if most == 0 else f"ask for at most {most:g}"
    raise ClusterError(f"{flag}: {asked:g} {kind} asked for, but {where} {most:g}; {advice}")


def _most(nodes: list[dict[str, float]], kind: str) -> float:
    return max((node.get(kind, 0.0) for node in nodes), default=0.0)


def _fitting(node: dict[str, float], cpus: float, gpus: float) -> int:
    rooms = [
        node.get(kind, 0.0) / asked for kind, asked in (("CPU", cpus), ("GPU", gpus)) if asked > 0
    ]
    return math.floor(min(rooms) + 1e-9) if rooms else 1
