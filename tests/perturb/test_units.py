"""The unit m, and lengths relative to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rxtune.errors import ModelError, StudyError
from rxtune.perturb import Scale, Scales, absolute_radius, absolute_sigma, measure_unit

WEIGHT = np.array([[3.0, 4.0], [0.0, 1.0], [0.0, 2.0], [600.0, 800.0]], dtype=np.float32)


def test_the_unit_is_the_median_norm_of_the_rows_that_occur() -> None:
    assert measure_unit(WEIGHT, [0, 1, 2]) == 2.0
    assert measure_unit(WEIGHT, [0, 1]) == 3.0


def test_a_row_counts_once_however_often_it_occurs() -> None:
    assert measure_unit(WEIGHT, [0, 1, 2, 1, 1, 1, 1]) == 2.0


def test_noise_of_relative_sigma_one_has_about_the_norm_of_the_unit() -> None:
    noise = np.random.default_rng(0).normal(0, absolute_sigma(1.0, 2.5, 128), (2000, 128))
    assert np.linalg.norm(noise, axis=1).mean() == pytest.approx(2.5, rel=0.01)


def test_an_l2_radius_is_a_multiple_of_the_unit() -> None:
    assert absolute_radius(0.1, 2.5, 128, "l2") == 0.25


def test_the_corner_of_an_linf_ball_is_as_far_as_the_l2_radius() -> None:
    bound = absolute_radius(0.1, 2.5, 128, "linf")
    assert math.sqrt(128) * bound == pytest.approx(0.25)


def test_each_site_has_its_own_scale() -> None:
    scales = Scales(word=Scale(2.0, 16), context=Scale(10.0, 25))
    assert (scales.at("word").sigma(0.5), scales.at("context").sigma(0.5)) == (0.25, 1.0)
    assert scales.at("context").radius(0.1, "l2") == 1.0
    assert scales.at("context").radius(0.1, "linf") == 0.2


def test_a_scale_that_was_not_measured_is_refused() -> None:
    with pytest.raises(StudyError, match=r"site context needs .+ not measured; give"):
        Scales(word=Scale(2.0, 16)).at("context")


@pytest.mark.parametrize("ids", [[0, 4], [-1, 2]])
def test_ids_outside_the_vocabulary_are_refused(ids: list[int]) -> None:
    with pytest.raises(ModelError, match=r"must lie in \[0, 3\].*tokenizer of this encoder"):
        measure_unit(WEIGHT, ids)


def test_data_without_a_token_is_refused() -> None:
    with pytest.raises(ModelError, match="holds no token"):
        measure_unit(WEIGHT, [])


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_embeddings_without_a_norm_are_refused(value: float) -> None:
    with pytest.raises(ModelError, match="must be a positive number"):
        measure_unit(np.full((3, 2), value, dtype=np.float32), [0, 1, 2])
