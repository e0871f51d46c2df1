"""From a configuration to absolute settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config.configuration import Configuration
from rxtune.errors import StudyError
from rxtune.perturb import Perturbation, Scale, Scales
from rxtune.train import TrainSettings, resolve

ONE_STEP = Perturbation(radius=0.1, pgd_steps=1)


WORD = Scales(word=Scale(2.0, 16))
ABSOLUTE = replace(WORD, units="absolute")


def settings_of(
    configuration: Configuration, scales: Scales = WORD, **values: Any
) -> TrainSettings:
    given = {
        "learning_rate": 1e-4,
        "epochs": 3.0,
        "batch_size": 32,
        "evaluations": 6,
        "seed": 7,
        **values,
    }
    return resolve(configuration, TrainSettings(**given), scales)


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
    settings = settings_of(Configuration(method="rs_rp", learning_rate=3e-5, sigma=0.07), ABSOLUTE)
    assert settings.learning_rate == 3e-5
    assert settings.perturbation == Perturbation(sigma=0.07)


def test_an_linf_radius_is_per_coordinate() -> None:
    settings = settings_of(Configuration(method="adv", radius=0.1, pgd_steps=1, norm="linf"))
    assert settings.perturbation == Perturbation(radius=0.05, pgd_steps=1, norm="linf")


def test_the_ball_and_the_start_belong_to_the_perturbation() -> None:
    ascent = {"radius": 0.1, "pgd_steps": 2, "random_start": True}
    given = Configuration(method="freelb", ball="sequence", **ascent)
    assert settings_of(given).perturbation == Perturbation(
        radius=0.2, pgd_steps=2, ball="sequence", random_start=True
    )
    cube = Configuration(method="adv", norm="linf", ball="sequence", **ascent)
    assert settings_of(cube).perturbation == Perturbation(
        radius=0.05, pgd_steps=2, norm="linf", random_start=True
    )


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (Configuration(method="rs_rp", sigma=1.0, samples=3, clean_weight=0.5), ("weighted", 3)),
        (Configuration(method="r3f", sigma=1.0, consistency_weight=4.0), ("r3f", 1)),
        (Configuration(method="freelb", radius=1.0, pgd_steps=2), ("freelb", 1)),
        (Configuration(method="rs_da", replace_probability=0.5), ("weighted", 1)),
    ],
)
def test_the_method_decides_what_is_minimised(
    configuration: Configuration, expected: tuple[str, int]
) -> None:
    settings = settings_of(configuration, accumulation=4)
    assert (settings.objective, settings.samples) == expected
    assert settings.clean_weight == configuration.clean_weight
    assert settings.consistency_weight == configuration.consistency_weight
    assert settings.accumulation == 4


# --- the site


def test_at_the_context_site_lengths_are_in_units_of_contextual_vectors() -> None:
    configuration = Configuration(
        method="smooth_adv", sigma=0.5, radius=0.1, pgd_steps=1, site="context"
    )
    settings = settings_of(configuration, replace(WORD, context=Scale(10.0, 25)))
    assert settings.site == "context"
    assert settings.perturbation == Perturbation(sigma=1.0, radius=1.0, pgd_steps=1)


def test_a_site_that_nobody_reads_is_the_word_site_and_needs_no_unit() -> None:
    assert settings_of(Configuration(site="context")) == settings_of(Configuration())


@pytest.mark.parametrize("scales", [WORD, ABSOLUTE])
def test_a_context_without_a_scale_is_refused(scales: Scales) -> None:
    configuration = Configuration(method="rs_rp", sigma=0.5, site="context")
    with pytest.raises(StudyError, match=r"site context needs the median norm.*use site word"):
        settings_of(configuration, scales)


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(method="standard", sigma=1.0, radius=1.0, pgd_steps=3),
        Configuration(method="rs_rp", radius=1.0, pgd_steps=3),
        Configuration(method="adv", sigma=1.0),
        Configuration(method="r3f", radius=1.0, pgd_steps=3),
        Configuration(method="freelb", sigma=1.0),
        Configuration(method="rs_da", sigma=1.0, radius=1.0, pgd_steps=3),
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
    ("perturbation", "values", "cost"),
    [
        (None, {}, 3),
        (Perturbation(), {}, 3),
        (Perturbation(), {"samples": 5, "clean_weight": 0.5}, 3),
        (Perturbation(sigma=0.1), {}, 3),
        (Perturbation(sigma=0.1), {"samples": 4}, 12),
        (Perturbation(sigma=0.1), {"clean_weight": 0.5}, 6),
        (ONE_STEP, {}, 5),
        (ONE_STEP, {"clean_weight": 0.5}, 8),
        (ONE_STEP, {"samples": 2, "clean_weight": 0.5}, 13),
        (Perturbation(sigma=0.1, radius=0.1, pgd_steps=3), {}, 9),
        (ONE_STEP, {"objective": "freelb"}, 3),
        (Perturbation(radius=0.1, pgd_steps=3), {"objective": "freelb"}, 9),
        (Perturbation(radius=0.1, random_start=True), {"objective": "freelb"}, 3),
        (Perturbation(sigma=0.1), {"objective": "r3f"}, 6),
        (Perturbation(sigma=0.1), {"objective": "r3f", "site": "context"}, 3),
        (ONE_STEP, {"samples": 2, "clean_weight": 0.5, "site": "context"}, 3),
    ],
)
def test_cost_is_counted_in_forward_equivalents(
    make_settings: Callable[..., TrainSettings],
    perturbation: Perturbation | None,
    values: dict[str, Any],
    cost: float,
) -> None:
    settings = make_settings(perturbation=perturbation, **values)
    assert settings.forward_equivalents_per_example == cost


# --- parts of an update


@given(
    examples=st.integers(1, 80), longest=st.integers(1, 200),
    tokens=st.integers(1, 4000), accumulation=st.integers(1, 4),
)  # fmt: skip
def test_no_part_of_several_examples_exceeds_the_token_budget(
    examples: int, longest: int, tokens: int, accumulation: int
) -> None:
    settings = settings_of(Configuration(), tokens_per_pass=tokens, accumulation=accumulation)
    parts = settings.parts_of(examples, longest)
    largest = -(-examples // parts)
    assert accumulation <= parts <= max(examples, accumulation)
    assert largest == 1 or largest * longest <= tokens


def test_only_updates_of_long_texts_are_divided() -> None:
    settings = settings_of(Configuration(), tokens_per_pass=32 * 64)
    assert [settings.parts_of(32, longest) for longest in (10, 64, 65, 128)] == [1, 1, 2, 2]
    assert settings_of(Configuration()).parts_of(32, 512) == 1


# --- trap 3: precision


@pytest.mark.parametrize("kind", [{}, {"ball": "sequence"}, {"norm": "linf"}])
def test_bf16_warns_of_a_radius_below_three_hundredths(kind: dict[str, Any]) -> None:
    small = Configuration(method="adv", radius=0.01, pgd_steps=1, **kind)
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
            ABSOLUTE,
            precision="bf16",
        )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0, but is 0.0"),
        ({"epochs": float("inf")}, "epochs must be a finite number > 0, but is inf"),
        ({"batch_size": 0}, "batch_size must be a finite number > 0, but is 0"),
        ({"evaluations": 0}, "evaluations must be"),
        ({"clean_weight": 1.0}, r"clean_weight must be a finite number in \[0, 1\), but is 1.0"),
        ({"samples": 0}, "samples must be a finite number >= 1, but is 0"),
        ({"accumulation": 0}, "accumulation must be a finite number >= 1, but is 0"),
        ({"tokens_per_pass": 0}, "tokens_per_pass must be a finite number >= 1, but is 0"),
        ({"updates": 0}, "updates must be a finite number >= 1, but is 0"),
        ({"consistency_weight": -1.0}, "consistency_weight must be a finite number >= 0"),
        ({"site": "words"}, "site must be one of word, context, but is 'words'"),
        ({"precision": "fp16"}, "precision must be 'fp32' or 'bf16', but is 'fp16'"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(
    make_settings: Callable[..., TrainSettings], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        make_settings(**values)
