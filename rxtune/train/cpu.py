"""Faster training on a CPU: the same mathematics, other rounding and other dropout draws."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

_WORDS = 1 << 16
"""Dropout compares 16 random bits with the probability."""

_KEPT = 31 << 20
"""Bytes of a block that glibc's allocator will keep; from 32 MiB on it keeps none."""

_WORTHWHILE = 1.4
"""How much faster oneDNN must be. It is about 1 or about 2 times as fast as MKL, depending on the
processor, so that all processes on one machine decide alike, and round alike."""


@contextmanager
def fast_on_cpu(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Make passes of the model inside the block faster, if the device is a CPU.

    `benchmarks/results/step_profile.md` says by how much.
    """
    with ExitStack() as stack:
        if device.type == "cpu":
            _keep_freed_memory()
            stack.enter_context(_fast_matmul())
            stack.enter_context(_fast_dropout(model))
        yield


@contextmanager
def _fast_matmul() -> Iterator[None]:
    """Multiply by oneDNN instead of MKL, where it is much faster and computes in full fp32.

    MKL does not use AVX-512 on AMD processors. Those up to Zen 4 lose nothing by that, as they do
    512 bits in two halves; later ones lose half their speed. "medium" sends products to oneDNN
    and *allows* it bf16, which it takes up where the processor multiplies bf16 matrices (AMX):
    there the setting stays as it was. Flash attention is slow with it, so the plain kernel.
    """
    before = torch.get_float32_matmul_precision()
    if before != "highest" or not (_medium_is_exact() and _medium_is_faster()):
        yield
        return
    with _medium(), sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def _medium() -> Iterator[None]:
    """Send products of fp32 matrices to oneDNN inside the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@functools.cache
def _medium_is_exact() -> bool:
    """Return whether "medium" loses nothing here: bf16 would be off by 1e-1, fp32 is by 1e-5."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(64, 128, generator=generator)
    right = torch.randn(128, 512, generator=generator)
    with _medium():
        products = [
            left @ right,
            (right.t() @ left.t()).t(),
            torch.bmm(left[None], right[None])[0],
        ]
    exact = left.double() @ right.double()
    return all(bool((product - exact).abs().max() < 1e-3) for product in products)


@functools.cache
def _medium_is_faster() -> bool:
    """Return whether "medium" pays here, from a few products: some milliseconds, once."""
    with _medium():
        medium = _seconds_of_a_product()
    return _seconds_of_a_product() > _WORTHWHILE * medium


def _seconds_of_a_product() -> float:
    """Return the processor time of a product of fp32 matrices: the least of some."""
    factor = torch.ones(256, 256)
    seconds = []
    for _ in range(12):
        began = time.thread_time()
        factor @ factor
        seconds.append(time.thread_time() - began)
    return min(seconds)


def _keep_freed_memory() -> None:
    """Let the allocator keep what a step frees for the next one.

    A step's tensors would otherwise be given back to the system and taken from it anew, page by
    page. glibc keeps blocks up to the size of the largest it has seen freed, and frees twice that
    at the end of its heap: so free one large block. Other allocators take no notice.
    """
    torch.empty(_KEPT, dtype=torch.uint8)


@contextmanager
def _fast_dropout(model: nn.Module) -> Iterator[None]:
    """Let the model's dropout layers draw 16 bits per element: four times as fast as torch's."""
    layers = [module for module in model.modules() if type(module) is nn.Dropout]
    layers = [layer for layer in layers if "forward" not in layer.__dict__]
    for layer in layers:
        layer.forward = functools.partial(_dropout, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _dropout(layer: nn.Dropout, inputs: Tensor) -> Tensor:
    """Return inputs with elements set to 0, the others scaled so that the mean stays.

    The probability is rounded to a multiple of 2^-16, and the scale is that of the rounded one.
    """
    if not layer.training or layer.p == 0:
        return inputs
    dropped = round(layer.p * _WORDS)
    if dropped == _WORDS:
        return inputs * 0.0
    words = torch.empty((inputs.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
    bits = words.view(torch.int16)[: inputs.numel()].view(inputs.shape)
    kept = (bits >= dropped - _WORDS // 2).to(inputs.dtype)
    return inputs * kept.mul_(_WORDS / (_WORDS - dropped))
