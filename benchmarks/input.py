"""How much of the input is padding, and what that costs: against fixed length and the `Trainer`.

    python benchmarks/input.py > benchmarks/results/input.md

Two tables need no clock: padding, and passes per update at a bounded size of a pass. The speeds
are of one core, each arm trains the same examples for one epoch in the same process, the arms
alternate; a ratio is the median over rounds. Ours and the two other ways to pad are one code, with
one function replaced. For the `Trainer`: `pip install -r benchmarks/peers/requirements.txt`.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Any
from unittest import mock

import lengths
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from search_time import processor
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from rxtune.data.order import batch_order
from rxtune.data.training import PlainData
from rxtune.track import versions
from rxtune.train import TrainSettings, fine_tune
from rxtune.train.batches import Batch, TokenTable, TrainingBatches

BATCH_SIZES = (8, 16, 32, 64)
BATCH_SIZE = 32
BUDGETS = (1024, 2048, 3072)
"""Tokens of a pass; 4096 is the largest batch of 32."""
PAIRS = 50_000
LONGEST = lengths.LONGEST
LABELS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=25, help="of a training; 0: no speeds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"# Input\n\n{processor()}, one core; {versions()}\n")
    print_padding()
    print_passes()
    if given.updates:
        print_speeds(given.updates, given.rounds)


# --- padding


def print_padding() -> None:
    """Print which share of the tokens that go through an encoder is padding."""
    print("## Padding, in percent of all tokens of an epoch\n")
    print(f"| texts | rows | mean | longest | fixed {LONGEST} |", end="")
    print("".join(f" random, {n} | grouped, {n} |" for n in BATCH_SIZES))
    print("|" + "---|" * (5 + 2 * len(BATCH_SIZES)))
    for name, found in samples().items():
        print(f"| {name} | {len(found)} | {found.mean():.1f} | {found.max()} |", end="")
        print(f" {100 - 100 * found.mean() / LONGEST:.1f} |", end="")
        for size in BATCH_SIZES:
            random = random_order(found, batch_size=size, seed=0, epoch=0)
            grouped = batch_order(found, batch_size=size, seed=0, epoch=0)
            print(f" {waste(found, random):.1f} | {waste(found, grouped):.1f} |", end="")
        print(flush=True)
    print("\nRandom and grouped batches are padded to their longest text.")


def samples() -> dict[str, lengths.Lengths]:
    """Return the lengths whose padding is counted, by name."""
    sib200 = {f"SIB-200 {language}": found for language, found in lengths.sib200().items()}
    return {
        "Babel": lengths.of(lengths.babel_tokens()),
        **sib200,
        "XNLI-like": lengths.xnli(PAIRS),
    }


def random_order(
    found: NDArray[np.integer[Any]], *, batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the batches of an epoch in random order: `batch_order` without regard to length."""
    shuffled = np.random.default_rng((seed, epoch)).permutation(len(found))
    return [shuffled[cut : cut + batch_size] for cut in range(0, len(shuffled), batch_size)]


def waste(found: lengths.Lengths, batches: list[NDArray[np.int64]]) -> float:
    """Return the padding in percent of all tokens."""
    padded = sum(int(found[rows].max()) * len(rows) for rows in batches)
    return 100 * float(1 - found.sum() / padded)


# --- passes


def print_passes() -> None:
    """Print how many passes an update needs, where a pass must not exceed a size."""
    found = lengths.xnli(PAIRS)
    batches = batch_order(found, batch_size=BATCH_SIZE, seed=0, epoch=0)
    print(f"\n## Passes per update of {BATCH_SIZE} XNLI-like pairs, by the largest pass\n")
    print("| tokens of a pass at most | `tokens_per_pass` | `accumulation` |\n|---|---|---|")
    for budget in BUDGETS:
        settings = training(1, tokens_per_pass=budget)
        parts = [settings.parts_of(len(rows), int(found[rows].max())) for rows in batches]
        print(f"| {budget} | {np.mean(parts):.2f} | {max(parts)} |")


def training(updates: int, **values: Any) -> TrainSettings:
    """Return plain settings."""
    return TrainSettings(
        learning_rate=1e-4, epochs=1.0, updates=updates, batch_size=BATCH_SIZE, evaluations=1,
        seed=0, **values,
    )  # fmt: skip


