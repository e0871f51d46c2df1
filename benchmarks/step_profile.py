"""Where does the time of a plain step go, what makes it faster, what share of the core is used?

    python benchmarks/step_profile.py > benchmarks/results/step_profile.md

Arms alternate within every round on the same batches; a ratio is the median over rounds. On a CPU
times are processor time of one thread. The breakdown is the profiler's, whose bookkeeping makes
small operations look dearer than they are. Operations per update are counted, padding included.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from statistics import median
from typing import Any

import torch
from search_time import processor
from steps import (
    Bench,
    Update,
    add_shape_flags,
    alternate,
    babel_tiny,
    clock,
    random_bert,
    ratio,
    shape_of,
)
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from rxtune.track import versions
from rxtune.train.batches import Batch
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.last_layer import first_position_only
from rxtune.train.step import robust_step

SQUARE = {"cpu": 1024, "cuda": 8192}
OURS = "rxtune"
Arm = Callable[[Bench], AbstractContextManager[object]]

GROUPS: Mapping[str, tuple[str, ...]] = {
    "attention": ("attention", "softmax", "aten::bmm", "baddbmm"),
    "products, forward": ("aten::addmm",),
    "products, backward": ("aten::mm",),
    "GELU": ("gelu",),
    "layer norm": ("layer_norm",),
    "dropout": ("dropout", "bernoulli", "random_", "aten::ge"),
    "optimiser": ("adamw", "AdamW"),
    "norm and clipping of the gradient": ("vector_norm", "_foreach", "aten::mul_", "clamp"),
    "embeddings": ("embedding", "index_select"),
    "copies, sums, fills": ("copy_", "aten::sum", "aten::add", "fill_", "zero_", "aten::mul"),
}
"""Group -> what the names of its operations hold; the first that fits counts."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_shape_flags(parser)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=5, help="of an arm in a round")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    where = processor() if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(f"# The plain step\n\n{where}; {versions()}")
    batches = given.rounds * given.steps
    report(babel_tiny(device, batches), given.rounds, given.steps)
    report(babel_tiny(device, batches, dropout=0.1), given.rounds, given.steps)
    report(random_bert(device, shape_of(given), given.rounds), given.rounds, 1)


def report(bench: Bench, rounds: int, steps: int) -> None:
    """Print the tables of an encoder."""
    print(f"\n## {bench.name}\n\n| arm | ms | of {OURS} |\n|---|---|---|")
    update = update_of(bench)
    arms = {name: under(arm, bench, update) for name, arm in ARMS.items()}
    seconds = alternate(bench, arms, rounds=rounds, steps=steps)
    for name, found in seconds.items():
        print(f"| {name} | {1e3 * median(found):.2f} | {ratio(seconds, name, OURS):.2f} |")
    with ARMS[OURS](bench):
        print_breakdown(bench, update, steps)
        print_rates(bench, update, median(seconds[OURS]))


def update_of(bench: Bench) -> Update:
    """Return one plain update; the weights hardly move."""
    optimiser = torch.optim.AdamW(bench.model.parameters(), lr=1e-9, fused=True)
    noise = torch.Generator(bench.device)

    def update(batch: Batch) -> None:
        robust_step(bench.model, optimiser, batch, bench.settings, noise)

    return update


# --- arms


def under(arm: Arm, bench: Bench, update: Update) -> Update:
    """Return the update done in the arm's way."""

    def run(batch: Batch) -> None:
        with arm(bench):
            update(batch)

    return run


@contextmanager
def ours(bench: Bench) -> Iterator[None]:
    """Train as rxtune does."""
    with first_position_only(bench.model), fast_on_cpu(bench.model, bench.device):
        yield


@contextmanager
def by_onednn(bench: Bench) -> Iterator[None]:
    """Multiply by oneDNN, with the attention kernel that goes with it; all positions."""
    before = torch.get_float32_matmul_precision()
    with fast_on_cpu(bench.model, bench.device), sdpa_kernel(SDPBackend.MATH):
        torch.set_float32_matmul_precision("medium")
        yield
    torch.set_float32_matmul_precision(before)


@contextmanager
def eager_attention(bench: Bench) -> Iterator[None]:
    """Attend by plain products and a softmax."""
    config: Any = bench.model.config
    before, config._attn_implementation = config._attn_implementation, "eager"
    with ours(bench):
        yield
    config._attn_implementation = before


