"""How fast does training run on a GPU, and what bounds it? Planned to take 6 minutes on an H200.

    pip install -r benchmarks/peers/requirements.txt    # the Trainer's; it is left out without
    python benchmarks/gpu.py > benchmarks/results/gpu.md
    python benchmarks/gpu.py --device cpu --toy         # only shows that the script runs

It needs nothing but this repository: weights and tokens are random, the lengths as XNLI's. All
that is compared is measured in this one run: the arms of a table train the same examples for one
epoch, they alternate, and a figure is the median over rounds. The share of the matrix rate is that
of the rate measured here with large products; the work counted for it leaves padding out.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

# Before torch: the Trainer takes all GPUs that it sees, and a compiled kernel may lie in a cache.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"

import torch
from device.breakdown import Breakdown, break_down
from device.contenders import (
    has_trainer,
    making_seconds,
    released_seconds,
    rxtune_seconds,
    trainer_seconds,
)
from device.encoders import (
    SHAPES,
    TOY_SHAPES,
    Shape,
    Work,
    longest,
    methods,
    xnli_like,
)
from device.packing import pack
from device.rates import bytes_outside_torch, matrix_rate
from search_time import processor
from transformers import PreTrainedModel

from rxtune.perturb import Perturbation
from rxtune.track import versions
from rxtune.train import release_memory

MIB = 2**20
Train = Callable[[], float]
"""Trains an epoch and returns its seconds."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, and how large it is."""

    device: torch.device
    shapes: tuple[Shape, ...]
    """The first one is also profiled, compiled and packed."""
    small: Work
    """Updates as a search makes them by default."""
    large: Work
    """Updates that fill a GPU."""
    full: Work
    """The same without short texts."""
    compiled: tuple[Work, ...]
    rounds: int
    matrix_size: int
    packs: tuple[int, ...]
    """Trials at a time."""
    backend: str
    """Of torch.compile."""


def real_plan(device: torch.device, rounds: int) -> Plan:
    """Return what is measured on a GPU."""
    small = xnli_like(32, updates=50)
    large = xnli_like(256, updates=25, tokens_per_pass=16_384)
    return Plan(
        device=device,
        shapes=SHAPES,
        small=small,
        large=large,
        compiled=(small, large),
        full=longest(128, updates=25),
        rounds=rounds,
        matrix_size=8192,
        packs=(1, 2, 4),
        backend="inductor",
    )