# --- speed


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is trained on what."""

    name: str
    model: Callable[[], Any]
    table: pa.Table
    """One epoch."""


def print_speeds(updates: int, rounds: int) -> None:
    """Print examples per second of every arm, and the share of making batches."""
    for case in cases(updates):
        arms = {**padders(), **trainers()}
        for train in arms.values():
            train(case)  # warms up, too
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(rounds):
            for name, train in arms.items():
                seconds[name].append(train(case))
        print_case(case, seconds)


def cases(updates: int) -> Iterator[Case]:
    """Yield what is timed: the embedded task on its encoder, longer texts on a wider one."""
    rows = updates * BATCH_SIZE
    yield Case(
        name="babel-tiny (2 layers, width 128) on Babel",
        model=lambda: bert(128),
        table=lengths.babel_tokens().slice(0, rows),
    )
    yield Case(
        name="BERT of 2 layers, width 256, on XNLI-like lengths",
        model=lambda: bert(256),
        table=lengths.random_tokens(lengths.xnli(rows), vocabulary=1000),
    )


def bert(width: int) -> BertForSequenceClassification:
    """Return a classifier with random weights; of width 128 it has the shape of babel-tiny."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=1200, hidden_size=width, num_hidden_layers=2, intermediate_size=4 * width,
        num_attention_heads=width // 64, max_position_embeddings=LONGEST, num_labels=LABELS,
    )  # fmt: skip
    return BertForSequenceClassification(config)


Arm = Callable[[Case], float]
"""Trains a case and returns the seconds of its updates."""


def padders() -> dict[str, Arm]:
    """Return rxtune's training, as it is and with another way to pad."""
    plain_batch = TokenTable.batch

    def padded(tokens: TokenTable, rows: NDArray[np.integer[Any]]) -> Batch:
        batch = plain_batch(tokens, rows)
        missing = LONGEST - batch["input_ids"].shape[1]
        return {
            name: values if name == "labels" else functional.pad(values, (0, missing))
            for name, values in batch.items()
        }

    def with_(replaced: Callable[[], AbstractContextManager[Any]]) -> Arm:
        def train(case: Case) -> float:
            with replaced():
                return seconds_of(case)

        return train

    at_random = "rxtune.train.batches.batch_order"
    return {
        "rxtune": with_(nullcontext),
        "its loop, random order, padded to the longest": with_(
            lambda: mock.patch(at_random, random_order)
        ),
        f"its loop, padded to {LONGEST}": with_(
            lambda: mock.patch.object(TokenTable, "batch", padded)
        ),
    }


def seconds_of(case: Case) -> float:
    """Return the seconds of an epoch by rxtune, without evaluation."""
    done = fine_tune(
        case.model(), case.table, {}, training(-(-case.table.num_rows // BATCH_SIZE)), pad_id=0,
        on_evaluation=lambda evaluation: None, objectives=lambda scores, cost: (0.0,),
    )  # fmt: skip
    return done.seconds


def trainers() -> Mapping[str, Arm]:
    """Return the transformers `Trainer` on shuffled and on length-grouped batches, if it runs."""
    if importlib.util.find_spec("accelerate") is None:
        return {}
    return {
        "Trainer": lambda case: trainer_seconds(case, "random"),
        "Trainer, group_by_length": lambda case: trainer_seconds(case, "group_by_length"),
    }


def trainer_seconds(case: Case, sampling: str) -> float:
    """Return the seconds of an epoch by the `Trainer`."""
    from datasets import Dataset
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    from rxtune.testbed.tokenizer import build_tokenizer

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, num_train_epochs=1, per_device_train_batch_size=BATCH_SIZE,
            train_sampling_strategy=sampling, learning_rate=1e-4, save_strategy="no",
            logging_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
            dataloader_pin_memory=False, seed=0,
        )  # fmt: skip
        trainer = Trainer(
            model=case.model(), args=arguments,
            train_dataset=Dataset(case.table.rename_columns(renamed(case.table))),
            data_collator=DataCollatorWithPadding(build_tokenizer()),
        )  # fmt: skip
        with quiet():
            return float(trainer.train().metrics["train_runtime"])


def renamed(table: pa.Table) -> list[str]:
    """Return the columns' names as the collator wants them."""
    return ["labels" if name == "label" else name for name in table.column_names]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the `Trainer` from printing its result inside the block."""
    with mock.patch("builtins.print"):
        yield


def print_case(case: Case, seconds: Mapping[str, list[float]]) -> None:
    """Print the table of one case."""
    rows, updates = case.table.num_rows, -(-case.table.num_rows // BATCH_SIZE)
    ours = seconds["rxtune"]
    print(f"\n## {case.name}\n\n{updates} updates of {BATCH_SIZE}, {len(ours)} rounds.\n")
    print("| | examples per second | time against rxtune's |\n|---|---|---|")
    for name, found in seconds.items():
        ratio = median(one / own for one, own in zip(found, ours, strict=True))
        print(f"| {name} | {rows / median(found):.0f} | {ratio:.2f} |")
    making = making_seconds(case.table)
    share = 100 * making / median(ours)
    each = 1e6 * making / updates
    print(f"\nMaking a batch takes {each:.0f} µs, {share:.2f} % of an update.", flush=True)


def making_seconds(table: pa.Table) -> float:
    """Return the seconds of making the batches of an epoch, the order included."""

    def make() -> float:
        batches = TrainingBatches(PlainData(table), pad_id=0, batch_size=BATCH_SIZE, seed=0)
        began = time.perf_counter()
        for update in range(-(-table.num_rows // BATCH_SIZE)):
            batches.batch(update)
        return time.perf_counter() - began

    return median(make() for _ in range(5))


if __name__ == "__main__":
    main()
