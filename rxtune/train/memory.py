"""Memory of the device: bounded where it is shared, told when short, given back between trials."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from rxtune.errors import TrialOutOfMemoryError
from rxtune.train.settings import TrainSettings

Result = TypeVar("Result")

CROWDED = 0.05
"""Share of a GPU from which on what other processes hold is worth a word."""

OUTSIDE_TORCH = 640 << 20
"""Bytes that a process holds on a GPU before its first tensor: CUDA's context and kernels.
`benchmarks/gpu.py` measures them."""

_SHORTAGES = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""What torch's RuntimeErrors say where memory is used up: the machine's; the GPU's before torch
could take any of it; the GPU's beside what torch took."""


def telling_out_of_memory(
    run: Callable[[], Result], settings: TrainSettings, device: torch.device | str
) -> Result:
    """Return what `run` returns; turn its out-of-memory error into one that says what to try.

    Raises:
        TrialOutOfMemoryError: The memory of the device does not hold what the run needs.
    """
    try:
        return run()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0]
    # Raised out here, where the first error is gone: it holds every frame of the training and
    # thereby the very memory that is short. (A context manager could not let go of it.)
    raise TrialOutOfMemoryError(explain_shortage(settings, torch.device(device), reason))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is used up, on a GPU or in the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORTAGES)


def explain_shortage(settings: TrainSettings, device: torch.device, reason: str) -> str:
    """Return what was too large, and what to try, best first."""
    advice = _advice_on_parts(settings)
    if not settings.gradient_checkpointing:
        advice.append("train.gradient_checkpointing: true")
    if device.type == "cuda":
        if settings.precision == "fp32":
            advice.append("train.precision: bf16")
        advice.append(_advice_on_share(device) or _advice_on_neighbours(device))
    else:
        advice.append("fewer --workers")
    return (
        f"a pass of {_pass_of(settings)} must fit the memory of {device}, but does not "
        f"({reason}); try {'; or '.join(advice)}"
    )


def _pass_of(settings: TrainSettings) -> str:
    """Return how large the largest pass is."""
    examples = f"{-(-settings.batch_size // settings.accumulation)} examples"
    if settings.tokens_per_pass is None:
        return examples
    return f"{settings.tokens_per_pass} tokens (at most {examples})"


def _advice_on_parts(settings: TrainSettings) -> list[str]:
    """Return how to make passes half as large: by the bound that is set."""
    tokens, parts, size = settings.tokens_per_pass, settings.accumulation, settings.batch_size
    if -(-size // parts) == 1:
        return []
    if tokens is not None:
        return [f"train.tokens_per_pass: {tokens // 2 or 1} (the same update)"]
    smaller = -(-size // (2 * parts))
    return [
        f"train.accumulation: {2 * parts} (passes of {smaller} examples, the same update) "
        f"or batch_size {size // 2}"
    ]


def _advice_on_share(device: torch.device) -> str | None:
    """Return which larger share of a GPU to ask for; None for a trial that may take all of it."""
    fraction = torch.cuda.get_per_process_memory_fraction(device.index)
    if fraction >= 1:
        return None
    total = torch.cuda.get_device_properties(device).total_memory
    share = fraction + OUTSIDE_TORCH / total
    return (
        f"--gpus-per-trial {min(1.0, 2 * share):.2g} (a share of {share:.2g} is "
        f"{share * total / 2**30:.1f} of {total / 2**30:.1f} GiB, "
        f"{OUTSIDE_TORCH / 2**30:.1f} of them CUDA's own)"
    )


def _advice_on_neighbours(device: torch.device) -> str:
    """Return which fraction of a GPU to ask for, where others hold memory of it."""
    free, total = torch.cuda.mem_get_info(device)
    others = max(0, total - free - torch.cuda.memory_reserved(device))
    if others < CROWDED * total:
        return "a GPU with more memory (the trial had this one to itself)"
    fraction = min(1.0, 2 * (1 - others / total))
    return (
        f"--gpus-per-trial {fraction:.2g} (other processes hold {others / 2**30:.1f} of "
        f"{total / 2**30:.1f} GiB)"
    )


def limit_memory(device: torch.device | str, share: float) -> None:
    """Keep this process within its share of a GPU; on a CPU, or with a whole GPU, do nothing.

    A trial that needs more then fails by itself. Without a bound it would take what its
    neighbours are yet to need, and whoever asks next would fail in its place.

    Args:
        device: Where the trial trains.
        share: Of the GPU's memory, in (0, 1].
    """
    place = torch.device(device)
    if place.type != "cuda" or share >= 1:
        return
    total = torch.cuda.get_device_properties(place).total_memory
    # torch counts its own tensors alone, so what CUDA takes beside them comes off the share.
    fraction = max(0.0, share - OUTSIDE_TORCH / total)
    torch.cuda.set_per_process_memory_fraction(fraction, place.index)


def release_memory(device: torch.device | str) -> None:
    """Give the memory of models that nobody refers to any more back to the device.

    A worker process lives on between trials, and torch keeps what it has once taken: the next
    trial, or another process on the same GPU, would find it gone.
    """
    # A model and its hooks are cycles: only the collector ends them.
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
