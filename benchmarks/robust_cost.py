"""What does robustness cost? Time and memory of a step, against a plain one and against theory.

    python benchmarks/robust_cost.py > benchmarks/results/robust_cost.md

A step of PGD needs forward and backward to the inputs, two of the three parts of a plain step, so
K of them make 1 + 2K/3 plain steps; done naively, with gradients of the weights, K + 1. Times are
of one core (processor time) or of the GPU, methods alternate within every round on the same
batches, a ratio is the median over rounds. Memory is what the allocator counts, beyond weights,
optimiser and batches, in embedding tensors (B, T, H).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

import torch
from search_time import processor
from steps import (
    Bench,
    Update,
    add_shape_flags,
    alternate,
    babel_tiny,
    peak_bytes,
    random_bert,
    ratio,
    shape_of,
)

from rxtune.perturb import Perturbation
from rxtune.track import versions
from rxtune.train.batches import Batch
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.last_layer import first_position_only
from rxtune.train.step import robust_step

SIGMA, RADIUS = 0.05, 0.05
"""Absolute; their size has no influence on the time."""


@dataclass(frozen=True)
class Robust:
    """A method and what it should cost."""

    name: str
    perturbation: Perturbation | None
    expected: float
    """Plain steps."""
    passes: int

    @property
    def naive(self) -> float:
        """Plain steps where every pass computes all gradients."""
        return float(self.passes)


def methods() -> Iterator[Robust]:
    """Yield what is compared, plain fine-tuning first."""
    yield Robust("plain", None, 1.0, 1)
    yield Robust("rs_rp", Perturbation(sigma=SIGMA), 1.0, 1)
    for steps in (1, 2, 3, 5):
        perturbation = Perturbation(radius=RADIUS, pgd_steps=steps)
        yield Robust(f"adv, K = {steps}", perturbation, 1 + 2 * steps / 3, steps + 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_shape_flags(parser)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--steps", type=int, default=6, help="of a method in a round; one of the random BERT"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    where = processor() if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(f"# Cost of robustness\n\n{where}; {versions()}")
    report(babel_tiny(device, given.rounds * given.steps), given.rounds, given.steps)
    report(random_bert(device, shape_of(given), given.rounds), given.rounds, 1)


def report(bench: Bench, rounds: int, steps: int) -> None:
    """Print the table of an encoder."""
    found = list(methods())
    updates = {method.name: update_of(bench, method) for method in found}
    with first_position_only(bench.model), fast_on_cpu(bench.model, bench.device):
        seconds = alternate(bench, updates, rounds=rounds, steps=steps)
        widest = max(bench.batches, key=lambda batch: batch["input_ids"].numel())
        memory = {name: peak_of(updates[name], widest, bench) for name in updates}
    embedding = widest["input_ids"].numel() * bench.model.get_input_embeddings().weight.shape[1]
    print(f"\n## {bench.name}\n")
    print("| method | ms | of plain | theory | off by | naive | memory: MB | more than plain |")
    print("|---|---|---|---|---|---|---|---|")
    for method in found:
        times = ratio(seconds, method.name, "plain")
        more = (memory[method.name] - memory["plain"]) / (4 * embedding)
        print(
            f"| {method.name} | {1e3 * median(seconds[method.name]):.1f} | {times:.2f} | "
            f"{method.expected:.2f} | {100 * (times / method.expected - 1):+.1f} % | "
            f"{method.naive:.0f} | {memory[method.name] / 1e6:.1f} | "
            f"{more:+.1f} embeddings of {method.passes} allowed |",
            flush=True,
        )


def update_of(bench: Bench, method: Robust) -> Update:
    """Return one update of a method; all methods share weights, which hardly move."""
    settings = replace(bench.settings, perturbation=method.perturbation)
    optimiser = torch.optim.AdamW(bench.model.parameters(), lr=1e-9, fused=True)
    noise = torch.Generator(bench.device).manual_seed(0)

    def update(batch: Batch) -> None:
        robust_step(bench.model, optimiser, batch, settings, noise)

    return update


def peak_of(update: Update, batch: Batch, bench: Bench) -> int:
    """Return the peak memory of an update, gradients of the weights included."""
    update(batch)  # the optimiser's state is there
    bench.model.zero_grad(set_to_none=True)
    return peak_bytes(lambda: update(batch), bench.device)


if __name__ == "__main__":
    main()
