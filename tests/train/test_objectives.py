"""Every objective against the same one written by hand in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from rxtune.perturb import Perturbation
from rxtune.train import TrainSettings
from rxtune.train.batches import Batch, TokenTable
from rxtune.train.objectives import symmetric_kl
from rxtune.train.step import add_gradients

SEED = 3
MakeSettings = Callable[..., TrainSettings]


@pytest.fixture
def batch(make_table: Callable[..., pa.Table]) -> Batch:
    return TokenTable(make_table(6), pad_id=1).batch(np.arange(6))


@pytest.fixture(params=["word", "context"])
def by_hand(
    request: pytest.FixtureRequest, model: PreTrainedModel, batch: Batch
) -> Callable[[Tensor | float], Tensor]:
    """Logits at the clean input plus delta, without hooks; every call has the same masks."""
    model.train()
    given_as = {name: batch[name] for name in ("attention_mask", "token_type_ids")}

    def at_words(delta: Tensor | float) -> Tensor:
        torch.manual_seed(SEED)
        words = model.bert.embeddings.word_embeddings(batch["input_ids"])
        return model(inputs_embeds=words + delta, **given_as).logits

    def at_context(delta: Tensor | float) -> Tensor:
        torch.manual_seed(SEED)
        context = model.bert(input_ids=batch["input_ids"], **given_as).last_hidden_state
        return model.classifier(model.dropout(model.bert.pooler(context + delta)))

    logits = at_words if request.param == "word" else at_context
    logits.site = request.param  # type: ignore[attr-defined]
    return logits


def gradients(model: PreTrainedModel) -> dict[str, Tensor]:
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    return found


def assert_same_step(
    model: PreTrainedModel, batch: Batch, values: TrainSettings, expected: Tensor
) -> None:
    """Compare loss and gradient with those of a loss that has its graph."""
    expected.backward()
    wanted = gradients(model)
    torch.manual_seed(SEED)
    loss = add_gradients(model, batch, values, source())
    torch.testing.assert_close(loss, expected.detach())
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


def source() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def shape_of(batch: Batch) -> torch.Size:
    return torch.Size((*batch["input_ids"].shape, 16))


def test_the_weighted_loss_with_samples_is_the_one_written_by_hand(
    model: PreTrainedModel, batch: Batch, by_hand: Any, make_settings: MakeSettings
) -> None:
    draws = source()
    mask = batch["attention_mask"][..., None]
    deltas = [0.3 * torch.randn(shape_of(batch), generator=draws) * mask for _ in range(3)]
    noisy = [functional.cross_entropy(by_hand(delta), batch["labels"]) for delta in deltas]
    clean = functional.cross_entropy(by_hand(0.0), batch["labels"])
    values = make_settings(
        perturbation=Perturbation(sigma=0.3), samples=3, clean_weight=0.25, site=by_hand.site
    )
    assert_same_step(model, batch, values, 0.25 * clean + 0.75 * sum(noisy) / 3)


def test_adversarial_training_is_the_one_written_by_hand(
    model: PreTrainedModel, batch: Batch, by_hand: Any, make_settings: MakeSettings
) -> None:
    mask = batch["attention_mask"][..., None]
    delta = torch.zeros(shape_of(batch))
    for _ in range(2):
        delta.requires_grad_(True)
        loss = functional.cross_entropy(by_hand(delta), batch["labels"], reduction="sum")
        (gradient,) = torch.autograd.grad(loss, [delta])
        delta = (delta.detach() + 0.1 * gradient.sign()).clamp(-0.1, 0.1) * mask
    expected = functional.cross_entropy(by_hand(delta), batch["labels"])
    adv = Perturbation(radius=0.1, pgd_steps=2, norm="linf")
    assert_same_step(model, batch, make_settings(perturbation=adv, site=by_hand.site), expected)


@pytest.mark.parametrize("is_random", [False, True])
def test_freelb_is_the_one_written_by_hand(
    model: PreTrainedModel,
    batch: Batch,
    by_hand: Any,
    make_settings: MakeSettings,
    is_random: bool,
) -> None:
    perturbation = Perturbation(
        radius=0.5, pgd_steps=3, ball="sequence", random_start=is_random, step_size=1.5
    )
    mask = batch["attention_mask"]
    bound = 0.5 * mask.sum(dim=1).sqrt()[:, None, None]
    delta = perturbation.start(shape_of(batch), mask, source())
    losses = []
    for _ in range(3):
        point = delta.clone().requires_grad_(True)
        losses.append(functional.cross_entropy(by_hand(point), batch["labels"]))
        (gradient,) = torch.autograd.grad(losses[-1], [point], retain_graph=True)
        gradient = gradient * mask[..., None]
        length = torch.linalg.vector_norm(gradient, dim=(1, 2), keepdim=True)
        delta = delta + 1.5 * bound / 3 * gradient / length
        delta = delta * (bound / torch.linalg.vector_norm(delta, dim=(1, 2), keepdim=True)).clamp(
            max=1
        )
    assert losses[-1] > losses[0]
    values = make_settings(perturbation=perturbation, objective="freelb", site=by_hand.site)
    assert_same_step(model, batch, values, sum(losses, torch.zeros(())) / 3)


def test_freelb_with_one_pass_from_the_centre_is_plain_fine_tuning(
    model: PreTrainedModel, batch: Batch, by_hand: Any, make_settings: MakeSettings
) -> None:
    expected = functional.cross_entropy(by_hand(0.0), batch["labels"])
    once = Perturbation(radius=0.5, pgd_steps=1)
    values = make_settings(perturbation=once, objective="freelb", site=by_hand.site)
    assert_same_step(model, batch, values, expected)


def test_r3f_is_the_one_written_by_hand(
    model: PreTrainedModel, batch: Batch, by_hand: Any, make_settings: MakeSettings
) -> None:
    delta = 0.5 * torch.randn(shape_of(batch), generator=source())
    clean, noisy = by_hand(0.0), by_hand(delta * batch["attention_mask"][..., None])

    def divergence(of: Tensor, to: Tensor) -> Tensor:
        log_p, log_q = of.log_softmax(dim=-1), to.log_softmax(dim=-1)
        return functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")

    expected = functional.cross_entropy(clean, batch["labels"])
    expected = expected + 2.0 * (divergence(clean, noisy) + divergence(noisy, clean))
    values = make_settings(
        perturbation=Perturbation(sigma=0.5),
        objective="r3f",
        consistency_weight=2.0,
        site=by_hand.site,
    )
    assert_same_step(model, batch, values, expected)


logits = st.lists(st.floats(-20, 20), min_size=3, max_size=3).map(lambda row: torch.tensor([row]))


@given(logits, logits)
@settings(deadline=None)
def test_the_divergence_is_symmetric_and_never_negative(one: Tensor, other: Tensor) -> None:
    both = symmetric_kl(one, other)
    torch.testing.assert_close(symmetric_kl(other, one), both)
    assert both >= 0
    assert symmetric_kl(one, one + 3.0).item() == pytest.approx(0.0, abs=1e-5)


def test_the_divergence_in_closed_form_is_a_mean_over_the_batch() -> None:
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])
    one = float(((p - q) * (p / q).log()).sum())
    rows = torch.stack([p.log(), p.log()]), torch.stack([q.log(), p.log()])
    assert symmetric_kl(*rows).item() == pytest.approx(one / 2)
