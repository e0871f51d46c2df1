"""Precision by device: what `auto` means, and what 16 bits lose."""

from __future__ import annotations

from typing import Literal

import torch

from rxtune.config import Space
from rxtune.config.domains import ends
from rxtune.errors import StudyError
from rxtune.train.settings import SMALLEST_BF16_RADIUS, Precision

Wanted = Literal["auto", "fp32", "bf16"]


def choose_precision(wanted: Wanted, device: torch.device | str) -> Precision:
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


def note_on_radii(space: Space, wanted: Wanted, device: str) -> str | None:
    """Return what to doubt about a space whose radii bf16 loses, None if there is nothing.

    Args:
        space: What is searched; about absolute units nothing is known before m is measured.
        wanted: The study's precision; `auto` is taken to be bf16 on a GPU.
        device: Where trials train, `cpu` or `cuda`.
    """
    is_bf16 = wanted == "bf16" or (wanted == "auto" and device == "cuda")
    radius = space.parameters.get("radius")
    if not is_bf16 or radius is None or space.units == "absolute":
        return None
    smallest = ends(radius.domain)[0]
    if smallest >= SMALLEST_BF16_RADIUS:
        return None
    return (
        f"under bf16 a relative radius below {SMALLEST_BF16_RADIUS:g} hardly reaches the logits"
        f" (their change is off by more than 22 %), and space.radius begins at {smallest:g}; write"
        " train: {precision: fp32}, or begin higher"
    )
