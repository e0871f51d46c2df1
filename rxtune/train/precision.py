"""Precision and attention by device: what `auto` means."""

from __future__ import annotations

from typing import Literal

import torch

from rxtune.errors import StudyError
from rxtune.train.settings import Precision


def choose_precision(
    wanted: Literal["auto", "fp32", "bf16"], device: torch.device | str
) -> Precision:
    """Return the precision of the forward passes; auto: bf16 on a GPU that computes it, else fp32.

    Raises:
        StudyError: bf16 is asked for on a GPU that does not compute it.
    """
    is_gpu = torch.device(device).type == "cuda"
    has_bf16 = not is_gpu or torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "auto":
        return "bf16" if is_gpu and has_bf16 else "fp32"
    if wanted == "bf16" and not has_bf16:
        raise StudyError(
            f"train.precision: bf16 must be computed by the GPU, but "
            f"{torch.cuda.get_device_name(device)} does not; write fp32 or auto"
        )
    return wanted
