"""Runs in every state, simulated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rxtune.config import Study, load_study
from tests.report.page.simulated import Simulated

SPACE = """\
space:
  method: {choice: [standard, rs_rp, adv]}
  sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}
  radius: {log_uniform: [0.003, 0.3], when: {method: [adv]}}
  pgd_steps: {int: [1, 3], when: {method: [adv]}}
search: {trials: 8}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a space file in it."""
    (tmp_path / "space.yaml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def study(folder: Path) -> Study:
    return load_study(folder / "space.yaml")


@pytest.fixture
def simulated(study: Study) -> Callable[..., Simulated]:
    """Return a function that begins the run `rs` in the folder of all runs."""
    return lambda **changes: Simulated(Path("runs"), study, **changes)
