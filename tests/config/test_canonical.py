"""Two configurations that train the same model are one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import METHODS, Configuration
from rxtune.config.canonical import canonical

PLAIN = Configuration(learning_rate=0.7)
NOISY = replace(PLAIN, method="rs_rp", sigma=0.5)
ADVERSARIAL = replace(PLAIN, method="adv", radius=0.02, pgd_steps=2)


@pytest.mark.parametrize(
    ("corner", "simple"),
    [
        (replace(NOISY, sigma=0.0, samples=3), PLAIN),
        (replace(NOISY, clean_weight=1.0), PLAIN),
        (replace(ADVERSARIAL, radius=0.0, norm="linf"), PLAIN),
        (replace(ADVERSARIAL, pgd_steps=0), PLAIN),
        (replace(ADVERSARIAL, method="smooth_adv"), ADVERSARIAL),
        (replace(ADVERSARIAL, method="smooth_adv", samples=4), ADVERSARIAL),
        (replace(NOISY, method="smooth_adv"), NOISY),
        (replace(NOISY, method="smooth_adv", radius=0.1), NOISY),
        (replace(ADVERSARIAL, method="freelb", pgd_steps=1), PLAIN),
        (replace(ADVERSARIAL, method="freelb", pgd_steps=0, random_start=True), PLAIN),
        # Its only pass is at the random start: no step is taken, of whatever size.
        (
            replace(ADVERSARIAL, method="freelb", pgd_steps=1, random_start=True, step_size=0.5),
            replace(ADVERSARIAL, method="freelb", pgd_steps=1, random_start=True, step_size=3.0),
        ),
        (replace(NOISY, method="r3f", consistency_weight=0.0), PLAIN),
        (replace(PLAIN, method="rs_da", replace_probability=0.0), PLAIN),
        (
            replace(ADVERSARIAL, pgd_steps=1, step_size=1.5),
            replace(ADVERSARIAL, pgd_steps=1, step_size=3.0),
        ),
        (replace(PLAIN, learning_rate=0.70000001), PLAIN),
        # What is not read does not tell two configurations apart.
        (replace(PLAIN, sigma=3.0, pgd_steps=2), PLAIN),
        (replace(ADVERSARIAL, norm="linf"), replace(ADVERSARIAL, norm="linf", ball="sequence")),
    ],
)
def test_a_corner_of_a_method_is_the_simpler_one(
    corner: Configuration, simple: Configuration
) -> None:
    assert canonical(corner) == canonical(simple)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NOISY, PLAIN),
        (NOISY, replace(NOISY, sigma=0.5004)),
        (NOISY, replace(NOISY, samples=2)),
        (replace(ADVERSARIAL, pgd_steps=0, random_start=True), PLAIN),
        (replace(ADVERSARIAL, step_size=1.5), ADVERSARIAL),
        (
            replace(ADVERSARIAL, pgd_steps=1, step_size=1.5, random_start=True),
            replace(ADVERSARIAL, pgd_steps=1, step_size=3.0, random_start=True),
        ),
        (replace(PLAIN, method="rs_da", substitution="static"), PLAIN),
        (replace(ADVERSARIAL, method="freelb"), ADVERSARIAL),
    ],
)
def test_what_trains_another_model_stays_another(one: Configuration, other: Configuration) -> None:
    assert canonical(one) != canonical(other)


@given(
    st.builds(
        Configuration,
        method=st.sampled_from(METHODS),
        learning_rate=st.floats(0.1, 3),
        sigma=st.sampled_from([0.0, 0.3]),
        samples=st.integers(1, 2),
        radius=st.sampled_from([0.0, 0.1]),
        pgd_steps=st.integers(0, 2),
        random_start=st.booleans(),
        step_size=st.sampled_from([0.5, 1.0, 2.5]),
        clean_weight=st.sampled_from([0.0, 0.5, 1.0]),
        consistency_weight=st.sampled_from([0.0, 1.0]),
        replace_probability=st.sampled_from([0.0, 0.2]),
        substitution=st.sampled_from(["on_the_fly", "static"]),
    )
)
def test_the_simplest_form_is_its_own_simplest_form(configuration: Configuration) -> None:
    simple = canonical(configuration)
    assert canonical(simple) == simple
