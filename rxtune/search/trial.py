"""What a Ray worker does for one trial: train, report, leave the model."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

from rxtune.config import Configuration
from rxtune.errors import DivergedError
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

    def send(kind: str, **content: Any) -> None:
        tune.report({"message": json.dumps({"kind": kind, **content})})

    try:
        zero_shot = train_and_evaluate(
            config, workload, lambda e: send("evaluation", evaluation=e.to_json())
        )
    except DivergedError as error:
        send("failed", reason=explain(error))
    except Exception as error:
        send("failed", reason=explain(error), traceback=traceback.format_exc())
    else:
        send("finished", zero_shot=zero_shot.to_json())


def train_and_evaluate(
    config: dict[str, Any], workload: Workload, on_evaluation: Callable[[Evaluation], None]
) -> ZeroShot:
    """Train a configuration, save its model, and return its dev accuracy in every language.

    Raises:
        DivergedError: the loss is not finite at some step.
    """
    import torch

    from rxtune.train import build_model, evaluate, fine_tune, save_model

    torch.set_num_threads(config["threads"])
    settings = workload.settings(Configuration.from_json(config["configuration"]))
    model = build_model(workload.weights, workload.labels, settings.seed)
    outcome = fine_tune(
        model,
        workload.train,
        {language: workload.dev[language] for language in workload.dev_languages},
        settings,
        pad_id=workload.pad_id,
        on_evaluation=on_evaluation,
        aggregate=workload.aggregate,
        checkpoint_folder=f"{config['folder']}/checkpoint",
        device=config["device"],
    )
    known = outcome.evaluations[-1].accuracy
    rest = {language: table for language, table in workload.dev.items() if language not in known}
    accuracy = {**evaluate(model, rest, pad_id=workload.pad_id), **known}
    save_model(model, f"{config['folder']}/model")
    return ZeroShot(
        accuracy={language: accuracy[language] for language in workload.dev},
        source_language=workload.source_language,
        dev_languages=workload.dev_languages,
    )


def explain(error: Exception) -> str:
    """Return why a training failed, in one line."""
    if isinstance(error, DivergedError):
        return f"diverged: {error}"
    kind = "out of memory" if _is_out_of_memory(error) else type(error).__name__
    line = str(error).strip().partition("\n")[0]
    return f"{kind}: {line}"[:500]


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError)


def parse(message: str) -> dict[str, Any]:
    """Return a worker's message with its records rebuilt."""
    content: dict[str, Any] = json.loads(message)
    if "evaluation" in content:
        content["evaluation"] = Evaluation.from_json(content["evaluation"])
    if "zero_shot" in content:
        content["zero_shot"] = ZeroShot.from_json(content["zero_shot"])
    return content
