"""Faster ways on a CPU, which change nothing but time."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from rxtune.train import cpu
from rxtune.train.cpu import fast_on_cpu

CPU = torch.device("cpu")
IDS = torch.tensor([[4, 7, 9, 11, 13], [5, 8, 12, 6, 2]])


@pytest.mark.parametrize("is_faster", [True, False])
def test_logits_and_gradients_stay_within_rounding(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, is_faster: bool
) -> None:
    monkeypatch.setattr(cpu, "_medium_is_faster", lambda: is_faster)

    def gradients() -> list[torch.Tensor]:
        model.eval().zero_grad()
        model(input_ids=IDS).logits.square().sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    plain = gradients()
    with fast_on_cpu(model, CPU):
        for fast, expected in zip(gradients(), plain, strict=True):
            torch.testing.assert_close(fast, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("is_exact", "is_faster", "expected"),
    [(True, True, "medium"), (False, True, "highest"), (True, False, "highest")],
)
def test_products_go_to_another_library_where_it_is_exact_and_faster(
    model: PreTrainedModel,
    monkeypatch: pytest.MonkeyPatch,
    is_exact: bool,
    is_faster: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(cpu, "_medium_is_exact", lambda: is_exact)
    monkeypatch.setattr(cpu, "_medium_is_faster", lambda: is_faster)
    with fast_on_cpu(model, CPU):
        assert torch.get_float32_matmul_precision() == expected


@pytest.mark.parametrize(("seconds", "is_faster"), [((1.0, 1.1), False), ((1.0, 2.0), True)])
def test_it_is_faster_only_by_far(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, float], is_faster: bool
) -> None:
    measured = iter(seconds)
    monkeypatch.setattr(cpu, "_seconds_of_a_product", lambda: next(measured))
    assert cpu._medium_is_faster.__wrapped__() is is_faster


def test_everything_is_as_before_afterwards(model: PreTrainedModel) -> None:
    with fast_on_cpu(model, CPU), fast_on_cpu(model, CPU):
        pass
    with pytest.raises(RuntimeError, match="stop"), fast_on_cpu(model, CPU):
        raise RuntimeError("stop")
    assert torch.get_float32_matmul_precision() == "highest"
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_a_gpu_is_not_touched(model: PreTrainedModel) -> None:
    with fast_on_cpu(model, torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not any("forward" in module.__dict__ for module in model.modules())


@pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
def test_dropout_drops_its_share_and_keeps_the_mean(probability: float) -> None:
    layer = nn.Sequential(nn.Dropout(probability))
    inputs = torch.ones(1001, 301, requires_grad=True)
    torch.manual_seed(0)
    with fast_on_cpu(layer, CPU):
        output = layer(inputs)
    assert (output == 0).float().mean().item() == pytest.approx(probability, abs=5e-3)
    assert output.mean().item() == pytest.approx(0.0 if probability == 1 else 1.0, abs=5e-3)
    output.sum().backward()
    assert torch.equal(inputs.grad, output)  # the same mask, the same scale


def test_dropped_places_are_independent_of_their_neighbours() -> None:
    layer = nn.Sequential(nn.Dropout(0.5))
    torch.manual_seed(0)
    with fast_on_cpu(layer, CPU):
        kept = (layer(torch.ones(1 << 18)) > 0).double()
    for shift in (1, 2, 3, 4, 128):
        assert torch.corrcoef(torch.stack([kept[shift:], kept[:-shift]]))[0, 1].abs() < 0.01


def test_dropout_follows_the_global_seed_and_is_off_in_evaluation() -> None:
    layer = nn.Sequential(nn.Dropout(0.5))
    inputs = torch.ones(64)
    with fast_on_cpu(layer, CPU):
        torch.manual_seed(3)
        first = layer(inputs)
        torch.manual_seed(3)
        assert torch.equal(layer(inputs), first)
        assert not torch.equal(layer(inputs), first)
        assert torch.equal(layer.eval()(inputs), inputs)
