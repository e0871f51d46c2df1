"""An Optuna loop over a plain torch loop on batches of a fixed length, no library in between.

    python benchmarks/peers/released_style.py JOB.json

After the trainer that Huang et al. 2021 (arXiv 2104.08645) released: every text is padded to one
length before training.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from itertools import islice
from multiprocessing import Process
from pathlib import Path

import optuna
import torch
from job import DEV, LABELS, SOURCE, Answer, Job, write_answers
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    get_linear_schedule_with_warmup,
)

from rxtune.data import find_task

STUDY = "peers"
LENGTH = 24
"""Tokens of every text: the longest one has 19."""


def read(job: Job, language: str, split: str) -> TensorDataset:
    """Return a split as tensors (N, LENGTH) and its labels (N,)."""
    rows = find_task("babel").read(language, split).to_pydict()
    tokens = AutoTokenizer.from_pretrained(job.encoder)(
        rows["text"],
        rows["text_pair"],
        padding="max_length",
        truncation=True,
        max_length=LENGTH,
        return_tensors="pt",
    )
    return TensorDataset(
        tokens["input_ids"],
        tokens["attention_mask"],
        tokens["token_type_ids"],
        torch.tensor(rows["label"]),
    )


class Search:
    """The data, read once, and the objective."""

    def __init__(self, job: Job) -> None:
        """Read every language."""
        self.job = job
        self.train = read(job, SOURCE, "train")
        languages = find_task("babel").languages_with("dev")
        self.dev = {language: read(job, language, "dev") for language in languages}

    def objective(self, trial: optuna.Trial) -> float:
        """Train one trial and return its accuracy in the dev language."""
        job = self.job
        sigma = trial.suggest_float("sigma", 0, 10)
        rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        torch.manual_seed(job.seed)
        model = AutoModelForSequenceClassification.from_pretrained(job.encoder, num_labels=LABELS)
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
        schedule = get_linear_schedule_with_warmup(optimiser, 0, job.updates)
        shares = range(1, job.evaluations + 1)
        stops = [round(job.updates * number / job.evaluations) for number in shares]
        accuracy = math.nan
        for update, batch in enumerate(islice(self.batches(), job.updates), start=1):
            model.train()
            optimiser.zero_grad()
            loss_of(model, batch, sigma).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if update in stops:
                accuracy = evaluate(model, self.dev[DEV])
                trial.report(accuracy, stops.index(update) + 1)
                trial.set_user_attr("updates", update)
                print(f"trial {trial.number} update {update} dev {accuracy:.3f}", flush=True)
                # One that has come to its end is evaluated in all languages, as by the others.
                if trial.should_prune() and update < job.updates:
                    raise optuna.TrialPruned
        others = {name: evaluate(model, data) for name, data in self.dev.items() if name != DEV}
        trial.set_user_attr("accuracy", {**others, DEV: accuracy})
        model.save_pretrained(f"models/{trial.number}")
        return accuracy

    def batches(self) -> Iterator[list[Tensor]]:
        """Yield batches, epoch after epoch."""
        while True:
            yield from DataLoader(self.train, batch_size=self.job.batch_size, shuffle=True)


def loss_of(model: PreTrainedModel, batch: list[Tensor], sigma: float) -> Tensor:
    """Return the loss of a batch, with noise on its word embeddings."""
    ids, mask, types, labels = batch
    embeddings = model.get_input_embeddings()(ids)
    if sigma > 0:
        embeddings = embeddings + sigma * torch.randn_like(embeddings) * mask.unsqueeze(-1)
    loss: Tensor = model(
        inputs_embeds=embeddings, attention_mask=mask, token_type_ids=types, labels=labels
    ).loss
    return loss


@torch.no_grad()
def evaluate(model: PreTrainedModel, data: TensorDataset) -> float:
    """Return the share of right answers."""
    model.eval()
    right = 0
    for ids, mask, types, labels in DataLoader(data, batch_size=128):
        logits = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
        right += int((logits.argmax(-1) == labels).sum())
    return right / len(data)


def stop_when_used_up(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """End a process when no point is left for it."""
    if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.stop()


def new_study(job: Job) -> optuna.Study:
    """Return the study on the storage that the processes share."""
    halving = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=job.first_rung, reduction_factor=job.reduction_factor
    )
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend("study.log")),
        study_name=STUDY,
        direction="maximize",
        load_if_exists=True,
        pruner=halving if job.stops else optuna.pruners.NopPruner(),
    )


def run(search: Search) -> None:
    """Take trials until none is left."""
    new_study(search.job).optimize(search.objective, callbacks=[stop_when_used_up])


def answer(trial: optuna.trial.FrozenTrial) -> Answer:
    """Return what became of a trial."""
    assert trial.datetime_start is not None
    return Answer(
        learning_rate=trial.params["learning_rate"],
        sigma=trial.params["sigma"],
        curve=tuple(trial.intermediate_values.values()),
        updates=trial.user_attrs["updates"],
        accuracy=trial.user_attrs.get("accuracy", {}),
        began=trial.datetime_start.timestamp(),
    )


def main() -> None:
    """Search and leave the answers."""
    job = Job.read(Path(sys.argv[1]))
    study = new_study(job)
    for point in job.points:
        study.enqueue_trial({"learning_rate": point.learning_rate, "sigma": point.sigma})
    search = Search(job)
    processes = [Process(target=run, args=(search,)) for _ in range(job.workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    write_answers(answer(trial) for trial in study.get_trials())


if __name__ == "__main__":
    main()
