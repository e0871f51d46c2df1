"""The transformers `Trainer` with Gaussian noise on the word embeddings; two searches use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from job import DEV, LABELS, SOURCE, Job
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)

from rxtune.data import find_task

Data = dict[str, Dataset]
"""Language -> tokenised examples: the training split of the source, the dev split of the others,
and under `SOURCE_DEV` the dev split of the source."""
SOURCE_DEV = f"{SOURCE} dev"


@dataclass
class RobustArguments(TrainingArguments):
    """Training arguments with the noise."""

    sigma: float = field(default=0.0, metadata={"help": "Standard deviation of the noise."})


class RobustTrainer(Trainer):
    """Adds noise to the word embeddings of a training batch; evaluates without."""

    def compute_loss(
        self, model: PreTrainedModel, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        """Return the loss at the noisy embeddings."""
        if model.training and self.args.sigma > 0:
            inputs = dict(inputs)
            embeddings = model.get_input_embeddings()(inputs.pop("input_ids"))
            mask = inputs["attention_mask"].unsqueeze(-1)
            noise = self.args.sigma * torch.randn_like(embeddings)
            inputs["inputs_embeds"] = embeddings + noise * mask
        return super().compute_loss(model, inputs, *args, **kwargs)


def tokenised(job: Job) -> Data:
    """Return the task, tokenised once; the collator pads."""
    task = find_task("babel")
    tokenizer = AutoTokenizer.from_pretrained(job.encoder)

    def read(language: str, split: Any) -> Dataset:
        table = task.read(language, split).select(["text", "text_pair", "label"])
        return Dataset(table).map(
            lambda rows: tokenizer(rows["text"], rows["text_pair"], truncation=True),
            batched=True,
            remove_columns=["text", "text_pair"],
        )

    dev = {language: read(language, "dev") for language in task.target_languages}
    return {SOURCE: read(SOURCE, "train"), SOURCE_DEV: read(SOURCE, "dev"), **dev}


def new_model(job: Job) -> PreTrainedModel:
    """Return the pretrained encoder with a new head."""
    return AutoModelForSequenceClassification.from_pretrained(job.encoder, num_labels=LABELS)


def new_arguments(job: Job, **chosen: float) -> RobustArguments:
    """Return the arguments of a trial: evaluations in equal shares, the last one at the end."""
    every = -(-job.updates // job.evaluations)
    return RobustArguments(
        output_dir="trainer",
        max_steps=job.updates,
        per_device_train_batch_size=job.batch_size,
        per_device_eval_batch_size=128,
        train_sampling_strategy="group_by_length",  # less padding
        eval_strategy="steps",
        eval_steps=every,
        logging_steps=every,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
        seed=job.seed,
        **chosen,
    )


def new_trainer(job: Job, data: Data, arguments: RobustArguments, **how: Any) -> RobustTrainer:
    """Return a trainer on the source language that is evaluated in the dev language."""
    tokenizer = AutoTokenizer.from_pretrained(job.encoder)
    return RobustTrainer(
        args=arguments,
        train_dataset=data[SOURCE],
        eval_dataset=data[DEV],
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
        **how,
    )


def accuracy(found: EvalPrediction) -> dict[str, float]:
    """Return the share of right answers."""
    return {"accuracy": float((np.argmax(found.predictions, axis=-1) == found.label_ids).mean())}


def zero_shot(trainer: Trainer, data: Data, dev: float) -> dict[str, float]:
    """Return the accuracy by language; that in the dev language is known."""
    others = {name: table for name, table in data.items() if name not in (SOURCE, DEV)}
    found = {
        name.removesuffix(" dev"): trainer.evaluate(table)["eval_accuracy"]
        for name, table in others.items()
    }
    return {**found, DEV: dev}
