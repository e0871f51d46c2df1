"""Which share of a trial is evaluation? Of a whole plain trial, and of one stopped at a rung.

    python benchmarks/evaluation_share.py > benchmarks/results/evaluation_share.md

The trial is the default one on Babel, on one core, as a worker runs it. Times are of the clock,
because saving waits for the disk; each row is the median over trials of its share.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from statistics import median
from typing import Any
from unittest import mock

import torch
from search_time import SPACE, processor

from rxtune.config import Configuration, load_study
from rxtune.data import find_task
from rxtune.results import Evaluation
from rxtune.search.trial import train_and_evaluate
from rxtune.search.workload import Workload, prepare
from rxtune.testbed import encoder_folder
from rxtune.track import versions
from rxtune.train.evaluate import predict_by_language

PARTS = {
    "evaluations on the way": ("rxtune.train.loop", "predict_by_language"),
    "all other languages, at the end": ("rxtune.train.evaluate", "predict_by_language"),
    "the source with noise": ("rxtune.train.evaluate", "evaluate_noisy"),
    "checkpoints": ("rxtune.train.loop", "save_checkpoint"),
    "the model": ("rxtune.train", "save_model"),
}
"""Part of a trial -> where the function that does it is looked up."""
BOUNDS = (256, 512, 768, 1024, 2048, 4096, 8192)
"""Tokens of an evaluation's batch."""


class Stopped(Exception):
    """Raised in a report, as Ray stops a trial."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=float, help="of a trial; default: the task's")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"# Evaluation's share of a trial\n\n{processor()}; {versions()}")
    workload = prepared(given.epochs)
    for name, until in (("A whole plain trial", None), ("A plain trial stopped after 2", 2)):
        trials = [timed(workload, given.device, until) for _ in range(given.repeats)]
        print_shares(name, trials)
    print_bounds(workload, given.device, given.repeats)


def prepared(epochs: float | None) -> Workload:
    """Return the default search's workload."""
    study, task = load_study(SPACE), find_task("babel")
    workload = prepare(study, task, task.dev_languages, encoder_folder())
    return workload if epochs is None else replace(workload, epochs=epochs)


def timed(workload: Workload, device: str, until: int | None) -> dict[str, float]:
    """Return the seconds of a trial by part, under `whole` of all of it.

    Args:
        workload: Of the search.
        device: Where to train.
        until: Evaluation in whose report the trial is stopped, None: it is not.
    """
    told: list[Evaluation] = []

    def on_evaluation(evaluation: Evaluation) -> None:
        told.append(evaluation)
        if len(told) == until:
            raise Stopped

    with tempfile.TemporaryDirectory() as folder, timing() as spent:
        config = {
            "configuration": Configuration().to_json(), "folder": folder,
            "threads": 1, "device": device,
        }  # fmt: skip
        began = time.perf_counter()
        with suppress(Stopped):
            train_and_evaluate(config, workload, on_evaluation)
        return {**spent, "whole": time.perf_counter() - began}


@contextmanager
def timing() -> Iterator[dict[str, float]]:
    """Note the seconds that each part takes."""
    spent = dict.fromkeys(PARTS, 0.0)

    def noting(part: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return run(*args, **kwargs)
            finally:
                spent[part] += time.perf_counter() - began

        return noted

    with ExitStack() as stack:
        for part, (name, function) in PARTS.items():
            module = importlib.import_module(name)
            run = noting(part, getattr(module, function))
            stack.enter_context(mock.patch.object(module, function, run))
        yield spent


def print_shares(name: str, trials: list[dict[str, float]]) -> None:
    """Print the parts of a kind of trial."""
    print(f"\n## {name}: {median(trial['whole'] for trial in trials):.1f} s\n")
    print("| part | s | share |\n|---|---|---|")
    for part in PARTS:
        seconds = median(trial[part] for trial in trials)
        share = median(trial[part] / trial["whole"] for trial in trials)
        print(f"| {part} | {seconds:.2f} | {100 * share:.1f} % |", flush=True)


def print_bounds(workload: Workload, device: str, repeats: int) -> None:
    """Print how long an evaluation takes by the size of its batches."""
    model = workload.model(0).to(device)
    seconds: dict[int, list[float]] = {bound: [] for bound in BOUNDS}
    for _ in range(repeats + 1):  # the first warms up
        for bound, found in seconds.items():
            began = time.process_time() if device == "cpu" else time.perf_counter()
            predict_by_language(
                model, workload.evaluated, pad_id=workload.pad_id, tokens_per_batch=bound
            )
            ended = time.process_time() if device == "cpu" else time.perf_counter()
            found.append(ended - began)
    print("\n## One evaluation, by most tokens in a batch\n\n| tokens | s |\n|---|---|")
    for bound, found in seconds.items():
        print(f"| {bound} | {median(found[1:]):.3f} |")


if __name__ == "__main__":
    main()
