"""Single updates for the benchmarks: encoders, batches, their time and their memory."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, PreTrainedModel

from rxtune.config import Configuration, load_study
from rxtune.data import find_task
from rxtune.data.order import batch_order
from rxtune.search.workload import prepare
from rxtune.testbed import encoder_folder
from rxtune.train import TrainSettings
from rxtune.train.batches import Batch, TokenTable, to_device

SPACE = "search_spaces/rs.yaml"
LABELS = 3
VOCABULARY = 1000
HEAD_WIDTH = 64

Update = Callable[[Batch], object]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A BERT with random weights, and batches of random texts of one length."""

    layers: int = 4
    width: int = 384
    length: int = 64
    batch_size: int = 16
    dropout: float = 0.0

    @property
    def name(self) -> str:
        """What it is, in words."""
        return (
            f"BERT {self.layers} x {self.width}, {self.batch_size} texts of {self.length}, "
            f"dropout {self.dropout:g}"
        )


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A classifier in training mode with batches for it."""

    name: str
    model: PreTrainedModel
    batches: Sequence[Batch]
    settings: TrainSettings
    """Of plain fine-tuning."""

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.batches[0]["labels"].device

    @property
    def tokens(self) -> float:
        """Tokens of a batch on average, padding included."""
        return sum(batch["input_ids"].numel() for batch in self.batches) / len(self.batches)


def babel_tiny(device: torch.device, batches: int, dropout: float = 0.0) -> Bench:
    """Return the testbed: its encoder, and the first updates of its default trial."""
    study, task = load_study(SPACE), find_task("babel")
    workload = prepare(study, task, task.dev_languages, encoder_folder())
    settings = workload.settings(Configuration(), device.type)
    model: Any = workload.model(settings.seed)
    _set_dropout(model, dropout)
    tokens = TokenTable(workload.train, pad_id=workload.pad_id)
    order = batch_order(tokens.lengths, batch_size=settings.batch_size, seed=0, epoch=0)
    return Bench(
        name=f"babel-tiny on Babel, dropout {dropout:g}",
        model=model.to(device).train(),
        batches=[to_device(tokens.batch(rows), device) for rows in order[:batches]],
        settings=settings,
    )


def random_bert(device: torch.device, shape: Shape, batches: int) -> Bench:
    """Return a BERT with random weights on random texts, bf16 on a GPU."""
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=shape.width, num_hidden_layers=shape.layers,
        num_attention_heads=max(1, shape.width // HEAD_WIDTH), num_labels=LABELS,
        intermediate_size=4 * shape.width, max_position_embeddings=shape.length,
        hidden_dropout_prob=shape.dropout, attention_probs_dropout_prob=shape.dropout,
    )  # fmt: skip
    torch.manual_seed(0)
    model: Any = AutoModelForSequenceClassification.from_config(config)
    rows = shape.batch_size * batches
    tokens = TokenTable(random_texts(rows, shape.length), pad_id=0)
    parts = np.array_split(np.arange(rows), batches)
    return Bench(
        name=shape.name,
        model=model.to(device).train(),
        batches=[to_device(tokens.batch(part), device) for part in parts],
        settings=TrainSettings(
            learning_rate=2e-5, epochs=1.0, batch_size=shape.batch_size, evaluations=1, seed=0,
            precision="bf16" if device.type == "cuda" else "fp32",
        ),
    )  # fmt: skip


def random_texts(rows: int, length: int) -> pa.Table:
    """Return tokenised texts of one length."""
    random = np.random.default_rng(0)
    texts = random.integers(1, VOCABULARY, (rows, length)).astype(np.int32)
    return pa.table(
        {
            "input_ids": pa.array(list(texts), pa.list_(pa.int32())),
            "label": pa.array(random.integers(0, LABELS, rows), pa.int64()),
        }
    )


def _set_dropout(model: torch.nn.Module, probability: float) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = probability


def add_shape_flags(parser: argparse.ArgumentParser) -> None:
    """Let the command line choose device and encoder."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    for name in ("layers", "width", "length", "batch_size"):
        default = getattr(Shape, name, None) or Shape.__dataclass_fields__[name].default
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)


def shape_of(given: argparse.Namespace, dropout: float = 0.0) -> Shape:
    """Return the encoder that the command line asks for."""
    return Shape(
        layers=given.layers, width=given.width, length=given.length,
        batch_size=given.batch_size, dropout=dropout,
    )  # fmt: skip


# --- measuring


def clock(device: torch.device) -> float:
    """Return seconds: on a CPU of this process alone, so that others on the machine count less."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def alternate(
    bench: Bench, updates: Mapping[str, Update], *, rounds: int, steps: int
) -> dict[str, list[float]]:
    """Return the seconds of an update by name, one number per round.

    Within a round all see the same batches, one after the other; the first to go changes.
    """
    for update in updates.values():
        update(bench.batches[0])
    names = list(updates)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        batches = [
            bench.batches[(number * steps + step) % len(bench.batches)] for step in range(steps)
        ]
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            began = clock(bench.device)
            for batch in batches:
                updates[name](batch)
            seconds[name].append((clock(bench.device) - began) / steps)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], name: str, to: str) -> float:
    """Return the median over rounds of one's time over another's in the same round."""
    return median(a / b for a, b in zip(seconds[name], seconds[to], strict=True))


def peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """Return the most memory for tensors that a run holds at a time, beyond what was there."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(profile_memory=True) as profiled:
        run()
    assert profiled.profiler is not None
    events: Any = profiled.profiler.kineto_results
    # Every allocation and, negative, every release, as the allocator saw them.
    changes = [
        (event.start_ns(), event.nbytes())
        for event in events.events()
        if event.name() == "[memory]"
    ]
    return int(np.cumsum([size for _, size in sorted(changes)]).max(initial=0))
