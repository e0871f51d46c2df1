"""Fine-tunes `babel-tiny` on a grid of configurations and seeds; appends one JSON line per run.

    python benchmarks/babel_runs.py --out benchmarks/results/babel_runs.jsonl
    python benchmarks/babel_runs.py --out … --chosen --seeds 5 6 7 8 9

Runs that the file already holds are not repeated, so it can be stopped and started again.
`babel_effect.py` and `babel_selection.py` read what it writes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rxtune.config.configuration import Configuration
from rxtune.data import find_task

LEARNING_RATES = (0.3, 0.5, 1.0, 2.0, 3.0)
SIGMAS = (0.3, 0.6, 1.0, 1.7)
MIDDLE = 1.0
"""The sigma that is tried at every learning rate."""
RATES = (1.0, 2.0)
"""The learning rates that everything else is tried at."""
RADII = (0.01, 0.03)
SMOOTH = (1.0, 0.01)
"""Sigma and radius of `smooth_adv`."""
CANDIDATES = ("qaf", "qag")
"""Languages that might choose: evaluated along the way, like the source; the others at the end."""


def grid() -> Iterator[Configuration]:
    """Yield the configurations that are compared, in relative units."""
    for rate in LEARNING_RATES:
        yield Configuration(learning_rate=rate)
        for sigma in SIGMAS if rate in RATES else (MIDDLE,):
            yield Configuration(method="rs_rp", learning_rate=rate, sigma=sigma)
    sigma, radius = SMOOTH
    for rate in RATES:
        for bound in RADII:
            yield Configuration(method="adv", learning_rate=rate, radius=bound, pgd_steps=1)
    for rate in (0.5, *RATES):
        yield Configuration(
            method="smooth_adv", learning_rate=rate, sigma=sigma, radius=radius, pgd_steps=1
        )


def run(
    configuration: Configuration, seed: int, model: str, epochs: float, evaluations: int = 3
) -> dict[str, Any]:
    """Return the dev curve and the final dev and test accuracy per language of one run."""
    import torch

    from rxtune.data import load_tokenizer, tokenise
    from rxtune.perturb import Scale, Scales, measure_unit
    from rxtune.train import (
        TrainSettings,
        build_model,
        default_learning_rate,
        evaluate,
        fine_tune,
        load_encoder,
        resolve,
    )

    torch.set_num_threads(1)
    task, weights, tokenizer = find_task("babel"), load_encoder(model), load_tokenizer(model)

    def table(language: str, split: Any) -> Any:
        return tokenise(task.read(language, split), tokenizer, task.max_length)

    train = table(task.source_language, "train")
    dev = {language: table(language, "dev") for language in task.languages}
    candidates = {language: dev[language] for language in (task.source_language, *CANDIDATES)}
    words = weights.word_embeddings
    seen = train.column("input_ids").combine_chunks().values.to_numpy()
    defaults = TrainSettings(
        learning_rate=default_learning_rate(weights.config),
        epochs=epochs,
        batch_size=task.batch_size,
        evaluations=evaluations,
        seed=seed,
    )
    scales = Scales(word=Scale(measure_unit(words, seen), words.shape[1]))
    settings = resolve(configuration, defaults, scales)
    classifier = build_model(weights, task.labels, seed)
    pad = tokenizer.pad_token_id
    began = time.perf_counter()
    curve: list[dict[str, float]] = []
    outcome = fine_tune(
        classifier, train, candidates, settings, pad_id=pad,
        on_evaluation=lambda evaluation: curve.append(dict(evaluation.accuracy)),
        objectives=lambda scores, cost: (sum(scores.values()) / len(scores),),
    )  # fmt: skip
    curve[-1] = evaluate(classifier, dev, pad_id=pad)
    test = {language: table(language, "test") for language in task.languages}
    return {
        "configuration": configuration.searched(), "seed": seed, "epochs": epochs,
        "curve": curve, "test": evaluate(classifier, test, pad_id=pad),
        "loss": [evaluation.train_loss for evaluation in outcome.evaluations],
        "forward_equivalents": outcome.forward_equivalents,
        "train_seconds": outcome.seconds, "seconds": time.perf_counter() - began,
    }  # fmt: skip


def choices(path: Path) -> list[dict[str, Any]]:
    """Return the configuration that each method chose, on the dev language."""
    from babel_effect import choose, load

    runs, dev = load(path), find_task("babel").dev_languages
    methods = {json.loads(key)["method"] for key in runs}
    return [json.loads(choose(runs, method, dev)) for method in sorted(methods)]


def main() -> None:
    """Run what is missing, two at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--model", help="encoder folder (default: the shipped one)")
    parser.add_argument("--epochs", type=float, default=find_task("babel").epochs)
    parser.add_argument("--methods", nargs="+", default=["standard", "rs_rp", "adv", "smooth_adv"])
    parser.add_argument("--rates", type=float, nargs="+", default=list(LEARNING_RATES))
    parser.add_argument("--sigmas", type=float, nargs="+", default=list(SIGMAS))
    parser.add_argument("--evaluations", type=int, default=6, help="as in a search")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--chosen", action="store_true", help="only what each method chose on the seeds there are"
    )
    arguments = parser.parse_args()
    if arguments.model is None:
        from rxtune.testbed import encoder_folder

        arguments.model = str(encoder_folder())
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    done = {
        (json.dumps(record["configuration"]), record["seed"], record["epochs"])
        for record in map(json.loads, lines)
    }
    chosen = choices(arguments.out) if arguments.chosen else None
    jobs = [
        (configuration, seed)
        for seed in arguments.seeds
        for configuration in grid()
        if configuration.method in arguments.methods
        and (chosen is None or configuration.searched() in chosen)
        and configuration.learning_rate in arguments.rates
        and configuration.sigma in (0.0, *arguments.sigmas)
        and (json.dumps(configuration.searched()), seed, arguments.epochs) not in done
    ]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with (
        ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool,
        arguments.out.open("a") as out,
    ):
        pending = [
            pool.submit(run, *job, arguments.model, arguments.epochs, arguments.evaluations)
            for job in jobs
        ]
        for count, future in enumerate(as_completed(pending), start=1):
            record = future.result()
            out.write(json.dumps(record) + "\n")
            out.flush()
            print(f"{count}/{len(jobs)}", record["configuration"], f"{record['seconds']:.1f} s")


if __name__ == "__main__":
    main()
