"""`rxtune search`: what it says before the first trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import load_study
from rxtune.results import Evaluation, ZeroShot
from rxtune.search.decisions import SearchStudy

Run = Callable[..., Any]


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as soon as a search would start Ray."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rxtune.search.start.run_search", interrupt)


def run_earlier(folder: Path, name: str) -> None:
    """Leave a run whose four trials have ended, two of them start points with learning rate 1."""
    run = folder / "runs" / name
    run.mkdir(parents=True)
    study = load_study(folder / "space.yaml", {"search.trials": 4, "stopping": "none"})
    evaluations = study.stopping.evaluations
    with SearchStudy.create(run / "journal.log", study) as search:
        while (record := search.ask()) is not None:
            for number in range(1, evaluations + 1):
                evaluation = Evaluation(
                    number=number, updates=number, value=0.5, accuracy={"qaf": 0.5},
                    train_loss=1.0, forward_equivalents=1.0, seconds=1.0, time=1.7e9,
                )  # fmt: skip
                search.report(record.number, evaluation)
            accuracy = {"eng": 0.9, "qaf": 0.5}
            result = ZeroShot(accuracy=accuracy, source_language="eng", dev_languages=("qaf",))
            search.finish(record.number, result)


@pytest.mark.usefixtures("interrupted")
def test_a_warm_start_says_what_it_takes_over(rxtune: Run, folder: Path) -> None:
    run_earlier(folder, "first")
    ended = rxtune("search", "--space", "space.yaml", "--name", "new", "--warm-start", "first")
    assert "Warm start: 4 trials of first." in ended.output
    narrow = (folder / "space.yaml").read_text().replace("[0.3, 3.0]", "[0.99, 1.01]")
    (folder / "narrow.yaml").write_text(narrow)
    ended = rxtune("search", "--space", "narrow.yaml", "--name", "new", "--warm-start", "first")
    assert "2 of the 4 trials of first (2 lie outside of this space)." in ended.output


@pytest.mark.usefixtures("interrupted")
def test_without_a_warm_start_nothing_is_said_of_it(rxtune: Run) -> None:
    ended = rxtune("search", "--space", "space.yaml", "--name", "new")
    assert ended.code == 130
    assert "Searching new: 6 trials of babel-tiny on babel" in ended.output
    assert "Warm start" not in ended.output
