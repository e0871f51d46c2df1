"""Out of memory: told with what to try, and nothing held on to."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from rxtune.errors import StudyError, TrialOutOfMemoryError
from rxtune.train import TrainSettings
from rxtune.train.memory import (
    explain_shortage,
    limit_memory,
    release_memory,
    telling_out_of_memory,
)
from rxtune.train.precision import choose_precision

MakeSettings = Callable[..., TrainSettings]
CUDA = torch.device("cuda", 0)
GIB = 2**30


def failing(error: BaseException) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 GiB"),
        # Another process has taken the GPU before this one's context or matrix library is up.
        torch.AcceleratorError("CUDA error: out of memory, 9 GiB held by others"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate, 9 GiB"),
    ],
)
def test_an_out_of_memory_error_says_what_to_try(
    make_settings: MakeSettings, error: Exception
) -> None:
    with pytest.raises(TrialOutOfMemoryError, match=r"9 GiB.*accumulation: 2 ") as caught:
        telling_out_of_memory(failing(error), make_settings(batch_size=32), "cpu")
    assert caught.value.__context__ is None, "it would hold the frames, and they the memory"


def test_other_errors_pass_through(make_settings: MakeSettings) -> None:
    for error in (RuntimeError("shapes do not match"), SystemExit()):
        with pytest.raises(type(error)) as caught:
            telling_out_of_memory(failing(error), make_settings(), "cpu")
        assert caught.value is error


def test_what_a_run_returns_is_returned(make_settings: MakeSettings) -> None:
    assert telling_out_of_memory(lambda: 7, make_settings(), "cpu") == 7


def test_what_was_allocated_is_free_when_the_error_is_told(make_settings: MakeSettings) -> None:
    held: list[weakref.ref[nn.Module]] = []

    def train() -> None:
        model = nn.Linear(2, 2)
        held.append(weakref.ref(model))
        raise torch.OutOfMemoryError("CUDA out of memory")

    try:
        telling_out_of_memory(train, make_settings(), "cpu")
    except TrialOutOfMemoryError:
        release_memory("cpu")
        assert held[0]() is None


def test_a_pass_of_one_example_can_only_be_made_cheaper(make_settings: MakeSettings) -> None:
    text = explain_shortage(make_settings(batch_size=1), torch.device("cpu"), "full")
    assert "a pass of 1 examples" in text
    assert "accumulation" not in text
    assert "try train.gradient_checkpointing: true" in text


def test_with_a_token_budget_the_advice_is_half_of_it(make_settings: MakeSettings) -> None:
    settings = make_settings(batch_size=32, tokens_per_pass=4096)
    text = explain_shortage(settings, torch.device("cpu"), "full")
    assert "a pass of 4096 tokens (at most 32 examples) must fit" in text
    assert "try train.tokens_per_pass: 2048 (the same update); or" in text


@dataclass
class FakeGpu:
    """Stands in for the parts of torch.cuda that are asked about memory; no GPU is at hand."""

    total_memory: int
    fraction: float = 1.0
    free: int = 0

    def limit(self, fraction: float, index: int | None) -> None:
        assert index in (None, 0)
        self.fraction = fraction


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    fake = FakeGpu(80 * GIB)
    cuda = torch.cuda
    monkeypatch.setattr(cuda, "set_per_process_memory_fraction", fake.limit)
    monkeypatch.setattr(cuda, "get_per_process_memory_fraction", lambda _: fake.fraction)
    monkeypatch.setattr(cuda, "get_device_properties", lambda _: fake)
    monkeypatch.setattr(cuda, "mem_get_info", lambda _: (fake.free, fake.total_memory))
    monkeypatch.setattr(cuda, "memory_reserved", lambda _: 0)
    return fake


@pytest.mark.parametrize(
    ("free", "advice"),
    [
        (79, "the trial had this one to itself"),
        (30, r"--gpus-per-trial 0.75 \(other processes hold 50.0 of 80.0 GiB\)"),
        (50, "--gpus-per-trial 1 "),
    ],
)
def test_a_shared_gpu_is_told_with_the_fraction_to_ask_for(
    make_settings: MakeSettings, gpu: FakeGpu, free: int, advice: str
) -> None:
    gpu.free = free * GIB
    text = explain_shortage(make_settings(gradient_checkpointing=True), CUDA, "full")
    assert "train.precision: bf16" in text
    assert "gradient_checkpointing" not in text
    assert re.search(advice, text)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_trial_may_take_its_share_less_what_cuda_takes(gpu: FakeGpu, device: str) -> None:
    limit_memory(device, 0.25)
    assert 4 * gpu.fraction * gpu.total_memory <= gpu.total_memory - 4 * 0.6 * GIB
    assert gpu.fraction == pytest.approx(0.25, abs=0.01)


def test_a_share_too_small_for_cuda_itself_leaves_nothing(gpu: FakeGpu) -> None:
    limit_memory("cuda", 0.001)
    assert gpu.fraction == 0.0


@pytest.mark.parametrize("share", [1.0, 2.0])
def test_a_whole_gpu_is_not_bounded(gpu: FakeGpu, share: float) -> None:
    limit_memory("cuda", share)
    assert gpu.fraction == 1.0


def test_on_a_cpu_there_is_nothing_to_bound() -> None:
    limit_memory("cpu", 0.25)  # and no GPU is asked, which would raise here


def test_a_trial_that_outgrows_its_share_is_told_what_that_is(
    make_settings: MakeSettings, gpu: FakeGpu
) -> None:
    gpu.free = 70 * GIB  # there is room, but it is its neighbours'
    limit_memory(CUDA, 0.25)
    text = explain_shortage(make_settings(), CUDA, "full")
    assert "--gpus-per-trial 0.5 (a share of 0.25 is 20.0 of 80.0 GiB, 0.6 of them CUDA's" in text
    limit_memory(CUDA, 0.75)
    assert "--gpus-per-trial 1 (a share of 0.75 is 60.0" in explain_shortage(
        make_settings(), CUDA, "full"
    )


def test_a_model_in_a_cycle_is_released() -> None:
    model = nn.Linear(2, 2)
    model.myself = [model]
    gone = weakref.ref(model)
    del model
    release_memory("cpu")
    assert gone() is None


# --- precision


def test_auto_precision_is_bf16_where_the_gpu_computes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_precision("auto", "cpu") == "fp32"
    assert choose_precision("bf16", "cpu") == "bf16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose_precision("auto", CUDA) == "bf16"
    assert choose_precision("fp32", CUDA) == "fp32"


def test_bf16_on_a_gpu_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    assert choose_precision("auto", CUDA) == "fp32"
    with pytest.raises(StudyError, match="Tesla T4 does not; write fp32 or auto"):
        choose_precision("bf16", CUDA)
