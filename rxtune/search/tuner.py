"""The search: everything is checked, then started, then Ray Tune's loop runs to its end."""

from __future__ import annotations

import logging
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rxtune.config import Study
from rxtune.errors import AllTrialsFailedError
from rxtune.results import Failure, TrialState
from rxtune.search.budgets import Limits
from rxtune.search.cluster import (
    Capacity,
    measure_capacity,
    ray_running,
    require_shared_storage,
)
from rxtune.search.decisions import SearchStudy
from rxtune.search.director import Director
from rxtune.search.disk import disk_need
from rxtune.search.models import ModelStore
from rxtune.search.plan import Plan
from rxtune.search.run_folder import RunPlaces, storage_of
from rxtune.search.tracking import describe_end, describe_start
from rxtune.search.views import Conclude, EndedBy, SearchResult, SearchView, Watch
from rxtune.search.workload import Workload, prepare
from rxtune.storage import local_bytes_below, require_writable
from rxtune.track import Tracker, resolve_uri
from rxtune.track.store import connect


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
        places = plan.folder.places() if decisions else _new_places(plan)
        require_writable(places.storage)
        with _everything_ready(plan, places) as (workload, capacity):
            return _run(plan, places, decisions, workload, capacity, watch, conclude)


def _reopen(plan: Plan) -> SearchStudy:
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
def _everything_ready(plan: Plan, places: RunPlaces) -> Iterator[tuple[Workload, Capacity]]:
    """Start Ray while the data is read and MLflow's store made: each of them takes seconds."""
    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        loading = pool.submit(
            prepare, plan.study, plan.task, plan.dev_languages, plan.encoder_folder
        )
        store = pool.submit(connect, places.tracking_uri, plan.options.experiment)
        stack.enter_context(ray_running(plan.options))
        capacity = measure_capacity(plan.options)
        require_shared_storage(plan.options, capacity)
        store.result()
        yield loading.result(), capacity


def _run(
    plan: Plan,
    places: RunPlaces,
    decisions: SearchStudy | None,
    workload: Workload,
    capacity: Capacity,
    watch: Watch,
    conclude: Conclude,
) -> SearchResult:
    models = ModelStore(places.storage, plan.folder.best, plan.study.search.keep)
    if decisions is None:  # before MLflow has a run: a start killed in between finds it again
        plan.folder.create(plan.study.to_yaml(), places)
    with ExitStack() as stack:
        tracker = stack.enter_context(_tracking(plan, places))
        if decisions is None:
            decisions = stack.enter_context(
                SearchStudy.create(plan.folder.journal, plan.study, warm_start=plan.warm_start)
            )
        view = _view(plan, decisions, workload, capacity, tracker.uri)
        view = _with_disk(view, workload, places.storage)
        director = Director(
            decisions=decisions,
            tracker=tracker,
            models=models,
            workload=workload,
            tokenizer_folder=plan.encoder_folder,
            threads=capacity.threads,
            device=capacity.device,
            failures=plan.folder.failures,
            limits=view.limits,
            elapsed=lambda: time.monotonic() - view.began,
            shares_device=_shares_device(capacity),
        )
        describe_start(tracker, view, workload)
        director.make_up()
        with _telling_of_errors(tracker), _listening_to_signals(director), watch(view):
            _tune(director, workload, capacity, models)
            director.end_running()  # in here, so that who watches sees what was cut off
        models.tidy()
        result = _result(view, director, models)
        conclusion = conclude(result)
        tags = {**conclusion.tags, "ended_by": result.ended_by}
        describe_end(tracker, _state(director, result), replace(conclusion, tags=tags))
        _require_a_result(director, result)
        tracker.close()
        return replace(result, problems=tuple(tracker.problems))


@contextmanager
def _tracking(plan: Plan, places: RunPlaces) -> Iterator[Tracker]:
    tracker = Tracker.open(
        places.tracking_uri,
        experiment=plan.options.experiment,
        run_name=plan.options.name,
        search_id=places.search_id,
    )
    try:
        yield tracker
    finally:
        tracker.close()


@contextmanager
def _telling_of_errors(tracker: Tracker) -> Iterator[None]:
    """Let MLflow know when the search breaks off; the journal has all that a resume needs."""
    try:
        yield
    except BaseException as error:
        text = f"The search broke off: {error}\n\nWhat is finished is kept; `--resume` goes on."
        tracker.search_ended("failed", metrics={}, tags={}, description=text, artifacts={})
        raise


def _result(view: SearchView, director: Director, models: ModelStore) -> SearchResult:
    return SearchResult(
        view=view,
        records=tuple(view.records()),
        ended_by=_ended_by(director, view),
        ending=director.ending,
        exhausted=director.exhausted,
        cut=director.cut,
        seconds=time.monotonic() - view.began,
        best_model=models.best if models.crowned is not None else None,
        disk_peak=models.disk_peak,
        problems=(),
    )


