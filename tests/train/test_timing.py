"""Seconds of a step and of a prediction, with a clock that the test holds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pyarrow as pa
import pytest
import torch
from transformers import PreTrainedModel

from rxtune.errors import TrialOutOfMemoryError
from rxtune.train import TrainSettings, timing
from rxtune.train.batches import TokenTable
from rxtune.train.timing import time_prediction, time_step

Make = Callable[..., pa.Table]
Settings = Callable[..., TrainSettings]


def ticking(seconds: float) -> Callable[[], float]:
    """Return a clock that goes on by `seconds` whenever it is looked at."""
    ticks = count()
    return lambda: next(ticks) * seconds


def seconds_of(
    model: PreTrainedModel, table: pa.Table, settings: TrainSettings, clock: Callable[[], float]
) -> float:
    return time_step(model, table, settings, pad_id=1, device="cpu", clock=clock)


def test_a_step_takes_what_the_clock_says_and_moves_no_weight(
    model: PreTrainedModel, make_table: Make, make_settings: Settings
) -> None:
    before = [parameter.detach().clone() for parameter in model.parameters()]
    state = torch.get_rng_state()
    assert seconds_of(model, make_table(40), make_settings(), ticking(0.5)) == 0.5
    assert all(map(torch.equal, before, model.parameters()))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("tick", "steps"), [(0.125, 8), (32.0, 2)])
def test_a_slow_machine_does_fewer_steps(
    model: PreTrainedModel,
    make_table: Make,
    make_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tick: float,
    steps: int,
) -> None:
    done: list[int] = []
    monkeypatch.setattr(timing, "robust_step", lambda _m, _o, batch, *_: done.append(len(batch)))
    assert seconds_of(model, make_table(80), make_settings(), ticking(tick)) == tick
    assert len(done) == steps


def test_the_longest_batch_comes_first_and_then_middling_ones(
    make_table: Make, make_settings: Settings
) -> None:
    tokens = TokenTable(make_table(100, longest=30), pad_id=1)
    longest, middling = timing._batches(tokens, make_settings())
    assert tokens.lengths[longest].max() == tokens.lengths.max()
    lengths = [int(tokens.lengths[rows].max()) for rows in middling]
    assert len(lengths) == timing.TIMED
    assert 10 < min(lengths) <= max(lengths) < 25


def test_a_step_that_does_not_fit_says_what_to_try(
    model: PreTrainedModel,
    make_table: Make,
    make_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(timing, "robust_step", fail)
    with pytest.raises(TrialOutOfMemoryError, match=r"train\.accumulation: 2"):
        seconds_of(model, make_table(9), make_settings(), ticking(1.0))


def test_a_prediction_is_timed_by_the_row(model: PreTrainedModel, make_table: Make) -> None:
    assert time_prediction(model, make_table(20), pad_id=1, clock=ticking(4.0)) == 0.2
    assert time_prediction(model, make_table(1), pad_id=1, clock=ticking(4.0)) == 4.0
