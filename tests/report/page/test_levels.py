"""Intervals of a level: Wilson's from items, the bootstrap's from seeds and items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rxtune.config import Configuration
from rxtune.report.answers import Answers
from rxtune.report.bootstrap import hierarchical_bootstrap
from rxtune.report.confirmation import Confirmed
from rxtune.report.page.levels import Level, confirmed_levels, searched_levels
from rxtune.results import ConfirmedRun, TrialRecord, ZeroShot


def test_wilson_is_what_the_formula_gives(trial: Callable[..., TrialRecord]) -> None:
    level = searched_levels(trial(0, value=0.5), {"qaf": 100})["qaf"]
    # Newcombe 1998: 50 of 100 gives 0.4038 to 0.5962.
    assert level.low == pytest.approx(0.40383, abs=1e-5)
    assert level.high == pytest.approx(0.59617, abs=1e-5)
    assert level.mean == 0.5


def test_an_accuracy_of_none_or_all_keeps_its_interval_inside(
    trial: Callable[..., TrialRecord],
) -> None:
    result = ZeroShot(accuracy={"a": 0.0, "b": 1.0}, source_language="a", dev_languages=("b",))
    found = searched_levels(trial(0, zero_shot=result), {"a": 10, "b": 10})
    assert found["a"].low == pytest.approx(0.0)
    assert found["b"].high == pytest.approx(1.0)
    assert 0 < (found["a"].high or 0) < 0.5


def test_without_items_and_for_macro_f1_there_is_no_interval(
    trial: Callable[..., TrialRecord],
) -> None:
    record = trial(0, value=0.5)
    assert searched_levels(record, {})["qaf"] == Level(mean=0.5)
    assert record.zero_shot is not None
    f1 = replace(record.zero_shot, metric="macro_f1", macro_f1={"qaf": 0.4})
    assert searched_levels(replace(record, zero_shot=f1), {"qaf": 100}) == {"qaf": Level(mean=0.4)}


def confirmed_of(*accuracies: float) -> Confirmed:
    runs = tuple(
        ConfirmedRun(
            trial=1,
            roles=("robust",),
            configuration=Configuration(),
            seed=seed,
            zero_shot=ZeroShot(
                accuracy={"eng": accuracy}, source_language="eng", dev_languages=()
            ),
        )
        for seed, accuracy in enumerate(accuracies)
    )
    return Confirmed(
        trial=1, number=0, roles=("robust",), configuration=Configuration(), runs=runs
    )


def answers_of(right: list[bool]) -> Answers:
    return Answers(
        items=np.array([str(n) for n in range(len(right))]),
        languages=np.array(["eng"] * len(right)),
        labels=np.array(["yes"] * len(right)),
        predictions=np.array(["yes" if it else "no" for it in right]),
    )


def test_with_predictions_seeds_and_items_count() -> None:
    given = [[True] * 6 + [False] * 4, [True] * 8 + [False] * 2]
    answers = {(Configuration(), seed): answers_of(right) for seed, right in enumerate(given)}
    level = confirmed_levels(confirmed_of(0.6, 0.8), answers)["eng"]
    influence = np.array([(np.array(right) - np.mean(right)) / 10 for right in given])
    expected = hierarchical_bootstrap(np.array([0.6, 0.8]), [influence])
    assert level.mean == pytest.approx(0.7)
    assert level.low == pytest.approx(max(0.0, float(expected.low)))


def test_without_all_predictions_only_seeds_count() -> None:
    answers = {(Configuration(), 0): answers_of([True, False])}
    level = confirmed_levels(confirmed_of(0.6, 0.7, 0.8), answers)["eng"]
    # t(0.975, 2) · 0.1 / √3
    assert (level.low, level.high) == pytest.approx((0.7 - 0.24841, 0.7 + 0.24841), abs=1e-5)


def test_one_seed_has_no_interval_and_none_no_level() -> None:
    assert confirmed_levels(confirmed_of(0.6), {}) == {"eng": Level(mean=0.6)}
    assert confirmed_levels(confirmed_of(), {}) == {}
