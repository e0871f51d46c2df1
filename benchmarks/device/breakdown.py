"""Where the time of an update goes: the operations on the device, grouped, and its idle share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

GROUPS: Mapping[str, tuple[str, ...]] = {
    "attention": ("attention", "_softmax"),
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "linear"),
    "optimiser, norm of the gradient": ("_fused_adam", "_foreach", "linalg_vector_norm"),
    "gradient of the embeddings": ("embedding_dense_backward", "aten::zero_", "aten::fill_"),
    "dropout": ("dropout", "bernoulli", "random"),
    "layer norm, GELU": ("layer_norm", "gelu"),
    "casts and copies": ("aten::copy_", "Memcpy", "Memset", "aten::cat"),
    "sums": ("aten::sum", "aten::add", "aten::mul", "aten::div"),
}
"""Group -> what the names of its operations hold; the first that fits counts."""

_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel")


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Of one update, in seconds."""

    by_group: Mapping[str, float]
    """Group -> seconds on the device (on a CPU: of the core)."""
    launches: float
    """Kernels; 0 on a CPU."""
    wall: float
    """Measured without the profiler, whose bookkeeping is dear."""

    @property
    def busy(self) -> float:
        """Share of the time in which the device computes."""
        return sum(self.by_group.values()) / self.wall


def break_down(
    train: Callable[[], float], updates: int, device: torch.device, *, wall: float
) -> Breakdown:
    """Profile a training.

    Args:
        train: Does so many updates.
        updates: How many.
        device: Where it trains.
        wall: Seconds that it takes without being profiled.
    """
    is_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_gpu else [])]
    with profile(activities=activities) as profiled:
        train()
    events = [event for event in profiled.key_averages() if not is_annotation(event)]
    operations = [event for event in events if event.device_type == DeviceType.CPU]
    by_group = dict.fromkeys(GROUPS, 0.0)
    for event in operations:
        group = group_of(event.key)
        if group is not None:
            # A kernel counts for the operation that launched it.
            time = event.self_device_time_total if is_gpu else event.self_cpu_time_total
            by_group[group] += time / 1e6 / updates
    kernels = [event for event in events if event.device_type != DeviceType.CPU]
    total = (
        sum(event.self_device_time_total for event in kernels)
        if is_gpu
        else sum(event.self_cpu_time_total for event in operations)
    )
    other = total / 1e6 / updates - sum(by_group.values())
    launches = sum(event.count for event in operations if event.key.startswith(_LAUNCHES))
    return Breakdown(
        by_group={**by_group, "other": other}, launches=launches / updates, wall=wall / updates
    )


def is_annotation(event: Any) -> bool:
    """Return whether an event is a named span, whose time is that of others."""
    return bool(event.is_user_annotation) or event.key.startswith("Optimizer.")


def group_of(operation: str) -> str | None:
    """Return the group of an operation; None: it belongs to no one."""
    for group, parts in GROUPS.items():
        if any(part in operation for part in parts):
            return group
    return None
