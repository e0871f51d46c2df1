"""What a device reaches: the rate of large matrix products, and its memory outside torch."""

from __future__ import annotations

import time

import torch
from device.contenders import synchronise

REPEATS = 5
SECONDS = 0.1


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Return the floating-point operations a second of square matrix products, the best of five.

    Args:
        device: Where to compute.
        dtype: Of factors and product.
        size: Rows and columns.
    """
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    product = torch.empty(size, size, device=device, dtype=dtype)

    def seconds(times: int) -> float:
        synchronise(device)
        began = time.perf_counter()
        for _ in range(times):
            torch.mm(left, right, out=product)
        synchronise(device)
        return time.perf_counter() - began

    seconds(3)
    times = max(3, round(SECONDS / (seconds(3) / 3)))
    return 2 * size**3 * times / min(seconds(times) for _ in range(REPEATS))


def bytes_outside_torch(device: torch.device) -> int:
    """Return what the GPU holds beside torch's tensors: CUDA's own, of all processes there."""
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    return total - free - torch.cuda.memory_reserved(device)
