"""What a Ray worker does for one trial: train, report, leave the model."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from rxtune import storage
from rxtune.config import Configuration
from rxtune.data import Split
from rxtune.errors import DivergedError, TrialOutOfMemoryError
from rxtune.results import Evaluation, ZeroShot
from rxtune.search.workload import Workload


def run_trial(config: dict[str, Any], workload: Workload) -> None:
    """Train one configuration on a worker and tell the driver of it.

    Every report is one JSON message: `{"kind": "evaluation" | "finished" | "failed", …}`. A
    divergence or an error is a result: an exception would cost the process and its imports.
    Ray stops a trial by raising `SystemExit` inside a report, which passes through here.

    Args:
        config: `number`, `configuration` (JSON), `folder` (path or URI for the trial's files) and
            `threads` and `device`.
        workload: from the object store; read only.
    """
    from ray import tune

    from rxtune.train import release_memory

    def send(kind: str, **content: Any) -> None:
        tune.report({"message": json.dumps({"kind": kind, **content})})

    # A trial that Ray has stopped left by an exception, and what it held goes only now.
    release_memory(config["device"])
    try:
        zero_shot = train_and_evaluate(
            config, workload, lambda e: send("evaluation", evaluation=e.to_json())
        )
    except (DivergedError, TrialOutOfMemoryError) as error:
        ending: dict[str, Any] = {"kind": "failed", "reason": explain(error)}
    except Exception as error:
        told = traceback.format_exc()
        ending = {"kind": "failed", "reason": explain(error), "traceback": told}
    else:
        ending = {"kind": "finished", "zero_shot": zero_shot.to_json()}
    # Out here, where the error and all that it holds is gone; and before the driver may give the
    # device to somebody else.
    release_memory(config["device"])
    send(**ending)


def train_and_evaluate(
    config: dict[str, Any], workload: Workload, on_evaluation: Callable[[Evaluation], None]
) -> ZeroShot:
    """Train a configuration, save model and predictions, return dev accuracy in every language.

    Raises:
        DivergedError: the loss is not finite at some step.
        TrialOutOfMemoryError: the device's memory does not hold the training.
    """
    import torch

    from rxtune.train import fine_tune, save_model, telling_out_of_memory
    from rxtune.train.predictions import save_predictions

    torch.set_num_threads(config["threads"])
    configuration = Configuration.from_json(config["configuration"])
    settings = workload.settings(configuration, config["device"])
    model = workload.model(settings.seed)

    def train() -> None:
        fine_tune(
            model,
            workload.training_data(configuration),
            {language: workload.dev[language] for language in workload.dev_languages},
            settings,
            pad_id=workload.pad_id,
            on_evaluation=on_evaluation,
            aggregate=workload.aggregate,
            checkpoint_folder=storage.join(config["folder"], "checkpoint"),
            device=config["device"],
        )

    telling_out_of_memory(train, settings, config["device"])
    zero_shot, predictions = evaluate_all(model, workload, workload.dev, split="dev")
    folder = storage.join(config["folder"], "model")
    save_model(model, folder)
    # Beside the model, so that they stay with it if it is the best.
    save_predictions(predictions, folder)
    return zero_shot


def evaluate_all(
    model: Any, workload: Workload, tables: Mapping[str, pa.Table], *, split: Split
) -> tuple[ZeroShot, pa.Table]:
    """Return the accuracy in every language, and the predictions that it was counted from.

    Args:
        model: The trained classifier.
        workload: Says what to count, and has the mixed-language pairs of the same split.
        tables: Language -> tokenised split, with `id`.
        split: Which one it is.
    """
    from rxtune.train.evaluate import accuracy_by_language, evaluate_mixed, predict_by_language
    from rxtune.train.predictions import prediction_table

    found = predict_by_language(model, tables, pad_id=workload.pad_id)
    mixed = workload.mixed
    zero_shot = ZeroShot(
        accuracy=accuracy_by_language(found, tables),
        source_language=workload.source_language,
        dev_languages=workload.dev_languages,
        split=split,
        generalized=evaluate_mixed(model, mixed, pad_id=workload.pad_id) if mixed else None,
    )
    return zero_shot, prediction_table(found, tables, workload.labels)


def explain(error: Exception) -> str:
    """Return why a training failed, in one line."""
    if isinstance(error, DivergedError):
        return f"diverged: {error}"
    kind = "out of memory" if _is_of_memory(error) else type(error).__name__
    line = str(error).strip().partition("\n")[0]
    return f"{kind}: {line}"[:500]


def _is_of_memory(error: Exception) -> bool:
    from rxtune.train.memory import is_out_of_memory

    return isinstance(error, TrialOutOfMemoryError) or is_out_of_memory(error)


def parse(message: str) -> dict[str, Any]:
    """Return a worker's message with its records rebuilt."""
    content: dict[str, Any] = json.loads(message)
    if "evaluation" in content:
        content["evaluation"] = Evaluation.from_json(content["evaluation"])
    if "zero_shot" in content:
        content["zero_shot"] = ZeroShot.from_json(content["zero_shot"])
    return content
