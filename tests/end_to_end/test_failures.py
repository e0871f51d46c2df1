"""Searches that cannot give a result say why, with the exit code of the reason."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

import rxtune.cli
from rxtune.results import TrialState

pytestmark = pytest.mark.slow_end_to_end


@pytest.fixture
def main(
    workplace: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Return a function that runs the command line in this process, where all is imported."""

    def run(*arguments: str) -> Any:
        monkeypatch.chdir(workplace.folder)
        monkeypatch.setattr(sys, "argv", ["rxtune", *arguments])
        with pytest.raises(SystemExit) as ended:
            rxtune.cli.main()
        return workplace.ended(ended.value.code, *capfd.readouterr())

    return run


def test_a_search_in_which_every_trial_diverges_ends_early_and_says_so(workplace: Any) -> None:
    shutil.copytree(workplace.encoder, workplace.folder / "diverging")
    config = workplace.folder / "diverging" / "config.json"
    own = {"rxtune": {"learning_rate": 1e30}}
    config.write_text(json.dumps(json.loads(config.read_text()) | own))
    command = workplace.new_search("diverging", "--model", "diverging", "--trials", "30")
    ended = workplace.run(*command)
    assert ended.code == 5, ended
    assert "no trial gave a result" in ended.errors
    assert "diverged: " in ended.errors
    assert len(ended.errors.splitlines()) == 1
    assert workplace.states("diverging") == {TrialState.FAILED}
    assert len(workplace.records("diverging")) < 10
    parent, runs = workplace.runs("diverging")
    assert parent.info.status == "FAILED"
    assert {run.info.status for run in runs} <= {"FAILED", "KILLED"}


def test_more_gpus_than_there_are_are_refused_with_their_number(
    workplace: Any, main: Callable[..., Any]
) -> None:
    ended = main(*workplace.new_search("gpus", "--gpus-per-trial", "2"))
    assert ended.code == 4, ended
    assert "--gpus-per-trial: 2 GPU asked for, but this machine has 0" in ended.errors
    assert not workplace.run_folder("gpus").path.exists()


def test_an_mlflow_server_that_is_not_there_is_refused_before_anything_is_written(
    workplace: Any, main: Callable[..., Any]
) -> None:
    with socket.socket() as closed:  # bound, but not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}"
        ended = main(*workplace.new_search("untracked", "--tracking-uri", uri))
    assert ended.code == 4, ended
    assert f"MLflow at {uri}: Connection refused" in ended.errors
    assert not workplace.run_folder("untracked").path.exists()
