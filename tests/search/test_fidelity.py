"""`stopping.unit: compute` on its way from the study to what trials are trained with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rxtune.config import Configuration
from rxtune.config.stopping import Asha, Stopping

ADV = Configuration(method="adv", radius=0.1, pgd_steps=2)


@pytest.fixture
def by_cost(workload: Any) -> Any:
    """40 training rows in batches of 8, for two epochs: ten plain updates."""
    stopping = Stopping(asha=Asha(evaluations=2, first_rung=1), unit="compute")
    return replace(
        workload, study=workload.study.model_copy(update={"stopping": stopping}), epochs=2.0
    )


def test_trials_cost_the_same_where_the_study_counts_compute(workload: Any, by_cost: Any) -> None:
    assert by_cost.settings(Configuration(), "cpu").updates == 10
    assert by_cost.settings(ADV, "cpu").updates == 4  # an update costs 7/3
    assert workload.settings(ADV, "cpu").updates is None


def test_a_confirmation_trains_for_the_same_cost(by_cost: Any) -> None:
    fresh = replace(by_cost, seed=1007, evaluations=1)
    assert fresh.settings(ADV, "cpu").updates == by_cost.settings(ADV, "cpu").updates


def test_a_forecast_counts_the_updates_that_a_trial_will_have(by_cost: Any) -> None:
    from rxtune.search.forecast import measure

    found = {m.configuration.method: m.updates for m in measure(by_cost).methods}
    assert found["standard"] == 10
    assert found["adv"] in (4, 6)  # with two steps, or one
