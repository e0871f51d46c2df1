"""Ctrl-C ends a search cleanly, and its last line goes on with it."""

from __future__ import annotations

import os
import shlex
import signal
from typing import Any

import pytest

from rxtune.results import Failure, TrialState

pytestmark = pytest.mark.slow_end_to_end


@pytest.fixture(scope="module")
def second(workplace: Any) -> Any:
    """What a second driver of a running search says."""
    return []


@pytest.fixture(scope="module")
def interrupted(workplace: Any, second: list[Any]) -> Any:
    """The search `stopped`: a second driver tries to take it, then comes Ctrl-C."""
    command = workplace.start(*workplace.new_search("stopped", "--workers", "2"))
    command.wait_until(workplace.has_evaluations("stopped", 2))
    os.kill(command.pid, signal.SIGSTOP)  # so that it is still running when the second one comes
    second.append(workplace.run("search", "--name", "stopped", "--resume"))
    os.kill(command.pid, signal.SIGCONT)
    os.killpg(command.pid, signal.SIGINT)  # a terminal sends it to the whole group
    return command.wait()


def test_a_second_driver_of_the_same_run_is_refused(interrupted: Any, second: list[Any]) -> None:
    (refused,) = second
    assert refused.code == 2
    assert "another rxtune search (pid " in refused.errors
    assert "give this search a name of its own with --name" in refused.errors


def test_an_interrupt_ends_everything_and_the_printed_line_goes_on(
    workplace: Any, interrupted: Any
) -> None:
    assert interrupted.code == 130, interrupted
    assert interrupted.errors == ""
    before = workplace.records("stopped")
    assert TrialState.RUNNING not in {record.state for record in before}
    assert any(record.failure is Failure.INTERRUPTED for record in before)
    parent, runs = workplace.runs("stopped")
    assert parent.info.status == "KILLED"
    assert len(runs) == len(before)
    assert "RUNNING" not in {run.info.status for run in runs}
    assert workplace.gone(), workplace.processes()

    (line,) = [x for x in interrupted.output.splitlines() if x.startswith("  rxtune search")]
    ended = workplace.run(*shlex.split(line)[1:])
    assert ended.code == 0, ended
    after = workplace.records("stopped")
    counted = [record for record in after if record.failure is not Failure.INTERRUPTED]
    assert len(counted) == 6
    assert {record.state for record in counted} <= {TrialState.FINISHED, TrialState.STOPPED}
    finished = [record for record in before if record.state is not TrialState.FAILED]
    assert [after[record.number] for record in finished] == finished
    assert len(workplace.runs("stopped")[1]) == len(after)


@pytest.mark.parametrize("sign", ["gcs_server", "raylet/raylet"])
def test_a_sigterm_while_ray_starts_leaves_nothing(workplace: Any, sign: str) -> None:
    command = workplace.start(*workplace.new_search(f"early-{len(sign)}"))
    command.wait_until(lambda: command.has_started(sign))
    os.kill(command.pid, signal.SIGTERM)
    ended = command.wait()
    assert ended.code == 130, ended
    assert "Traceback" not in ended.errors
    assert "SIGTERM" not in ended.errors
    assert workplace.gone(), workplace.processes()
    assert not workplace.run_folder(f"early-{len(sign)}").path.exists()


def test_a_sigterm_amid_trials_ends_as_ctrl_c_does(workplace: Any) -> None:
    command = workplace.start(*workplace.new_search("termed", "--workers", "1"))
    command.wait_until(workplace.has_evaluations("termed", 1))
    os.kill(command.pid, signal.SIGTERM)
    ended = command.wait()
    assert ended.code == 130, ended
    assert "--resume" in ended.output
    assert workplace.gone(), workplace.processes()
