"""What a Ray worker does for one trial: train, report, leave the model."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rxtune import storage
from rxtune.config import Configuration
from rxtune.data import Split
from rxtune.errors import (
    DiskFullError,
    DivergedError,
    NodeLeavingError,
    TrialOutOfMemoryError,
)
from rxtune.results import Evaluation, Failure, ZeroShot
from rxtune.search.cluster import keep_to_share
from rxtune.search.disk import TrialDisk
from rxtune.search.leaving import node_is_leaving
from rxtune.search.replicates import replicate_seed
from rxtune.search.workload import Workload

if TYPE_CHECKING:
    from rxtune.train import FineTuned

UNSAVED = "its model was not saved"
"""How the trouble begins that costs a trial its model."""
_NOISE = 1.0
"""Sigma of the noisy source signal, relative: a token's noise is as long as its embedding."""


class Hooks(TypedDict, total=False):
    """What a training asks and tells on its way, as `fine_tune` takes it."""

    must_leave: Callable[[], bool]
    on_storage_trouble: Callable[[str], None]


def run_trial(config: dict[str, Any], workload: Workload) -> None:
    """Train one configuration on a worker and tell the driver of it.

    Every report is one JSON message: `{"kind": "evaluation" | "finished" | "failed" | "disk full",
    "held": bytes, …}`, with `"trouble": [line, …]` if the storage has failed since the last one. A
    divergence or an error is a result: an exception would cost the process and its imports. After
    a seed has finished, the next one follows unless Ray stops the trial. Ray stops it by raising
    `SystemExit` inside a report, which passes through here.

    Args:
        config: `number`, `configuration` (JSON), `folder` (path or URI for the trial's files),
            `threads` and `device`; `replicates`, the most seeds, and `replicates_done`.
        workload: from the object store; read only.

    Raises:
        NodeLeavingError: this machine is about to leave; its process is not to be used again.
    """
    from ray import tune

    import rxtune.search.preload  # noqa: F401 - has happened, unless others have started Ray

    disk = TrialDisk(config["folder"])
    trouble: list[str] = []
    hooks = Hooks(must_leave=node_is_leaving(), on_storage_trouble=trouble.append)

    def send(kind: str, **content: Any) -> None:
        if trouble:
            content["trouble"] = trouble.copy()
            trouble.clear()
        tune.report({"message": json.dumps({"kind": kind, "held": disk.held(), **content})})

    for replicate in range(config["replicates_done"] + 1, config["replicates"] + 1):
        ending = _run_seed(
            config,
            workload,
            replicate,
            lambda e: send("evaluation", evaluation=e.to_json()),
            **hooks,
        )
        send(**ending)
        if ending["kind"] != "finished":
            return


def _run_seed(
    config: dict[str, Any],
    workload: Workload,
    replicate: int,
    on_evaluation: Callable[[Evaluation], None],
    **hooks: Unpack[Hooks],
) -> dict[str, Any]:
    """Train on one seed and return how it ended, as a message."""
    from rxtune.train import release_memory

    # A trial that Ray has stopped left by an exception, and what it held goes only now.
    release_memory(config["device"])
    try:
        if replicate == 1:
            zero_shot, value = train_and_evaluate(config, workload, on_evaluation, **hooks)
        else:
            zero_shot, value = _train_replicate(config, workload, replicate, **hooks)
    except (DivergedError, TrialOutOfMemoryError) as error:
        ending = _failed(error)
    except NodeLeavingError:
        raise
    except Exception as error:
        full = storage.named_if_full(error, config["folder"])
        if isinstance(full, DiskFullError):
            ending = {"kind": "disk full", "reason": str(full)}
        else:
            ending = {**_failed(error), "traceback": traceback.format_exc()}
    else:
        told = {"replicate": replicate, "value": value}
        ending = {"kind": "finished", "zero_shot": zero_shot.to_json(), **told}
    # Out here, where the error and all that it holds is gone; and before the driver may give the
    # device to somebody else.
    release_memory(config["device"])
    return ending


def train_and_evaluate(
    config: dict[str, Any],
    workload: Workload,
    on_evaluation: Callable[[Evaluation], None],
    **hooks: Unpack[Hooks],
) -> tuple[ZeroShot, float]:
    """Train a configuration, save model and predictions, return dev scores and its value.

    A model that the storage does not take is trouble to be told of, if somebody listens.

    Raises:
        DivergedError: the loss is not finite at some step.
        TrialOutOfMemoryError: the device's memory does not hold the training.
    """
    model, zero_shot, predictions, value = _train(
        config, workload, on_evaluation, checkpoint="checkpoint", **hooks
    )
    try:
        storage.persistently(lambda: _save(model, predictions, config["folder"]))
    except OSError as error:
        if storage.is_disk_full(error) or "on_storage_trouble" not in hooks:
            raise
        hooks["on_storage_trouble"](f"{UNSAVED} ({_first_line(error)})")
    return zero_shot, value


def _save(model: Any, predictions: pa.Table, place: str) -> None:
    from rxtune.train import save_model
    from rxtune.train.predictions import save_predictions

    folder = storage.join(place, "model")
    save_model(model, folder)
    # Beside the model, so that they stay with it if it is the best.
    with storage.telling_of_full_disk(folder, "predictions", predictions.nbytes):
        save_predictions(predictions, folder)