def toy_plan(device: torch.device) -> Plan:
    """Return a plan that takes seconds on a CPU; its figures mean nothing."""
    small = xnli_like(4, updates=2)
    return Plan(
        device=device,
        shapes=TOY_SHAPES,
        small=small,
        compiled=(small,),
        large=xnli_like(8, updates=2, tokens_per_pass=256),
        full=longest(4, updates=2),
        rounds=1,
        matrix_size=128,
        packs=(1,),
        backend="eager",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--toy", action="store_true", help="tiny encoders, for a test")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    device = torch.device(given.device, 0) if given.device == "cuda" else torch.device("cpu")
    plan = toy_plan(device) if given.toy else real_plan(device, given.rounds)
    began = time.perf_counter()
    peak = print_machine(plan)
    for shape in plan.shapes:
        print_speeds(plan, shape, peak)
        release_memory(device)
    print_breakdown(plan)
    print_compiled(plan)
    release_memory(device)
    print_packed(plan)
    print(f"\nThe whole run took {time.perf_counter() - began:.0f} s.")


def print_machine(plan: Plan) -> float:
    """Print what it runs on, and return the rate of bf16 matrix products."""
    device, size = plan.device, plan.matrix_size
    is_gpu = device.type == "cuda"
    print(f"# On a GPU\n\n{torch.cuda.get_device_name(device) if is_gpu else 'no GPU'}, beside")
    print(f"{processor()}, {os.cpu_count()} cores; {versions()}; CUDA {torch.version.cuda}\n")
    peak = matrix_rate(device, torch.bfloat16, size)
    single = matrix_rate(device, torch.float32, size)
    print(f"Products of {size} x {size} matrices: {peak / 1e12:.4g} TFLOP/s in bf16,")
    print(f"{single / 1e12:.4g} in fp32 ({torch.get_float32_matmul_precision()} precision).")
    if is_gpu:
        outside = bytes_outside_torch(device) / MIB
        print(f"The GPU holds {outside:.0f} MiB beside tensors; with no other program on it that")
        print("is what `OUTSIDE_TORCH` in `rxtune/train/memory.py` allows for.")
    return peak


# --- speeds


def print_speeds(plan: Plan, shape: Shape, peak: float) -> None:
    """Print the speed of every method and contender on one encoder."""
    model = shape.classifier(plan.device)
    count = sum(weight.numel() for weight in model.parameters())
    print(f"\n## {shape.name}-shaped, {count / 1e6:.0f} million weights")
    for work in (plan.small, plan.large, plan.full):
        arms = {name: (rxtune_arm(plan, model, shape, work, found), cost_of(work, found, plan))
                for name, found in methods(model).items()
                if work is not plan.full or found is None}  # fmt: skip
        if work is not plan.full:
            arms.update(others(plan, model, shape, work))
        print_work(plan, shape, work, arms, peak)


def cost_of(work: Work, perturbation: Perturbation | None, plan: Plan) -> float:
    """Return the cost of an example in forward passes."""
    return work.settings(perturbation, plan.device).forward_equivalents_per_example


def rxtune_arm(
    plan: Plan, model: PreTrainedModel, shape: Shape, work: Work, perturbation: Perturbation | None
) -> Train:
    """Return a training by rxtune."""
    table, settings = work.table(shape), work.settings(perturbation, plan.device)
    return lambda: rxtune_seconds(model, table, settings, plan.device)


def others(
    plan: Plan, model: PreTrainedModel, shape: Shape, work: Work
) -> dict[str, tuple[Train, float]]:
    """Return the trainings to compare with, all of them plain: name -> training and cost."""
    table, device, size = work.table(shape), plan.device, work.batch_size
    found: dict[str, tuple[Train, float]] = {}
    if has_trainer():
        for sampling in ("random", "group_by_length"):
            name = "Trainer" + (", group_by_length" if sampling == "group_by_length" else "")

            def train(sampling: str = sampling) -> float:
                return trainer_seconds(model, table, device, batch_size=size, sampling=sampling)

            found[name] = (train, 3.0)
    if work is plan.small:
        found["released style"] = (lambda: released_seconds(model, table, device), 3.0)
    return found


def print_work(
    plan: Plan, shape: Shape, work: Work, arms: Mapping[str, tuple[Train, float]], peak: float
) -> None:
    """Time the arms and print a table."""
    memory = {name: peak_memory(train, plan.device) for name, (train, _) in arms.items()}
    seconds = alternate({name: train for name, (train, _) in arms.items()}, plan.rounds)
    print(f"\n### {work.name}\n\n{work.updates} updates, {100 * work.padding:.1f} % padding.\n")
    print("| | examples/s | ms/update | time against plain | share of matrix rate | GiB |")
    print("|---|---|---|---|---|---|")
    for name, (_, cost) in arms.items():
        own = median(seconds[name])
        ratio = median(a / b for a, b in zip(seconds[name], seconds["plain"], strict=True))
        rate = cost * shape.forward_flops(work.texts) / own
        print(
            f"| {name} | {len(work.texts) / own:.0f} | {1000 * own / work.updates:.2f} |", end=""
        )
        print(f" {ratio:.2f} | {100 * rate / peak:.1f} % | {memory[name] / 2**30:.1f} |")
    making = median(making_seconds(work.table(shape), work.batch_size) for _ in range(3))
    share = 100 * making / median(seconds["plain"])
    print(f"\nMaking a batch takes the host {1e6 * making / work.updates:.0f} µs,", end="")
    print(f" {share:.1f} % of a plain update.", flush=True)


def alternate(arms: Mapping[str, Train], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every arm in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, train in arms.items():
            seconds[name].append(train())
    return seconds


def peak_memory(train: Train, device: torch.device) -> int:
    """Return the most bytes that tensors took in a training, which warms it up as well."""
    if device.type != "cuda":
        train()
        return 0
    release_memory(device)
    torch.cuda.reset_peak_memory_stats(device)
    train()
    return torch.cuda.max_memory_allocated(device)


# --- what bounds it


def print_breakdown(plan: Plan) -> None:
    """Print where the time of a plain update goes."""
    shape = plan.shapes[0]
    model = shape.classifier(plan.device)
    works = (plan.small, plan.large, plan.full)
    found = [broken_down(plan, model, shape, work) for work in works]
    print(f"\n## Where a plain update goes ({shape.name}-shaped), in ms on the device\n")
    print(f"| | {' | '.join(work.name for work in works)} |\n|{'---|' * (1 + len(works))}")
    for group in found[0].by_group:
        print(f"| {group} | {' | '.join(f'{1000 * one.by_group[group]:.2f}' for one in found)} |")
    print(f"| **wall time** | {' | '.join(f'{1000 * one.wall:.2f}' for one in found)} |")
    print(f"| device busy | {' | '.join(f'{100 * one.busy:.0f} %' for one in found)} |")
    print(f"| kernel launches | {' | '.join(f'{one.launches:.0f}' for one in found)} |")
    print(
        "\nA device that is not busy waits for the host: for Python and kernel launches.",
        flush=True,
    )


def broken_down(plan: Plan, model: PreTrainedModel, shape: Shape, work: Work) -> Breakdown:
    """Return where a plain update of some work goes."""
    updates = min(10, work.updates)
    table = work.table(shape)
    settings = work.settings(None, plan.device, updates=updates)

    def train() -> float:
        return rxtune_seconds(model, table, settings, plan.device)

    train()
    wall = median(train() for _ in range(plan.rounds))
    return break_down(train, updates, plan.device, wall=wall)


# --- compiled


def print_compiled(plan: Plan) -> None:
    """Print what compiling the layers gains, and after how many updates it has paid."""
    shape = plan.shapes[0]
    eager, compiled = shape.classifier(plan.device), shape.classifier(plan.device)
    compile_layers(compiled, plan.backend)
    print(f"\n## torch.compile of the layers ({shape.name}-shaped)\n")
    print("| | compiling, s | eager, ms/update | compiled, ms/update | pays after updates |")
    print("|---|---|---|---|---|")
    for work in plan.compiled:
        for name in ("plain", "adv, K = 1"):
            found = methods(eager)[name]
            arms = {
                "eager": rxtune_arm(plan, eager, shape, work, found),
                "compiled": rxtune_arm(plan, compiled, shape, work, found),
            }
            first = {name: train() for name, train in arms.items()}
            seconds = {name: median(s) for name, s in alternate(arms, plan.rounds).items()}
            print_compiled_work(f"{work.name}, {name}", work, first, seconds)
    print("\nA row after the first finds some graphs compiled already.", flush=True)


def compile_layers(model: PreTrainedModel, backend: str) -> None:
    """Compile the layers, for any batch size and length: one graph serves them all.

    Not the model as a whole: the hooks by which embeddings are perturbed would break its graph.
    """
    layers: Any = model.base_model.encoder.layer
    for layer in layers:
        layer.compile(backend=backend, dynamic=True)


def print_compiled_work(
    name: str, work: Work, first: Mapping[str, float], seconds: Mapping[str, float]
) -> None:
    """Print a row."""
    compiling = first["compiled"] - seconds["compiled"]
    gain = (seconds["eager"] - seconds["compiled"]) / work.updates
    pays = f"{compiling / gain:.0f}" if gain > 0 else "never"
    each = " | ".join(f"{1000 * found / work.updates:.2f}" for found in seconds.values())
    print(f"| {name} | {compiling:.1f} | {each} | {pays} |", flush=True)


# --- packed


def print_packed(plan: Plan) -> None:
    """Print how much more is done by trials that share the GPU, each within its share."""
    shape, work = plan.shapes[0], plan.small
    print(f"\n## Trials that share the GPU ({shape.name}-shaped, {work.name}, plain)\n")
    print("| trials | `--gpus-per-trial` | examples/s of all | against one | GiB of each |")
    print("|---|---|---|---|---|")
    alone = None
    for trials in plan.packs:
        found = pack(shape, work, trials, plan.device)
        rate = trials * len(work.texts) / found.seconds
        alone = alone or rate
        print(f"| {trials} | {1 / trials:.2g} | {rate:.0f} | {rate / alone:.2f} |", end="")
        print(f" {found.reserved / 2**30:.1f} |", flush=True)


if __name__ == "__main__":
    main()
