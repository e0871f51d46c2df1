"""What only a GPU can show. `RXTUNE_TEST_GPU=0 pytest -m gpu` runs it on the first one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import PreTrainedModel

from rxtune.errors import TrialOutOfMemoryError
from rxtune.perturb import Perturbation
from rxtune.train import EncoderWeights, TrainSettings, build_model, fine_tune
from rxtune.train.batches import Batch, TokenTable, to_device
from rxtune.train.memory import limit_memory, release_memory, telling_out_of_memory
from rxtune.train.precision import choose_precision
from rxtune.train.sites import clean_input, perturbed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a CUDA GPU: RXTUNE_TEST_GPU=0 shows it one"
    ),
]
CUDA = torch.device("cuda", 0)
LABELS = ("yes", "maybe", "no")
MakeSettings = Callable[..., TrainSettings]


@pytest.fixture
def batch(make_table: Callable[..., pa.Table]) -> Batch:
    return to_device(TokenTable(make_table(16), pad_id=1).batch(np.arange(16)), CUDA)


def logits(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return model.to(CUDA).eval()(**inputs).logits.float()


@torch.no_grad()
def test_sdpa_and_eager_give_the_same_logits(weights: EncoderWeights, batch: Batch) -> None:
    fused = build_model(weights, LABELS, seed=0, attention="sdpa")
    plain = build_model(weights, LABELS, seed=0, attention="eager")
    torch.testing.assert_close(logits(fused, batch), logits(plain, batch), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("site", ["word", "context"])
@torch.no_grad()
def test_at_delta_zero_bf16_logits_are_the_plain_ones(
    model: PreTrainedModel, batch: Batch, site: str
) -> None:
    model.to(CUDA).eval()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        plain = logits(model, batch)
        clean = clean_input(model, batch, site)
        with perturbed(model, torch.zeros_like(clean), site):
            assert torch.equal(logits(model, batch), plain)


@pytest.mark.parametrize("radius", [0.0, 0.05])
def test_a_bf16_run_ends_near_the_fp32_one(
    weights: EncoderWeights,
    make_table: Callable[..., pa.Table],
    make_settings: MakeSettings,
    radius: float,
) -> None:
    assert choose_precision("auto", CUDA) == "bf16"
    perturbation = Perturbation(radius=radius, pgd_steps=2) if radius else None
    ends = {}
    for precision in ("fp32", "bf16"):
        model = build_model(weights, LABELS, seed=0)
        settings = make_settings(precision=precision, perturbation=perturbation, accumulation=2)
        done = fine_tune(
            model,
            make_table(64),
            {"eng": make_table(32, seed=1)},
            settings,
            pad_id=1,
            on_evaluation=lambda _: None,
            objectives=lambda scores, cost: (scores["eng"],),
            device=CUDA,
        )
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        ends[precision] = done.evaluations[-1].train_loss
    assert ends["bf16"] == pytest.approx(ends["fp32"], abs=0.02)


def test_out_of_memory_is_told_and_nothing_is_kept(make_settings: MakeSettings) -> None:
    def allocate() -> None:
        held = [torch.zeros(1 << 20, device=CUDA)]
        held.append(torch.zeros(1 << 50, device=CUDA))

    release_memory(CUDA)
    before = torch.cuda.memory_reserved(CUDA)
    with pytest.raises(TrialOutOfMemoryError, match=r"memory of cuda:0.*accumulation: 2"):
        telling_out_of_memory(allocate, make_settings(), CUDA)
    release_memory(CUDA)
    assert torch.cuda.memory_reserved(CUDA) <= before


def test_a_trial_cannot_take_its_neighbours_memory(make_settings: MakeSettings) -> None:
    release_memory(CUDA)
    free, total = torch.cuda.mem_get_info(CUDA)
    if free < total / 2:
        pytest.skip("somebody else uses this GPU")
    limit_memory(CUDA, 0.1)
    try:
        with pytest.raises(TrialOutOfMemoryError, match=r"a share of 0.1 is .* CUDA's own"):
            telling_out_of_memory(
                lambda: torch.zeros(total // 5, dtype=torch.uint8, device=CUDA),
                make_settings(),
                CUDA,
            )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, CUDA)


def test_memory_is_given_back_between_trials(weights: EncoderWeights) -> None:
    release_memory(CUDA)
    before = torch.cuda.memory_reserved(CUDA)
    model = build_model(weights, LABELS, seed=0).to(CUDA)
    held = torch.zeros(64 << 20, dtype=torch.uint8, device=CUDA)
    assert torch.cuda.memory_reserved(CUDA) > before
    del model, held
    release_memory(CUDA)
    assert torch.cuda.memory_reserved(CUDA) <= before