class StoredGelu(torch.autograd.Function):
    """GELU that keeps the normal distribution function for its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return x Φ(x)."""
        below = torch.special.ndtr(x)
        ctx.save_for_backward(x, below)
        return x * below

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        """Return gradient · (Φ(x) + x φ(x))."""
        x, below = ctx.saved_tensors
        density = (x * x).mul_(-0.5).exp_().mul_(x).mul_(1 / math.sqrt(2 * math.pi))
        return gradient * density.add_(below)


@contextmanager
def stored_gelu(bench: Bench) -> Iterator[None]:
    """Compute GELU with a stored distribution function."""
    with ours(bench), ExitStack() as stack:
        for module in bench.model.modules():
            if type(module).__name__ == "GELUActivation":
                module.forward = StoredGelu.apply
                stack.callback(module.__dict__.pop, "forward")
        yield


ARMS: Mapping[str, Arm] = {
    OURS: ours,
    "all positions": lambda bench: fast_on_cpu(bench.model, bench.device),
    "torch as it is": lambda bench: first_position_only(bench.model),
    "all positions, torch as it is": lambda bench: nullcontext(),
    "all positions, products by oneDNN": by_onednn,
    "eager attention": eager_attention,
    "GELU with stored Φ": stored_gelu,
}


# --- tables


def print_breakdown(bench: Bench, update: Update, steps: int) -> None:
    """Print which operations take which share."""
    is_gpu = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_gpu else [])]
    batches = [*bench.batches] * max(1, steps)
    with profile(activities=activities) as profiled:
        began = time.perf_counter()  # the profiler's own clock
        for batch in batches:
            update(batch)
        clock(bench.device)  # waits for a GPU
        whole = time.perf_counter() - began
    shares = dict.fromkeys([*GROUPS, "other operations"], 0.0)
    for event in profiled.key_averages():
        if event.device_type == DeviceType.CPU:
            spent = event.self_device_time_total if is_gpu else event.self_cpu_time_total
            shares[group_of(event.key)] += spent / 1e6 / whole
    shares["between operations: Python"] = max(0.0, 1 - sum(shares.values()))
    print("\n| part | share |\n|---|---|")
    for name, share in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"| {name} | {100 * share:.1f} % |")


def group_of(operation: str) -> str:
    """Return the group of an operation."""
    for group, parts in GROUPS.items():
        if any(part in operation for part in parts):
            return group
    return "other operations"


def print_rates(bench: Bench, update: Update, seconds: float) -> None:
    """Print operations per second: of the update, of its products alone, of a square product."""
    with FlopCounterMode(display=False) as counter:
        for batch in bench.batches:
            update(batch)
    operations = counter.get_total_flops() / len(bench.batches)
    dtype = torch.bfloat16 if bench.settings.precision == "bf16" else torch.float32
    square = rate_of_products([(SQUARE[bench.device.type],) * 3], bench.device, dtype)
    same = rate_of_products(layer_products(bench), bench.device, dtype)
    achieved = operations / seconds
    print("\n| products | Gflop/s | share of the square one |\n|---|---|---|")
    for name, rate in (("square", square), ("of the step's shapes", same), ("step", achieved)):
        print(f"| {name} | {rate / 1e9:.1f} | {100 * rate / square:.0f} % |")
    print(f"\n{operations / 1e9:.2f} Gflop per update of {bench.tokens:.0f} tokens.", flush=True)


def layer_products(bench: Bench) -> list[tuple[int, int, int]]:
    """Return rows, inner size and columns of a layer's products, forward and backward."""
    rows = int(bench.tokens)
    found = []
    for module in bench.model.base_model.encoder.layer[0].modules():
        if isinstance(module, nn.Linear):
            n, m = module.in_features, module.out_features
            found += [(rows, n, m), (rows, m, n), (m, rows, n)]
    return found


def rate_of_products(
    sizes: list[tuple[int, int, int]], device: torch.device, dtype: torch.dtype
) -> float:
    """Return the floating-point operations a second of matrix products, median of five."""
    factors = [
        (
            torch.randn(n, k, device=device, dtype=dtype),
            torch.randn(k, m, device=device, dtype=dtype),
        )
        for n, k, m in sizes
    ]

    def seconds() -> float:
        began = clock(device)
        for _ in range(3):
            for left, right in factors:
                left @ right
        return (clock(device) - began) / 3

    seconds()
    return 2 * sum(n * k * m for n, k, m in sizes) / median(seconds() for _ in range(5))


if __name__ == "__main__":
    main()
