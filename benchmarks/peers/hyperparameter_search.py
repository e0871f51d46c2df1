"""`Trainer.hyperparameter_search` with Optuna, in several processes on one storage.

    python benchmarks/peers/hyperparameter_search.py JOB.json

A trainer takes one trial after another, so each process has its own, as Optuna's guide to
parallelisation has it; the data is read before they part.
"""

from __future__ import annotations

import json
import sys
from multiprocessing import Process
from pathlib import Path
from typing import Any

import optuna
from job import Answer, Job, write_answers
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from robust_trainer import Data, new_arguments, new_model, new_trainer, tokenised, zero_shot
from transformers import Trainer, TrainerCallback, TrainerState

STUDY = "peers"


class EvaluateAllLanguages(TrainerCallback):
    """Evaluates a trial that has run to its end in all languages, and saves its model."""

    trainer: Trainer

    def __init__(self, data: Data) -> None:
        """Keep the languages."""
        self.data = data

    def on_train_end(self, args: Any, state: TrainerState, control: Any, **others: Any) -> None:
        """Write the accuracies beside the model."""
        if state.global_step < state.max_steps:
            return
        dev = [log["eval_accuracy"] for log in state.log_history if "eval_accuracy" in log][-1]
        found = zero_shot(self.trainer, self.data, dev)
        folder = Path("models") / str(state.trial_name)
        self.trainer.save_model(str(folder))
        (folder / "accuracy.json").write_text(json.dumps(found))


def space(trial: optuna.Trial) -> dict[str, float]:
    """Return what the trial trains with."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True),
        "sigma": trial.suggest_float("sigma", 0, 10),
    }


def storage() -> JournalStorage:
    """Return the storage that the processes share."""
    return JournalStorage(JournalFileBackend("study.log"))


def search(job: Job, data: Data, trials: int) -> None:
    """Run some trials of the study."""
    callback = EvaluateAllLanguages(data)
    trainer = callback.trainer = new_trainer(
        job,
        data,
        new_arguments(job),
        model_init=lambda: new_model(job),
        callbacks=[callback],
    )
    every = trainer.args.eval_steps
    halving = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=int(job.first_rung * every), reduction_factor=job.reduction_factor
    )
    trainer.hyperparameter_search(
        space,
        compute_objective=lambda metrics: metrics["eval_accuracy"],
        n_trials=trials,
        direction="maximize",
        backend="optuna",
        hp_name=lambda trial: str(trial.number),
        study_name=STUDY,
        storage=storage(),
        load_if_exists=True,
        pruner=halving if job.stops else optuna.pruners.NopPruner(),
    )


def answer(trial: optuna.trial.FrozenTrial) -> Answer:
    """Return what became of a trial."""
    file = Path("models") / str(trial.number) / "accuracy.json"
    assert trial.datetime_start is not None
    return Answer(
        learning_rate=trial.params["learning_rate"],
        sigma=trial.params["sigma"],
        curve=tuple(trial.intermediate_values.values()),
        updates=max(trial.intermediate_values),
        accuracy=json.loads(file.read_text()) if file.exists() else {},
        began=trial.datetime_start.timestamp(),
    )


def main() -> None:
    """Search and leave the answers."""
    job = Job.read(Path(sys.argv[1]))
    study = optuna.create_study(storage=storage(), study_name=STUDY, direction="maximize")
    for point in job.points:
        study.enqueue_trial({"learning_rate": point.learning_rate, "sigma": point.sigma})
    data = tokenised(job)
    shares = [len(job.points[number :: job.workers]) for number in range(job.workers)]
    processes = [Process(target=search, args=(job, data, share)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    write_answers(answer(trial) for trial in study.get_trials())


if __name__ == "__main__":
    main()
