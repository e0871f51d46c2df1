"""From a configuration to absolute settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from rxtune.config.configuration import Configuration
from rxtune.errors import StudyError
from rxtune.perturb import Perturbation
from rxtune.train import TrainSettings, resolve


def settings_of(configuration: Configuration, **values: Any) -> TrainSettings:
    given = {
        "units": "relative",
        "unit": 2.0,
        "width": 16,
        "learning_rate": 1e-4,
        "epochs": 3.0,
        "batch_size": 32,
        "evaluations": 6,
        "seed": 7,
        **values,
    }
    return resolve(configuration, **given)


def test_relative_values_become_absolute() -> None:
    settings = settings_of(
        Configuration(
            method="smooth_adv",
            learning_rate=2.0,
            sigma=0.5,
            radius=0.1,
            pgd_steps=2,
            step_size=1.5,
        )
    )
    assert settings.learning_rate == 2e-4
    assert settings.perturbation == Perturbation(
        sigma=0.25, radius=0.2, pgd_steps=2, step_size=1.5
    )


def test_absolute_values_stay_as_they_are() -> None:
    settings = settings_of(
        Configuration(method="rs_rp", learning_rate=3e-5, sigma=0.07), units="absolute"
    )
    assert settings.learning_rate == 3e-5
    assert settings.perturbation == Perturbation(sigma=0.07)


def test_an_linf_radius_is_per_coordinate() -> None:
    settings = settings_of(Configuration(method="adv", radius=0.1, pgd_steps=1, norm="linf"))
    assert settings.perturbation == Perturbation(radius=0.05, pgd_steps=1, norm="linf")


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(method="standard", sigma=1.0, radius=1.0, pgd_steps=3),
        Configuration(method="rs_rp", radius=1.0, pgd_steps=3),
        Configuration(method="adv", sigma=1.0),
    ],
)
def test_a_method_reads_its_own_parameters_only(configuration: Configuration) -> None:
    assert settings_of(configuration).perturbation is None


def test_a_configuration_overrides_the_tasks_defaults() -> None:
    assert (settings_of(Configuration()).epochs, settings_of(Configuration()).batch_size) == (
        3,
        32,
    )
    chosen = settings_of(Configuration(epochs=1.5, batch_size=8))
    assert (chosen.epochs, chosen.batch_size) == (1.5, 8)


@pytest.mark.parametrize(
    ("perturbation", "weight", "cost"),
    [
        (None, 1.0, 3),
        (Perturbation(), 1.0, 3),
        (Perturbation(sigma=0.1), 1.0, 3),
        (Perturbation(radius=0.1, pgd_steps=1), 1.0, 5),
        (Perturbation(sigma=0.1, radius=0.1, pgd_steps=3), 1.0, 9),
        (Perturbation(radius=0.1, pgd_steps=1), 0.5, 8),
        (Perturbation(sigma=0.1), 0.5, 6),
        (Perturbation(radius=0.1, pgd_steps=1), 0.0, 3),
    ],
)
def test_cost_is_counted_in_forward_equivalents(
    make_settings: Callable[..., TrainSettings],
    perturbation: Perturbation | None,
    weight: float,
    cost: float,
) -> None:
    settings = make_settings(perturbation=perturbation, perturbed_weight=weight)
    assert settings.forward_equivalents_per_example == cost


# --- trap 3: precision


@pytest.mark.parametrize("norm", ["l2", "l2_sequence", "linf"])
def test_bf16_warns_of_a_radius_below_three_hundredths(norm: Any) -> None:
    small = Configuration(method="adv", radius=0.01, pgd_steps=1, norm=norm)
    with pytest.warns(UserWarning, match=r"relative radius of 0.01 hardly reaches the logits"):
        settings_of(small, precision="bf16")


@pytest.mark.parametrize(
    ("configuration", "precision"),
    [
        (Configuration(method="adv", radius=0.03, pgd_steps=1), "bf16"),
        (Configuration(method="adv", radius=0.01, pgd_steps=1), "fp32"),
        (Configuration(method="rs_rp", sigma=0.5), "bf16"),
        (Configuration(), "bf16"),
    ],
)
def test_nothing_else_warns(configuration: Configuration, precision: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings_of(configuration, precision=precision)


def test_the_relative_radius_of_absolute_units_is_known_too() -> None:
    with pytest.warns(UserWarning, match=r"relative radius of 0.01"):
        settings_of(
            Configuration(method="adv", radius=0.02, pgd_steps=1),
            units="absolute",
            precision="bf16",
        )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0, but is 0.0"),
        ({"epochs": float("inf")}, "epochs must be a finite number > 0, but is inf"),
        ({"batch_size": 0}, "batch_size must be a finite number > 0, but is 0"),
        ({"evaluations": 0}, "evaluations must be"),
        ({"perturbed_weight": 1.5}, r"perturbed_weight must be a finite number in \[0, 1\]"),
        ({"precision": "fp16"}, "precision must be 'fp32' or 'bf16', but is 'fp16'"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(
    make_settings: Callable[..., TrainSettings], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        make_settings(**values)
