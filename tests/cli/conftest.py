"""The command line in this process, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rxtune import api
from rxtune.cli import main as command_line
from rxtune.config import Configuration
from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot
from tests.space import SPACE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a space file and an empty encoder folder in it."""
    (tmp_path / "space.yaml").write_text(SPACE)
    (tmp_path / "encoder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def rxtune(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Return a function that runs a command and returns its exit code and what it printed."""

    def run(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["rxtune", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line()
        output, errors = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, output=output, errors=errors)

    return run


@pytest.fixture
def printed_by(folder: Path) -> Callable[[str], str]:
    """Return a function that runs a program in a process of its own and returns what it prints."""

    def run(code: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={"PYTHONPATH": str(Path(api.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stderr == ""
        return ended.stdout.strip()

    return run


@pytest.fixture
def write_own(folder: Path) -> Callable[..., None]:
    """Return a function that writes `mine.yaml` and its data: two languages, two labels."""

    def write(text: str = "plain") -> None:
        for name in ("train-en", "dev-en", "dev-sw", "test-en", "test-sw"):
            rows = f"text\tlabel\n{name} {text}\tbad\n{name} other\tgood\n"
            (folder / f"{name}.tsv").write_text(rows, encoding="utf-8")
        lines = [f'  {split}: "{split}-{{language}}.tsv"' for split in ("train", "dev", "test")]
        head = "labels: [good, bad]\nsource_language: en\ndev_languages: [sw]\nfiles:\n"
        (folder / "mine.yaml").write_text(head + "\n".join(lines))

    return write


def make_record(number: int, state: str, value: float = 0.5, **changes: Any) -> TrialRecord:
    evaluation = Evaluation(
        number=3,
        updates=30,
        value=value,
        accuracy={"qaf": value},
        train_loss=1.0,
        forward_equivalents=100.0,
        seconds=3.0,
        time=1.7e9 + 3,
    )
    fields: dict[str, Any] = {
        "number": number,
        "configuration": Configuration(),
        "state": TrialState(state),
        "evaluations": (evaluation,),
        "is_baseline": number == 0,
        "started": 1.7e9,
        "ended": None if state == "running" else 1.7e9 + 10,
    }
    if state == "finished":
        fields["zero_shot"] = ZeroShot(
            accuracy={"eng": 0.9, "qaa": value + 0.1, "qaf": value},
            source_language="eng",
            dev_languages=("qaf",),
        )
    return TrialRecord(**{**fields, **changes})


@pytest.fixture(scope="session")
def record() -> Callable[..., TrialRecord]:
    return make_record


@pytest.fixture
def view(folder: Path) -> Callable[..., Any]:
    """Return a function that makes what a spectator sees of a search with these trials."""
    from rxtune.config import load_study
    from rxtune.data.catalogue import TASKS
    from rxtune.search.budgets import Limits
    from rxtune.search.cluster import Capacity
    from rxtune.search.views import SearchView

    def make(*records: TrialRecord, **changes: Any) -> SearchView:
        fields: dict[str, Any] = {
            "name": "rs",
            "study": load_study(folder / "space.yaml"),
            "task": TASKS["babel"],
            "dev_languages": ("qaf",),
            "encoder": "babel-tiny",
            "capacity": Capacity(
                workers=2, cpus_per_trial=1.0, gpus_per_trial=0.0, nodes=1, can_grow=False
            ),
            "folder": folder / "runs" / "rs",
            "tracking_uri": f"sqlite:///{folder / 'mlflow.db'}",
            "forecast": 100.0,
            "dev_examples": 1000,
            "records": lambda: list(records),
            "began": 0.0,
            "recovered": None,
        }
        fields |= changes
        limits = Limits(search=fields["study"].search, evaluations=6, examples=1000)
        return SearchView(**{"limits": limits, **fields})

    return make
