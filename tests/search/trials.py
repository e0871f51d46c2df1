"""Trial records made up for tests of what chooses among them."""

from __future__ import annotations

from typing import Any

from rxtune.config import Configuration
from rxtune.results import Evaluation, TrialRecord, TrialState


def trial(number: int, value: float, state: str = "finished", **changes: Any) -> TrialRecord:
    """Return a trial; robust, with a sigma of its own, unless a configuration is given."""
    evaluation = Evaluation(
        number=1,
        updates=1,
        value=value,
        accuracy={"qaf": value},
        train_loss=1.0,
        forward_equivalents=3.0,
        seconds=1.0,
        time=1.0,
    )
    robust = Configuration(method="rs_rp", sigma=1.0 + number)
    given = {"configuration": robust, "state": TrialState(state), **changes}
    return TrialRecord(number=number, evaluations=(evaluation,), **given)
