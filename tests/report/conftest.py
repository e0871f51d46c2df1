"""Trials as a search leaves them."""

import pytest

from rxtune.config.configuration import Configuration
from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot


def make_trial(number, state="finished", value=0.5, method="rs_rp", evaluations=6, **changes):
    """Return a trial whose evaluations cost 100 forward-equivalents each and end at `value`."""
    done = tuple(
        Evaluation(
            number=n,
            updates=10 * n,
            value=value,
            accuracy={"qaf": value},
            train_loss=1.0,
            forward_equivalents=100.0 * n,
            seconds=float(n),
            time=float(n),
        )
        for n in range(1, evaluations + 1)
    )
    parameters = {"sigma": 0.8} if method == "rs_rp" else {}
    fields = {
        "number": number,
        "configuration": Configuration(method=method, **parameters),
        "state": TrialState(state),
        "evaluations": done,
    }
    if state == "finished":
        fields["zero_shot"] = ZeroShot(
            accuracy={"eng": 0.9, "qaa": value + 0.1, "qaf": value},
            source_language="eng",
            dev_languages=("qaf",),
        )
    return TrialRecord(**{**fields, **changes})


@pytest.fixture(scope="session")
def trial():
    return make_trial
