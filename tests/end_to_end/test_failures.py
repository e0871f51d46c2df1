"""Searches that cannot give a result say why, with the exit code of the reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
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


def test_budgets_end_a_search_and_a_resume_without_more_starts_nothing(workplace: Any) -> None:
    command = workplace.new_search("budget", "--workers", "1", "--compute-budget", "2500")
    ended = workplace.run(*command)
    assert ended.code == 0, ended
    assert "Ended by its compute budget of 2500 after " in ended.output
    before, journal = workplace.records("budget"), workplace.journal("budget")
    assert 0 < len(before) < 6
    assert TrialState.FINISHED in {record.state for record in before}
    parent, _ = workplace.runs("budget")
    assert (parent.info.status, parent.data.tags["ended_by"]) == ("FINISHED", "compute_budget")

    again = workplace.run("search", "--name", "budget", "--resume", "--workers", "1")
    assert again.code == 0, again
    assert "--resume --compute-budget 5000" in again.output
    assert workplace.journal("budget") == journal


def test_a_worker_that_is_killed_is_replaced_and_its_trial_goes_on(workplace: Any) -> None:
    command = workplace.start(*workplace.new_search("lost", "--workers", "1", "--trials", "1"))
    command.wait_until(workplace.has_evaluations("lost", 1))
    workers = [pid for pid in workplace.process_ids() if "ray::ImplicitFunc" in _title(pid)]
    for pid in workers:  # by the mark of this workplace: no other search's
        os.kill(pid, signal.SIGKILL)
    ended = command.wait()
    assert ended.code == 0, ended
    assert "Traceback" not in ended.errors
    (record,) = workplace.records("lost")
    assert record.state is TrialState.FINISHED
    if workers:  # the trial may have come to its end before it could be hit
        assert record.losses <= 1


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it has ended
        return ""


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
