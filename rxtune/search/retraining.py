"""The runs of a confirmation on Ray: each a task that trains one configuration and tests it."""

from __future__ import annotations

import os
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from rxtune.errors import DivergedError, TrialOutOfMemoryError
from rxtune.results import ConfirmedRun
from rxtune.search.cluster import Capacity, keep_to_share, measure_capacity, ray_running
from rxtune.search.confirmed_runs import predictions_name
from rxtune.search.plan import Plan
from rxtune.search.trial import evaluate_all, explain
from rxtune.search.workload import Workload, prepare, prepare_test
from rxtune.storage import telling_of_full_disk

if TYPE_CHECKING:
    from rxtune.train.loop import FineTuned

RETRIES = 2
"""How often a run whose worker is lost is given to another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """How a run ended."""

    run: ConfirmedRun
    """With its result, its cost and, where it has predictions, the name of their file."""
    is_final: bool
    """Whether the same would come out again: not where the machine failed."""
    traceback: str | None = None
    predictions: pa.Table | None = None
    """Of the test split: see `prediction_table`."""


def retrain_all(plan: Plan, runs: Sequence[ConfirmedRun]) -> Iterator[Retrained]:
    """Make the runs, as many at a time as fit, and yield each as it ends.

    Raises:
        DataError: malformed data.
        ModelError: the encoder does not load.
        ClusterError: Ray or the resources are not there.
    """
    with ThreadPoolExecutor(1) as pool:
        # Data are read while Ray starts: each of them takes seconds.
        loading = pool.submit(_load, plan)
        with ray_running(plan.options):
            capacity = measure_capacity(plan.options)
            for retrained in _as_they_end(runs, capacity, *loading.result()):
                # Before the run is told of, and so is not repeated.
                _keep_predictions(plan, retrained)
                yield retrained


def _keep_predictions(plan: Plan, retrained: Retrained) -> None:
    if retrained.predictions is None:
        return
    folder = plan.folder.predictions
    path = folder / (retrained.run.predictions or predictions_name(retrained.run))
    partial = path.with_suffix(".partial")
    with telling_of_full_disk(str(plan.folder.path), "a file of predictions"):
        folder.mkdir(exist_ok=True)
        with open(partial, "wb") as file:
            parquet.write_table(retrained.predictions, file)
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)  # so that what has this name is whole, whenever power fails


def _load(plan: Plan) -> tuple[Workload, dict[str, pa.Table]]:
    workload = prepare(plan.study, plan.task, plan.dev_languages, plan.encoder_folder)
    test, mixed = prepare_test(plan.study, plan.task, plan.encoder_folder)
    # What the search evaluated on has done its part.
    return replace(workload, dev={}, mixed=mixed), test


def _as_they_end(
    runs: Sequence[ConfirmedRun],
    capacity: Capacity,
    workload: Workload,
    test: Mapping[str, pa.Table],
) -> Iterator[Retrained]:
    import ray

    # Ray reuses the process of a CPU task and, told here of the GPUs and not later by `options`,
    # ends that of a GPU task: a process that has opened one GPU cannot be moved to another.
    with_resources: Any = ray.remote(
        num_cpus=capacity.cpus_per_trial, num_gpus=capacity.gpus_per_trial, max_retries=RETRIES
    )
    task = with_resources(retrain)
    shared = [ray.put(workload), ray.put(test)]
    threads, device = capacity.threads, capacity.device
    waiting, running = deque(runs), dict[Any, ConfirmedRun]()
    while waiting or running:
        while waiting and len(running) < capacity.workers:
            run = waiting.popleft()
            running[task.remote(run, *shared, threads=threads, device=device)] = run
        (ended, *_), _ = ray.wait(list(running))
        yield _result(ended, running.pop(ended))


def _result(ended: Any, run: ConfirmedRun) -> Retrained:
    import ray

    try:
        result: Retrained = ray.get(ended)
    except ray.exceptions.RayError as error:
        reason = f"worker lost: {str(error).strip().splitlines()[-1]}"[:500]
        return Retrained(run=replace(run, reason=reason), is_final=False)
    return result


def retrain(
    run: ConfirmedRun,
    workload: Workload,
    test: Mapping[str, pa.Table],
    *,
    threads: int,
    device: str,
) -> Retrained:
    """Train a run's configuration on its seed, on a worker, and test the result once.

    A divergence or an error is a result: an exception would not say which.
    """
    from rxtune.train import release_memory

    release_memory(device)
    try:
        tested, predictions = _train_and_test(run, workload, test, threads, device)
    except DivergedError as error:
        result = Retrained(run=replace(run, reason=explain(error)), is_final=True)
    except TrialOutOfMemoryError as error:
        # Another machine, or the same one with less on it, may have the room.
        result = Retrained(run=replace(run, reason=explain(error)), is_final=False)
    except Exception as error:
        failed = replace(run, reason=explain(error))
        result = Retrained(run=failed, is_final=False, traceback=traceback.format_exc())
    else:
        result = Retrained(run=tested, is_final=True, predictions=predictions)
    release_memory(device)
    return result


def _train_and_test(
    run: ConfirmedRun,
    workload: Workload,
    test: Mapping[str, pa.Table],
    threads: int,
    device: str,
) -> tuple[ConfirmedRun, pa.Table]:
    """Return the run with its result, and its predictions."""
    import torch

    from rxtune.train import fine_tune, telling_out_of_memory

    torch.set_num_threads(threads)
    keep_to_share(device)
    workload = replace(workload, seed=run.seed, evaluations=1)
    settings = workload.settings(run.configuration, device)
    model = workload.model(settings.seed)

    def train() -> FineTuned:
        # Nothing is chosen on the way, so nothing is evaluated on it, and no dev split is read.
        return fine_tune(
            model,
            workload.training_data(run.configuration),
            {},
            settings,
            pad_id=workload.pad_id,
            on_evaluation=lambda evaluation: None,
            objectives=lambda scores, cost: (0.0,),
            device=device,
        )

    trained = telling_out_of_memory(train, settings, device)
    zero_shot, predictions = evaluate_all(model, workload, test, split="test")
    tested = replace(
        run,
        zero_shot=zero_shot,
        forward_equivalents=trained.forward_equivalents,
        seconds=round(trained.seconds, 3),
        predictions=predictions_name(run),
    )
    return tested, predictions
