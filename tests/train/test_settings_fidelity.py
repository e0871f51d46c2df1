"""Trials of equal cost: `stopping.unit: compute`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from rxtune.config.configuration import METHODS, Configuration
from rxtune.data.order import batch_order, count_updates
from rxtune.errors import DataError, StudyError
from rxtune.perturb import Scale, Scales
from rxtune.results import Evaluation
from rxtune.train import TrainSettings, fine_tune, resolve

PLAIN = {"plain_examples": 100, "epochs": 1.5, "batch_size": 32, "evaluations": 2, "seed": 3}
ADV = Configuration(method="adv", radius=0.1, pgd_steps=3)


def settings_of(configuration: Configuration, **values: Any) -> TrainSettings:
    given = {"learning_rate": 1e-4, **PLAIN, **values}
    examples = given.pop("plain_examples")
    scales = Scales(word=Scale(2.0, 16), context=Scale(2.0, 16))
    return resolve(configuration, TrainSettings(**given), scales, plain_examples=examples)


def cost_of(found: TrainSettings, examples: int) -> float:
    """Return the forward-equivalents of a run, batch by batch as the loop reads them."""
    sizes: list[int] = []
    lengths = np.random.default_rng(0).integers(3, 60, examples)
    while len(sizes) < found.updates_of(examples):
        epoch = len(sizes) // math.ceil(examples / found.batch_size)
        size = {"batch_size": found.batch_size, "seed": found.seed}
        sizes += [len(rows) for rows in batch_order(lengths, **size, epoch=epoch)]
    read = sum(sizes[: found.updates_of(examples)])
    return read * found.forward_equivalents_per_example


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    return Configuration(
        method=draw(st.sampled_from(METHODS)),
        sigma=draw(st.sampled_from([0.0, 0.5])),
        samples=draw(st.integers(1, 3)),
        radius=draw(st.sampled_from([0.0, 0.1])),
        pgd_steps=draw(st.integers(0, 4)),
        random_start=draw(st.booleans()),
        clean_weight=draw(st.sampled_from([0.0, 0.5])),
        site=draw(st.sampled_from(["word", "context"])),
        replace_probability=0.5,
        substitution=draw(st.sampled_from(["on_the_fly", "static"])),
        copies=draw(st.integers(1, 10)),
        batch_size=draw(st.none() | st.integers(1, 64)),
    )


@settings(max_examples=150, deadline=None)
@given(
    configurations(),
    st.integers(1, 500),
    st.integers(1, 64),
    st.floats(0.1, 6.0),
    st.integers(0, 50),
)
def test_every_trial_costs_what_a_plain_one_costs_to_within_an_update(
    configuration: Configuration, examples: int, batch_size: int, epochs: float, seed: int
) -> None:
    given = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "evaluations": 1}
    plain = settings_of(Configuration(), **given, plain_examples=None)
    found = settings_of(configuration, **given, plain_examples=examples)
    copies = configuration.searched().get("copies", 0)
    difference = cost_of(found, examples * (1 + copies)) - cost_of(plain, examples)
    update = found.batch_size * found.forward_equivalents_per_example
    if found.updates == 1:  # the least there can be
        assert difference <= update
    else:
        assert abs(difference) <= update / 2


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 500), st.integers(1, 64), st.floats(0.1, 6.0), st.integers(0, 50))
def test_plain_fine_tuning_has_the_updates_that_its_epochs_make(
    examples: int, batch_size: int, epochs: float, seed: int
) -> None:
    given = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "evaluations": 1}
    found = settings_of(Configuration(), **given, plain_examples=examples)
    assert found.updates == count_updates(examples, batch_size=batch_size, epochs=epochs)


def test_a_method_whose_update_costs_three_plain_ones_has_a_third_of_the_updates() -> None:
    given = {"plain_examples": 960, "epochs": 1.0}
    assert settings_of(Configuration(), **given).updates == 30
    assert settings_of(ADV, **given).updates == 10
    eight = Configuration(method="adv", radius=0.1, pgd_steps=3, batch_size=8)
    assert settings_of(eight, **given).updates == 40


def test_static_copies_are_more_updates_only_where_updates_are_counted() -> None:
    copies = Configuration(
        method="rs_da", replace_probability=0.5, substitution="static", copies=3
    )
    given = {"epochs": 1.0, "batch_size": 10}
    assert settings_of(copies, **given, plain_examples=None).updates_of(400) == 40
    assert settings_of(copies, **given).updates_of(400) == 10


def test_there_is_an_update_for_every_evaluation() -> None:
    dear = Configuration(method="smooth_adv", sigma=0.5, radius=0.1, pgd_steps=4, samples=3)
    assert settings_of(dear, evaluations=6).updates == 6
    assert settings_of(dear, evaluations=1).updates == 1


def test_in_updates_nothing_is_counted_beforehand() -> None:
    found = settings_of(ADV, plain_examples=None)
    assert found.updates is None
    assert found.updates_of(100) == count_updates(100, batch_size=32, epochs=1.5) == 6


def test_a_run_without_updates_is_refused(make_settings: Callable[..., TrainSettings]) -> None:
    with pytest.raises(StudyError, match="updates must be a finite number >= 1, but is 0"):
        make_settings(updates=0)


# --- a real training


@pytest.fixture
def train(
    model: PreTrainedModel, make_table: Callable[..., pa.Table]
) -> Callable[..., list[Evaluation]]:
    dev = {"qaa": make_table(8, seed=6)}

    def run(found: TrainSettings, folder: Path | None = None) -> list[Evaluation]:
        told: list[Evaluation] = []
        fine_tune(
            model,
            make_table(100),
            dev,
            found,
            pad_id=1,
            on_evaluation=told.append,
            objectives=lambda scores, _: (scores["qaa"],),
            checkpoint_folder=None if folder is None else str(folder),
        )
        return told

    return run


@pytest.mark.parametrize(
    "configuration",
    [
        ADV,
        Configuration(method="rs_rp", sigma=0.5, samples=2, batch_size=5),
        Configuration(method="r3f", sigma=0.5),
    ],
    ids=lambda configuration: configuration.method,
)
def test_a_training_ends_at_the_cost_of_plain_fine_tuning(
    train: Callable[..., list[Evaluation]], configuration: Configuration
) -> None:
    given = {"batch_size": 8, "epochs": 2.5, "evaluations": 3}
    plain = train(settings_of(Configuration(), **given))[-1]
    found = settings_of(configuration, **given)
    told = train(found)
    update = found.batch_size * found.forward_equivalents_per_example
    assert plain.forward_equivalents == pytest.approx(3 * 250, abs=3 * 8)
    assert abs(told[-1].forward_equivalents - plain.forward_equivalents) <= update / 2
    assert told[-1].updates == found.updates
    for number, evaluation in enumerate(told, start=1):
        share = plain.forward_equivalents * number / 3
        assert evaluation.forward_equivalents == pytest.approx(share, abs=1.5 * update)


def test_the_learning_rate_falls_to_zero_over_the_updates_that_there_are(
    train: Callable[..., list[Evaluation]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    rates: list[float] = []

    def record(model: Any, optimiser: torch.optim.Optimizer, *_: Any) -> torch.Tensor:
        rates.append(optimiser.param_groups[0]["lr"] / 1e-4)
        return torch.zeros(())

    monkeypatch.setattr("rxtune.train.loop.robust_step", record)
    found = settings_of(ADV, batch_size=10, epochs=1.0)
    assert found.updates == 3
    train(found)
    assert rates == pytest.approx([1, 2 / 3, 1 / 3])


def test_a_checkpoint_of_a_run_by_updates_is_refused_by_one_by_cost(
    train: Callable[..., list[Evaluation]], tmp_path: Path
) -> None:
    train(settings_of(ADV, plain_examples=None), tmp_path)
    with pytest.raises(DataError, match="updates was None and is 3"):
        train(settings_of(ADV), tmp_path)
