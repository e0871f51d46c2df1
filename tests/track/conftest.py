"""Records as a search makes them, and one real MLflow database for all tests of the room."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from rxtune.config.configuration import Configuration
from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot
from rxtune.track import Tracker

START = 1_700_000_000.123456


def make_evaluation(number: int, value: float = 0.5) -> Evaluation:
    return Evaluation(
        number=number,
        updates=100 * number,
        value=value,
        accuracy={"qaf": value},
        train_loss=1.0 / number,
        forward_equivalents=9600.0 * number,
        seconds=2.5 * number,
        time=START + 2.5 * number,
    )


def make_record(
    number: int, state: str = "running", evaluations: int = 0, **changes: object
) -> TrialRecord:
    fields = {
        "number": number,
        "configuration": Configuration(method="rs_rp", sigma=0.8),
        "state": TrialState(state),
        "absolute": {"learning_rate": 3e-4, "sigma": 0.0712345678},
        "evaluations": tuple(
            make_evaluation(n, (40 + n) / 100) for n in range(1, evaluations + 1)
        ),
        "started": START,
        "ended": None if state == "running" else START + 20.0,
    }
    if state == "finished":
        fields["zero_shot"] = ZeroShot(
            accuracy={"eng": 0.9, "qaa": 0.7, "qaf": 0.5, "qag": 0.6},
            source_language="eng",
            dev_languages=("qaf",),
        )
    return TrialRecord(**{**fields, **changes})


@pytest.fixture(scope="session")
def evaluation() -> Callable[..., Evaluation]:
    return make_evaluation


@pytest.fixture(scope="session")
def record() -> Callable[..., TrialRecord]:
    return make_record


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture(scope="session")
def open_tracker(database: Path) -> Callable[..., Tracker]:
    """Return a function that opens a tracker: of a search of its own, unless it is named."""
    numbers = count()

    def open_one(search_id: str | None = None, uri: str | None = None) -> Tracker:
        return Tracker.open(
            uri or f"sqlite:///{database}",
            experiment="babel",
            run_name="rs",
            search_id=search_id or f"search-{next(numbers)}",
        )

    return open_one
