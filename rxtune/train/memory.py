"""Memory of the device: told when it is short, given back between trials."""

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
    parts = settings.accumulation
    passes = -(-settings.batch_size // parts)
    advice = []
    if passes > 1:
        smaller = -(-settings.batch_size // (2 * parts))
        advice.append(
            f"train.accumulation: {2 * parts} (passes of {smaller} examples, the same update) "
            f"or batch_size {settings.batch_size // 2}"
        )
    if not settings.gradient_checkpointing:
        advice.append("train.gradient_checkpointing: true")
    if device.type == "cuda":
        if settings.precision == "fp32":
            advice.append("train.precision: bf16")
        advice.append(_advice_on_sharing(device))
    else:
        advice.append("fewer --workers")
    return (
        f"a pass of {passes} examples must fit the memory of {device}, but does not ({reason}); "
        f"try {'; or '.join(advice)}"
    )


def _advice_on_sharing(device: torch.device) -> str:
    """Return which fraction of a GPU to ask for."""
    free, total = torch.cuda.mem_get_info(device)
    others = max(0, total - free - torch.cuda.memory_reserved(device))
    if others < CROWDED * total:
        return "a GPU with more memory (the trial had this one to itself)"
    fraction = min(1.0, 2 * (1 - others / total))
    return (
        f"--gpus-per-trial {fraction:.2g} (other processes hold {others / 2**30:.1f} of "
        f"{total / 2**30:.1f} GiB)"
    )


def release_memory(device: torch.device | str) -> None:
    """Give the memory of models that nobody refers to any more back to the device.

    A worker process lives on between trials, and torch keeps what it has once taken: the next
    trial, or another process on the same GPU, would find it gone.
    """
    # A model and its hooks are cycles: only the collector ends them.
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