def _ended_by(director: Director, view: SearchView) -> EndedBy:
    ended = [r for r in view.records() if r.failure is not Failure.INTERRUPTED]
    if director.interrupted:
        return "interrupt"
    if director.hopeless is not None:
        return "failures"
    if len(ended) >= view.study.search.trials:
        return "trials"  # a limit that was reached with the last of them has cost nothing
    if director.ending is not None:
        return director.ending.by
    return "trials" if director.exhausted is None else "space"


def _new_places(plan: Plan) -> RunPlaces:
    storage = plan.options.storage
    return RunPlaces(
        search_id=plan.folder.left_id() or f"{plan.options.name}-{uuid.uuid4().hex[:12]}",
        tracking_uri=resolve_uri(plan.options.tracking_uri),
        storage=storage_of(storage, plan.options.name)
        if storage
        else str(plan.folder.checkpoints),
        inputs=plan.inputs,
    )


def _view(
    plan: Plan, decisions: SearchStudy, workload: Workload, capacity: Capacity, uri: str
) -> SearchView:
    return SearchView(
        name=plan.options.name,
        study=decisions.study,
        task=plan.task,
        dev_languages=plan.dev_languages,
        encoder=plan.encoder,
        capacity=capacity,
        folder=plan.folder.path,
        tracking_uri=uri,
        forecast=3.0 * workload.train.num_rows * workload.epochs,
        dev_examples=workload.score_examples,
        records=decisions.records,
        began=time.monotonic(),
        recovered=decisions.recovered,
        limits=Limits(
            search=decisions.study.search,
            objectives=decisions.study.select.objective,
            evaluations=decisions.study.stopping.evaluations,
            devices=capacity.gpus_per_trial or capacity.cpus_per_trial or 1.0,
            examples=workload.score_examples,
        ),
        notes=_notes(decisions.study, capacity),
    )


def _with_disk(view: SearchView, workload: Workload, place: str) -> SearchView:
    """Return the view with what the search needs on disk, and what of that has no room."""
    need = disk_need(workload, view.capacity.workers)
    notes = need.shortages(view.folder, place, held=local_bytes_below(view.folder))
    return replace(view, disk_forecast=need.peak_bytes, notes=(*view.notes, *notes))


def _notes(study: Study, capacity: Capacity) -> tuple[str, ...]:
    """Return what to know about the space on these devices."""
    from rxtune.train.precision import note_on_radii

    radii = note_on_radii(study.space, study.train.precision, capacity.device)
    return () if radii is None else (radii,)


def _shares_device(capacity: Capacity) -> bool:
    """Return whether a trial's device holds the memory of other trials, too."""
    if capacity.gpus_per_trial > 0:
        return capacity.gpus_per_trial < 1
    return capacity.workers > 1


def _tune(director: Director, workload: Workload, capacity: Capacity, models: ModelStore) -> None:
    """Run Ray Tune's loop until the director has no more trials or says to end."""
    from ray import tune

    from rxtune.search.adapters import JournalScheduler, JournalSearcher, StopWhenTold
    from rxtune.search.trial import run_trial

    trainable = tune.with_resources(
        tune.with_parameters(run_trial, workload=workload),
        {"cpu": capacity.cpus_per_trial, "gpu": capacity.gpus_per_trial},
    )
    with models.ray_folder() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It names trials whose worker was lost as not complete, though they went on elsewhere.
        logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=JournalSearcher(director),
                scheduler=JournalScheduler(director),
                num_samples=-1,
                max_concurrent_trials=capacity.workers,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=scratch,
                stop=StopWhenTold(director),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),  # the director decides
                callbacks=[],
            ),
        ).fit()
    if director.error is not None:
        raise director.error


@contextmanager
def _listening_to_signals(director: Director) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a clean end; a second one is not held up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def handle(number: int, frame: Any) -> None:
        director.interrupt()
        for kind, handler in before.items():
            signal.signal(kind, handler)

    for kind in kinds:
        signal.signal(kind, handle)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _state(director: Director, result: SearchResult) -> str:
    if result.interrupted:
        return "interrupted"
    finished = any(record.state is TrialState.FINISHED for record in result.records)
    return "finished" if finished and director.hopeless is None else "failed"


def _require_a_result(director: Director, result: SearchResult) -> None:
    finished = any(record.state is TrialState.FINISHED for record in result.records)
    if finished or result.interrupted:
        return
    if director.ending is not None:
        raise AllTrialsFailedError(
            f"{result.view.name}: no trial ran to its end before the {director.ending.what} was"
            f" used up; go on with a larger one: `rxtune search --name {result.view.name} --resume"
            f" --{director.ending.by.replace('_', '-')} …`"
        )
    failed = [r for r in result.records if r.state is TrialState.FAILED]
    why = director.hopeless or f"{len(failed)} of {len(result.records)} trials failed"
    raise AllTrialsFailedError(
        f"{result.view.name}: no trial gave a result; {why}; tracebacks lie in"
        f" {result.view.folder / 'failures'}"
    )
