"""Several trials on one GPU: processes that train at the same time, each within its share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.multiprocessing as processes
from device.contenders import rxtune_seconds
from device.encoders import Shape, Work

from rxtune.train import limit_memory

PATIENCE = 180.0
"""Seconds to wait for the others."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What came of some trials that shared a device."""

    trials: int
    seconds: float
    """Of the slowest."""
    reserved: int
    """Bytes of the largest one's tensors, the allocator's reserve included; 0 on a CPU."""


def pack(shape: Shape, work: Work, trials: int, device: torch.device) -> Packed:
    """Train the same work in several processes at once."""
    context = processes.get_context("spawn")
    barrier, told = context.Barrier(trials), context.Queue()
    # Shapes hold functions of their own, which do not travel: their names do.
    started = [
        context.Process(
            target=_train, daemon=True, args=(shape.name, work, str(device), trials, barrier, told)
        )
        for _ in range(trials)
    ]
    for process in started:
        process.start()
    found = [told.get(timeout=PATIENCE) for _ in started]
    for process in started:
        process.join()
    return Packed(
        trials=trials,
        seconds=max(seconds for seconds, _ in found),
        reserved=max(reserved for _, reserved in found),
    )


def _train(name: str, work: Work, place: str, trials: int, barrier: Any, told: Any) -> None:
    from device.encoders import SHAPES, TOY_SHAPES

    torch.set_num_threads(1)
    device = torch.device(place)
    limit_memory(device, 1 / trials)
    (shape,) = (shape for shape in (*SHAPES, *TOY_SHAPES) if shape.name == name)
    model, table = shape.classifier(device), work.table(shape)
    settings = work.settings(None, device)
    rxtune_seconds(model, table, settings, device)  # warms up
    barrier.wait(PATIENCE)
    seconds = rxtune_seconds(model, table, settings, device)
    reserved = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0
    told.put((seconds, reserved))
