"""The tuner: Ray Tune's loop runs to its end, and MLflow, journal and disk hear of it."""

from __future__ import annotations

import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from rxtune.config import Study
from rxtune.errors import AllTrialsFailedError, TakenOverError
from rxtune.results import Failure, TrialState
from rxtune.search.budgets import Limits
from rxtune.search.cluster import Capacity, in_started_processes, room_for
from rxtune.search.decisions import SearchStudy
from rxtune.search.director import Director
from rxtune.search.disk import disk_need
from rxtune.search.mirror import Mirror
from rxtune.search.models import ModelStore
from rxtune.search.newcomers import Newcomers
from rxtune.search.nodes import probe
from rxtune.search.plan import Plan
from rxtune.search.run_folder import RunPlaces
from rxtune.search.start import Ready, storage_elsewhere
from rxtune.search.tracking import describe_end, describe_start
from rxtune.search.views import Conclude, EndedBy, SearchResult, SearchView, Watch
from rxtune.search.workload import Workload
from rxtune.storage import local_bytes_below, without_secrets
from rxtune.track import Tracker


def tune(plan: Plan, ready: Ready, watch: Watch, conclude: Conclude) -> SearchResult:
    """Run a search to its end and return its result.

    Raises:
        TrackingError: MLflow refuses or does not answer.
        AllTrialsFailedError: no trial gave a result.
    """
    places, decisions, capacity = ready.places, ready.decisions, ready.capacity
    workload = ready.workload
    models = ModelStore(places.storage, plan.folder.best, plan.study.search.keep)
    is_new = decisions is None and plan.folder.left_id() is None
    if decisions is None:  # before MLflow has a run: a start killed in between finds it again
        plan.folder.create(plan.study.to_yaml(), places)
    with ExitStack() as stack:
        tracker = stack.enter_context(_tracking(plan, ready, is_new))
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
        mirror = stack.enter_context(_mirrored(plan, places, director))
        describe_start(tracker, view, workload, plan.warm_start)
        director.make_up()
        stack.enter_context(in_started_processes(plan.options))
        with _telling_of_errors(tracker), _listening_to_signals(director), watch(view):
            closed = _tune(director, ready, models)
            director.end_running()  # in here, so that who watches sees what was cut off
        unkept = director.keep_owed()
        models.tidy()
        result = _result(view, director, models)
        conclusion = conclude(result)
        tags = {**conclusion.tags, "ended_by": result.ended_by}
        describe_end(tracker, _state(director, result), replace(conclusion, tags=tags), view)
        _require_a_result(director, result)
        tracker.close()
        return replace(
            result,
            problems=tuple(tracker.problems),
            storage_problems=(*director.trouble.told(), *unkept, *mirror()),
            cluster_problems=closed,
        )


@contextmanager
def _tracking(plan: Plan, ready: Ready, is_new: bool) -> Iterator[Tracker]:
    tracker = Tracker.open(
        ready.places.tracking_uri,
        experiment=plan.options.experiment,
        run_name=plan.options.name,
        search_id=ready.places.search_id,
        connection=ready.connection,
        is_new=is_new,
    )
    try:
        yield tracker
    finally:
        tracker.close()


@contextmanager
def _mirrored(
    plan: Plan, places: RunPlaces, director: Director
) -> Iterator[Callable[[], tuple[str, ...]]]:
    """Copy the journal to a storage elsewhere; lend what ends that and returns its problem."""
    if storage_elsewhere(plan) is None:
        yield lambda: ()
        return
    mirror = Mirror(plan.folder, places.storage, on_takeover=director.taken_over)

    def problems() -> tuple[str, ...]:
        mirror.close()
        if mirror.problem is None:
            return ()
        place = without_secrets(places.storage)
        return (f"the copy of the journal in {place} is behind ({mirror.problem})",)

    try:
        yield problems
    finally:
        mirror.close()


@contextmanager
def _telling_of_errors(tracker: Tracker) -> Iterator[None]:
    """Let MLflow know when the search breaks off; the journal has all that a resume needs."""
    try:
        yield
    except TakenOverError:
        raise  # who goes on with it writes its end
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
    return capacity.workers > 1 or capacity.follows_cluster


def _tune(director: Director, ready: Ready, models: ModelStore) -> tuple[str, ...]:
    """Run Ray Tune's loop until the director has no more trials or says to end.

    Returns:
        A line for every host that joined and could not be used.
    """
    from ray import tune

    from rxtune.search.adapters import (
        GrowingLimiter,
        JournalScheduler,
        JournalSearcher,
        StopWhenTold,
    )
    from rxtune.search.trial import run_trial

    capacity = ready.capacity
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, workload=ready.workload),
        {"cpu": capacity.cpus_per_trial, "gpu": capacity.gpus_per_trial},
    )
    with (
        _room(ready, models.place) as (room, problems),
        models.ray_folder() as scratch,
        warnings.catch_warnings(),
    ):
        searcher = GrowingLimiter(JournalSearcher(director), capacity.workers, room)
        warnings.simplefilter("ignore")
        # It names trials whose worker was lost as not complete, though they went on elsewhere.
        logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=JournalScheduler(director),
                num_samples=-1,
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
    return tuple(problems)


@contextmanager
def _room(ready: Ready, place: str) -> Iterator[tuple[Callable[[], int], Sequence[str]]]:
    """Lend what looks how many trials fit now, and the problems with hosts that it has met."""
    if not ready.hosts:  # one machine
        yield lambda: 0, ()
        return
    with probe(place) as file:
        newcomers = Newcomers(file, ready.hosts)

        def room() -> int:
            usable = newcomers.look()  # also where newcomers are not to be used: they are closed
            return room_for(ready.capacity, usable) if ready.capacity.follows_cluster else 0

        yield room, newcomers.problems


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
