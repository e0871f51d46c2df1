"""A search whose processes are killed loses nothing and repeats nothing."""

from __future__ import annotations

from typing import Any

import pytest

from rxtune.results import TrialRecord, TrialState
from rxtune.search.decisions import SearchStudy

pytestmark = pytest.mark.slow_end_to_end


def outcome(record: TrialRecord) -> Any:
    """Return all of a trial but its times."""
    values = [
        (e.number, e.updates, e.value, e.accuracy, e.train_loss, e.forward_equivalents)
        for e in record.evaluations
    ]
    return record.number, record.configuration, record.state, values, record.zero_shot


def rungs(workplace: Any, name: str) -> list[dict[str, Any]]:
    """Return what Optuna itself keeps of every trial: the rungs that ASHA compares."""
    with SearchStudy.open(workplace.run_folder(name).journal, read_only=True) as study:
        return [trial.system_attrs for trial in study._ledger.trials()]


def resume(workplace: Any, name: str, said: dict[str, Any]) -> list[TrialRecord]:
    """Resume a killed search to its end; return what its journal held before."""
    before: list[TrialRecord] = workplace.records(name)
    said[name] = workplace.run("search", "--name", name, "--resume", "--workers", "1")
    assert said[name].code == 0, said[name]
    return before


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """How commands beside the first one of a search ended, by name."""
    return {}


@pytest.fixture(scope="module")
def driver_killed(workplace: Any, said: dict[str, Any]) -> list[TrialRecord]:
    """The driver is killed between two trials; its worker lives on for a moment.

    While it starts up, and has no journal yet, a second driver tries to take the run.
    """
    command = workplace.start(*workplace.new_search("driver_killed", "--workers", "1"))
    command.wait_until(workplace.run_folder("driver_killed").path.is_dir)
    said["second"] = workplace.run("search", "--name", "driver_killed", "--resume")
    command.wait_until(workplace.has_finished("driver_killed", 1))
    command.kill()
    return resume(workplace, "driver_killed", said)


@pytest.fixture(scope="module")
def worker_killed(workplace: Any) -> list[TrialRecord]:
    """The worker is killed in the middle of a trial; the driver finds another one."""
    command = workplace.start(*workplace.new_search("worker_killed", "--workers", "1"))
    command.wait_until(workplace.has_evaluations("worker_killed", 2))
    command.kill_workers()
    before: list[TrialRecord] = workplace.records("worker_killed")
    ended = command.wait()
    assert (ended.code, ended.errors) == (0, ""), ended
    assert "raylet" not in ended.output  # a line of the search's own tells of it
    assert "goes on from its last checkpoint" in ended.output
    return before


@pytest.fixture(scope="module")
def both_killed(workplace: Any, said: dict[str, Any]) -> list[TrialRecord]:
    """Driver and worker are killed in the middle of a trial, and of a write to the journal."""
    command = workplace.start(*workplace.new_search("both_killed", "--workers", "1"))
    command.wait_until(workplace.has_evaluations("both_killed", 2))
    command.kill_all()
    with workplace.run_folder("both_killed").journal.open("ab") as journal:
        journal.write(b'{"op_code":8,"trial_id')
    return resume(workplace, "both_killed", said)


# `test_failures` kills a worker every time.
@pytest.fixture(
    params=[
        "driver_killed",
        "both_killed",
        pytest.param("worker_killed", marks=pytest.mark.thorough),
    ]
)
def killed(request: pytest.FixtureRequest, reference: Any) -> tuple[str, list[TrialRecord]]:
    """Name of a search that was killed and has ended, and its records at the kill."""
    return request.param, request.getfixturevalue(request.param)


def test_a_killed_search_ends_bit_for_bit_as_if_nothing_had_happened(
    workplace: Any, killed: tuple[str, list[TrialRecord]]
) -> None:
    name, _ = killed
    after, expected = workplace.records(name), workplace.records("reference")
    assert [outcome(r) for r in after] == [outcome(r) for r in expected]
    assert rungs(workplace, name) == rungs(workplace, "reference")


def test_a_killed_search_ends_with_the_same_best_model(
    workplace: Any, killed: tuple[str, list[TrialRecord]]
) -> None:
    found, expected = (
        {path.name: path.read_bytes() for path in workplace.run_folder(name).best.iterdir()}
        for name in (killed[0], "reference")
    )
    assert "model.safetensors" in found
    assert found == expected


def test_who_resumes_sees_that_a_half_written_line_was_removed(
    driver_killed: list[TrialRecord], both_killed: list[TrialRecord], said: dict[str, Any]
) -> None:
    assert "journal.log: the last write was cut off by a crash; removed 22 bytes" in (
        said["both_killed"].output
    )
    assert said["driver_killed"].output.count("cut off by a crash") == 0


def test_a_second_driver_is_refused_even_while_the_first_is_starting(
    driver_killed: list[TrialRecord], said: dict[str, Any]
) -> None:
    assert said["second"].code == 2
    assert "another rxtune search (pid " in said["second"].errors


def test_what_was_recorded_before_the_kill_is_not_trained_again(
    workplace: Any, killed: tuple[str, list[TrialRecord]]
) -> None:
    name, before = killed
    after = workplace.records(name)
    assert any(record.evaluations for record in before)
    for record in before:
        if record.state is TrialState.RUNNING:
            then = len(record.evaluations)
            assert after[record.number].evaluations[:then] == record.evaluations
        else:
            assert after[record.number] == record


def test_a_killed_search_leaves_no_more_on_disk_than_another(
    workplace: Any, killed: tuple[str, list[TrialRecord]]
) -> None:
    name, _ = killed
    assert list(workplace.run_folder(name).checkpoints.iterdir()) == []
    left = [
        {path.name for path in workplace.run_folder(n).path.iterdir()} for n in (name, "reference")
    ]
    assert left[0] == left[1]


def test_no_run_and_no_point_of_a_curve_is_doubled_in_mlflow(
    workplace: Any, killed: tuple[str, list[TrialRecord]]
) -> None:
    name, _ = killed
    client = workplace.mlflow()
    parent, runs = workplace.runs(name)
    records = workplace.records(name)
    assert parent.info.status == "FINISHED"
    assert [int(run.data.tags["rxtune.trial"]) for run in runs] == [r.number for r in records]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run, record in zip(runs, records, strict=True):
        for metric in ("dev_accuracy", "train_loss"):
            history = client.get_metric_history(run.info.run_id, metric)
            assert sorted(point.step for point in history) == [
                evaluation.updates for evaluation in record.evaluations
            ]
        ends = client.get_metric_history(run.info.run_id, "target_mean")
        assert len(ends) == (record.zero_shot is not None)
