"""What MLflow hears when a search breaks off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rxtune.errors import DiskFullError, TakenOverError
from rxtune.search.tuner import _telling_of_errors


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def tracker(told: list[str]) -> Any:
    return SimpleNamespace(search_ended=lambda state, **_: told.append(state))


def test_mlflow_hears_that_a_search_broke_off(tracker: Any, told: list[str]) -> None:
    with pytest.raises(DiskFullError), _telling_of_errors(tracker):
        raise DiskFullError("full")
    assert told == ["failed"]


def test_a_search_that_another_driver_goes_on_with_has_not_failed(
    tracker: Any, told: list[str]
) -> None:
    with pytest.raises(TakenOverError), _telling_of_errors(tracker):
        raise TakenOverError("another driver")
    assert told == []
