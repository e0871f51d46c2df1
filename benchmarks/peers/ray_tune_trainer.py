"""Ray Tune around the transformers `Trainer`: OptunaSearch, ASHA and MLflow.

    python benchmarks/peers/ray_tune_trainer.py JOB.json [--reuse-actors]

`TuneConfig(reuse_actors=True)` is not Ray's default; without it every trial is a new process.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import ray
from job import Answer, Job, write_answers
from ray import tune
from ray.tune.logger.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from robust_trainer import Data, new_arguments, new_model, new_trainer, tokenised, zero_shot
from transformers import TrainerCallback, TrainerState, set_seed


class ReportToTune(TrainerCallback):
    """Tells Ray Tune of every evaluation but the last, which the final report holds."""

    def __init__(self, began: float) -> None:
        """Note when the trial began."""
        self.began = began

    def on_evaluate(
        self, args: Any, state: TrainerState, control: Any, metrics: Any, **others: Any
    ) -> None:
        """Report; Ray ends the trial here if it is too weak."""
        if state.global_step < state.max_steps:
            dev = metrics["eval_accuracy"]
            tune.report({"dev": dev, "updates": state.global_step, "began": self.began})


def train(config: dict[str, float], job: Job, data: Data) -> None:
    """Train one trial."""
    began = time.time()
    set_seed(job.seed)
    trainer = new_trainer(
        job,
        data,
        new_arguments(job, **config),
        model=new_model(job),
        callbacks=[ReportToTune(began)],
    )
    trainer.train()
    trainer.save_model("model")
    dev = [log["eval_accuracy"] for log in trainer.state.log_history if "eval_accuracy" in log][-1]
    accuracy = zero_shot(trainer, data, dev)
    tune.report({"dev": dev, "updates": job.updates, "began": began, "accuracy": accuracy})


def search(job: Job, reuse_actors: bool) -> tune.ResultGrid:
    """Run the search."""
    ray.init(address="local", num_cpus=job.workers, include_dashboard=False)
    asha = ASHAScheduler(
        max_t=job.evaluations,
        grace_period=job.first_rung,
        reduction_factor=job.reduction_factor,
    )
    points = [{"learning_rate": p.learning_rate, "sigma": p.sigma} for p in job.points]
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, job=job, data=tokenised(job)), {"cpu": 1}),
        param_space={"learning_rate": tune.loguniform(1e-5, 1e-1), "sigma": tune.uniform(0, 10)},
        tune_config=tune.TuneConfig(
            metric="dev",
            mode="max",
            search_alg=OptunaSearch(points_to_evaluate=points),
            scheduler=asha if job.stops else None,
            num_samples=len(points),
            reuse_actors=reuse_actors,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=str(Path.cwd()),
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{Path.cwd()}/mlflow.db", experiment_name="peers"
                )
            ],
            verbose=1,
        ),
    )
    return tuner.fit()


def answer(result: tune.Result) -> Answer:
    """Return what became of a trial."""
    history, last = result.metrics_dataframe, result.metrics
    assert history is not None
    assert last is not None
    assert result.config is not None
    return Answer(
        **result.config,
        curve=tuple(history["dev"]),
        updates=last["updates"],
        accuracy=last.get("accuracy", {}),
        began=last["began"],
    )


def main() -> None:
    """Search and leave the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--reuse-actors", action="store_true", help="trials share processes")
    given = parser.parse_args()
    results = search(Job.read(given.job), given.reuse_actors)
    write_answers(answer(result) for result in results)
    ray.shutdown()


if __name__ == "__main__":
    main()