def _train_replicate(
    config: dict[str, Any], workload: Workload, replicate: int, **hooks: Unpack[Hooks]
) -> tuple[ZeroShot, float]:
    """Train once more on another seed; the model that stays is the first seed's.

    Its evaluations on the way are of no use to anybody: it is past all rungs.
    """
    seed = replicate_seed(workload.seed, replicate - 1)
    _, zero_shot, _, value = _train(
        config,
        replace(workload, seed=seed),
        lambda evaluation: None,
        checkpoint=f"checkpoint-{replicate}",
        **hooks,
    )
    return zero_shot, value


def _train(
    config: dict[str, Any],
    workload: Workload,
    on_evaluation: Callable[[Evaluation], None],
    *,
    checkpoint: str,
    **hooks: Unpack[Hooks],
) -> tuple[Any, ZeroShot, pa.Table, float]:
    """Return the trained model, its result in every language, its predictions and its value."""
    import torch

    from rxtune.train import fine_tune, telling_out_of_memory

    torch.set_num_threads(config["threads"])
    keep_to_share(config["device"])
    settings = workload.settings(
        Configuration.from_json(config["configuration"]), config["device"]
    )
    model = workload.model(settings.seed)

    def train() -> FineTuned:
        return fine_tune(
            model,
            workload.training_data(Configuration.from_json(config["configuration"])),
            workload.evaluated,
            settings,
            pad_id=workload.pad_id,
            on_evaluation=on_evaluation,
            objectives=workload.objectives,
            metric=workload.study.select.metric,
            checkpoint_folder=storage.join(config["folder"], checkpoint),
            device=config["device"],
            **hooks,
        )

    done = telling_out_of_memory(train, settings, config["device"])
    zero_shot, predictions = evaluate_all(
        model, workload, workload.dev, split="dev", known=done.predictions
    )
    zero_shot = replace(zero_shot, noisy_source=_noisy_source(model, workload))
    return model, zero_shot, predictions, done.evaluations[-1].value


def evaluate_all(
    model: Any,
    workload: Workload,
    tables: Mapping[str, pa.Table],
    *,
    split: Split,
    known: Mapping[str, NDArray[np.int64]] = MappingProxyType({}),
) -> tuple[ZeroShot, pa.Table]:
    """Return the scores in every language, and the predictions that they were counted from.

    Args:
        model: The trained classifier.
        workload: Says what to count, and has the mixed-language pairs of the same split.
        tables: Language -> tokenised split, with `id`.
        split: Which one it is.
        known: Language -> class ids that the model has predicted already.
    """
    from rxtune.train.evaluate import evaluate_mixed, predict_by_language
    from rxtune.train.predictions import prediction_table
    from rxtune.train.scores import count_scores

    unknown = {language: table for language, table in tables.items() if language not in known}
    predicted = {**known, **predict_by_language(model, unknown, pad_id=workload.pad_id)}
    found = {language: predicted[language] for language in tables}
    scores, mixed = count_scores(found, tables), workload.mixed
    metric = workload.study.select.metric
    zero_shot = ZeroShot(
        accuracy=scores.accuracy,
        macro_f1=scores.macro_f1,
        metric=metric,
        source_language=workload.source_language,
        dev_languages=workload.dev_languages,
        split=split,
        generalized=(
            evaluate_mixed(model, mixed, pad_id=workload.pad_id, metric=metric) if mixed else None
        ),
    )
    return zero_shot, prediction_table(found, tables, workload.labels)


def _noisy_source(model: Any, workload: Workload) -> float:
    """Return the source dev score with noise on the word embeddings.

    It chooses nothing: `rxtune audit` asks how well it would have.
    """
    from rxtune.perturb import absolute_sigma
    from rxtune.train.evaluate import evaluate_noisy

    return evaluate_noisy(
        model,
        workload.dev[workload.source_language],
        pad_id=workload.pad_id,
        sigma=absolute_sigma(_NOISE, workload.unit, workload.width),
        metric=workload.study.select.metric,
    )


def _failed(error: Exception) -> dict[str, Any]:
    return {"kind": "failed", "failure": kind_of(error), "reason": explain(error)}


def kind_of(error: Exception) -> Failure:
    """Return what kind of failure a training ended with."""
    from rxtune.train.memory import is_out_of_memory

    if isinstance(error, DivergedError):
        return Failure.DIVERGED
    if isinstance(error, TrialOutOfMemoryError) or is_out_of_memory(error):
        return Failure.OUT_OF_MEMORY
    return Failure.ERROR


def explain(error: Exception) -> str:
    """Return why a training failed, in one line."""
    failure = kind_of(error)
    kind = type(error).__name__ if failure is Failure.ERROR else failure.value
    return f"{kind}: {_first_line(error)}"[:500]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def parse(message: str) -> dict[str, Any]:
    """Return a worker's message with its records rebuilt."""
    content: dict[str, Any] = json.loads(message)
    if "failure" in content:
        content["failure"] = Failure(content["failure"])
    if "evaluation" in content:
        content["evaluation"] = Evaluation.from_json(content["evaluation"])
    if "zero_shot" in content:
        content["zero_shot"] = ZeroShot.from_json(content["zero_shot"])
    return content
