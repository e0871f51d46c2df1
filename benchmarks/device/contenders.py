"""Whose trainings are timed: rxtune's, the transformers `Trainer`'s, one in the released style.

Each trains one epoch of a table and returns the seconds of its updates.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from typing import Any
from unittest import mock

import lengths
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from rxtune.data.training import PlainData
from rxtune.train import TrainSettings, fine_tune
from rxtune.train.batches import TokenTable, TrainingBatches

RELEASED_BATCH, RELEASED_PARTS = 8, 4
"""The released trainer's passes, and how many of them make an update."""


def rxtune_seconds(
    model: PreTrainedModel, table: pa.Table, settings: TrainSettings, device: torch.device
) -> float:
    """Train by rxtune, without evaluations."""
    done = fine_tune(
        model, table, {}, settings, pad_id=int(model.config.pad_token_id or 0), device=device,
        on_evaluation=lambda evaluation: None, objectives=lambda scores, cost: (0.0,),
    )  # fmt: skip
    return done.seconds


def has_trainer() -> bool:
    """Return whether the `Trainer` runs here: it needs accelerate."""
    return importlib.util.find_spec("accelerate") is not None


def trainer_seconds(
    model: PreTrainedModel,
    table: pa.Table,
    device: torch.device,
    *,
    batch_size: int,
    sampling: str,
    workers: int = 0,
) -> float:
    """Train by the `Trainer`, padded by its collator; bf16 on a GPU.

    Args:
        model: A classifier.
        table: Tokens and labels.
        device: Where to train.
        batch_size: Examples per update.
        sampling: `random` or `group_by_length`.
        workers: Processes that make batches.
    """
    from datasets import Dataset
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    from rxtune.testbed.tokenizer import build_tokenizer

    is_gpu = device.type == "cuda"
    names = ["labels" if name == "label" else name for name in table.column_names]
    with tempfile.TemporaryDirectory() as folder, mock.patch("builtins.print"):  # it is talkative
        arguments = TrainingArguments(
            output_dir=folder, num_train_epochs=1, per_device_train_batch_size=batch_size,
            train_sampling_strategy=sampling, learning_rate=2e-5, save_strategy="no",
            logging_strategy="no", report_to="none", disable_tqdm=True, use_cpu=not is_gpu,
            bf16=is_gpu, dataloader_pin_memory=is_gpu, dataloader_num_workers=workers, seed=0,
        )  # fmt: skip
        trainer = Trainer(
            model=model, args=arguments, train_dataset=Dataset(table.rename_columns(names)),
            data_collator=DataCollatorWithPadding(build_tokenizer()),
        )  # fmt: skip
        try:
            return float(trainer.train().metrics["train_runtime"])
        finally:
            vars(model).pop("forward", None)  # else bf16 would stay on for whoever comes next


def released_seconds(model: PreTrainedModel, table: pa.Table, device: torch.device) -> float:
    """Train as the trainer that Huang et al. 2021 released: fp32, one length, small passes.

    Source: arXiv 2104.08645, github.com/uclanlp/Robust-XLT: batches of 8, an update every 4 of
    them, texts padded to 128, the loss read after every pass.
    """
    loader = DataLoader(_at_one_length(table), batch_size=RELEASED_BATCH, shuffle=True)
    model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimiser, 0, len(loader))
    losses = 0.0
    began = time.perf_counter()
    for number, batch in enumerate(loader, start=1):
        ids, mask, labels = (tensor.to(device) for tensor in batch)
        loss: Any = model(input_ids=ids, attention_mask=mask, labels=labels).loss / RELEASED_PARTS
        loss.backward()
        losses += loss.item()
        if number % RELEASED_PARTS == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            model.zero_grad()
    synchronise(device)
    return time.perf_counter() - began


def _at_one_length(table: pa.Table) -> TensorDataset:
    tokens = TokenTable(table, pad_id=0)
    rows = torch.arange(len(tokens)).numpy()
    batch = tokens.batch(rows)
    missing = lengths.LONGEST - batch["input_ids"].shape[1]
    wide = [
        torch.nn.functional.pad(batch[name], (0, missing))
        for name in ("input_ids", "attention_mask")
    ]
    return TensorDataset(*wide, batch["labels"])


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def making_seconds(table: pa.Table, batch_size: int) -> float:
    """Return the seconds in which the batches of an epoch are made on the host."""
    batches = TrainingBatches(PlainData(table), pad_id=0, batch_size=batch_size, seed=0)
    began = time.perf_counter()
    for update in range(-(-table.num_rows // batch_size)):
        batches.batch(update)
    return time.perf_counter() - began
