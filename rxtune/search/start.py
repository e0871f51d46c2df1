"""The start of a search: everything is checked and made ready before the first trial."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.search.cluster import Capacity, import_ray, measure_capacity, ray_running
from rxtune.search.cluster_check import ask_cluster, require_usable
from rxtune.search.mirror import require_unused
from rxtune.search.plan import Plan
from rxtune.search.run_folder import RunPlaces, storage_of
from rxtune.storage import require_writable

if TYPE_CHECKING:
    from rxtune.search.decisions import SearchStudy
    from rxtune.search.views import Conclude, SearchResult, Watch
    from rxtune.search.workload import Workload
    from rxtune.track.store import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a search begins with, beside its plan."""

    places: RunPlaces
    decisions: SearchStudy | None
    """Of the search that is resumed; None: it is a new one."""
    workload: Workload
    capacity: Capacity
    hosts: frozenset[str]
    """Ray's ids of the cluster's hosts that were asked and found fit; empty on one machine."""
    connection: Connection
    """To MLflow."""


def run_search(plan: Plan, *, watch: Watch, conclude: Conclude) -> SearchResult:
    """Run or resume a search and return its result.

    Args:
        plan: from `make_plan`; its folder is held.
        watch: entered when the first trial starts and left after the last one.
        conclude: what MLflow shows of the whole search.

    Raises:
        StudyError: the journal is damaged or in use, or the run was begun with other places.
        DataError: malformed data.
        ModelError: the encoder does not load.
        ClusterError: Ray, the resources or the storage are not there.
        TrackingError: MLflow cannot be reached.
        AllTrialsFailedError: no trial gave a result.
    """
    with ExitStack() as stack:
        decisions = None
        if plan.options.resume:
            decisions = stack.enter_context(_reopen(plan))
            plan = replace(plan, study=decisions.study)
        require_writable(_storage(plan))
        if not plan.options.resume and (place := storage_elsewhere(plan)) is not None:
            require_unused(plan.options.name, place)
        ready = stack.enter_context(_everything_ready(plan, decisions))
        from rxtune.search.tuner import tune

        return tune(plan, ready, watch, conclude)


def _reopen(plan: Plan) -> SearchStudy:
    from rxtune.search.decisions import SearchStudy

    plan.folder.places().require_same(plan.options)
    decisions = SearchStudy.open(plan.folder.journal)
    # What is asked for first: a crash before the journal's line then loses nothing of it.
    _rewrite(plan.folder.study, plan.study.to_yaml())
    decisions.extend(plan.study.search)
    return decisions


def _rewrite(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


@contextmanager
def _everything_ready(plan: Plan, decisions: SearchStudy | None) -> Iterator[Ready]:
    """Start Ray, whose workers import what they need while the driver does and reads the data."""
    import_ray(plan.options)
    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        # Of all that is to be imported, what shares nothing with Ray: two threads that import the
        # same packages may lock each other out.
        torch = pool.submit(import_module, "torch")
        stack.enter_context(ray_running(plan.options))
        capacity = measure_capacity(plan.options)
        hosts: frozenset[str] = frozenset()
        if plan.options.address is not None:
            report = ask_cluster(capacity, storage_elsewhere(plan))
            require_usable(report)
            hosts = frozenset(node.node_id for node in report.nodes)
        torch.result()
        from rxtune.search.workload import prepare
        from rxtune.track.store import connect

        loading = pool.submit(
            prepare, plan.study, plan.task, plan.dev_languages, plan.encoder_folder
        )
        places = _places(plan)
        connection = pool.submit(connect, places.tracking_uri, plan.options.experiment).result()
        yield Ready(
            places=places,
            decisions=decisions,
            workload=loading.result(),
            capacity=capacity,
            hosts=hosts,
            connection=connection,
        )


def _places(plan: Plan) -> RunPlaces:
    if plan.options.resume:
        return plan.folder.places()
    from rxtune.track import resolve_uri

    return RunPlaces(
        search_id=plan.folder.left_id() or f"{plan.options.name}-{uuid.uuid4().hex[:12]}",
        tracking_uri=resolve_uri(plan.options.tracking_uri),
        storage=_storage(plan),
        inputs=plan.inputs,
    )


def storage_elsewhere(plan: Plan) -> str | None:
    """Return the run's place in the storage that was asked for; None: its own folder serves."""
    storage = _storage(plan)
    return None if storage == str(plan.folder.checkpoints) else storage


def _storage(plan: Plan) -> str:
    if plan.options.resume:
        return plan.folder.places().storage
    asked = plan.options.storage
    return storage_of(asked, plan.options.name) if asked else str(plan.folder.checkpoints)
