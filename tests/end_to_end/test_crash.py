"""A driver that is killed loses nothing and repeats nothing."""

from __future__ import annotations

from typing import Any

import pytest

from rxtune.results import TrialRecord, TrialState

pytestmark = pytest.mark.slow_end_to_end


def outcome(record: TrialRecord) -> Any:
    """Return all of a trial but its times."""
    values = [
        (e.number, e.updates, e.value, e.accuracy, e.train_loss, e.forward_equivalents)
        for e in record.evaluations
    ]
    return record.number, record.configuration, record.state, values, record.zero_shot


@pytest.fixture(scope="module")
def killed(workplace: Any) -> Any:
    """The search `killed`: killed in its first trial, after its first trial, then left alone."""
    command = workplace.start(*workplace.new_search("killed", "--workers", "1"))
    command.wait_until(workplace.has_evaluations("killed", 2))
    command.kill()
    command = workplace.start("search", "--name", "killed", "--resume", "--workers", "1")
    command.wait_until(workplace.has_finished("killed", 1))
    command.kill()
    before = workplace.records("killed")
    ended = workplace.run("search", "--name", "killed", "--resume", "--workers", "1")
    assert ended.code == 0, ended
    return before


def test_a_killed_search_ends_bit_for_bit_as_if_nothing_had_happened(
    workplace: Any, reference: Any, killed: list[TrialRecord]
) -> None:
    after = workplace.records("killed")
    assert [outcome(r) for r in after] == [outcome(r) for r in workplace.records("reference")]


def test_what_was_finished_before_the_kill_is_not_trained_again(
    workplace: Any, killed: list[TrialRecord]
) -> None:
    finished = [record for record in killed if record.state is not TrialState.RUNNING]
    assert finished
    assert workplace.records("killed")[: len(finished)] == finished


def test_no_run_and_no_point_of_a_curve_is_doubled_in_mlflow(
    workplace: Any, killed: list[TrialRecord]
) -> None:
    client = workplace.mlflow()
    parent, runs = workplace.runs("killed")
    records = workplace.records("killed")
    assert parent.info.status == "FINISHED"
    assert [int(run.data.tags["rxtune.trial"]) for run in runs] == [r.number for r in records]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run, record in zip(runs, records, strict=True):
        for name in ("dev_accuracy", "train_loss"):
            history = client.get_metric_history(run.info.run_id, name)
            assert sorted(point.step for point in history) == [
                evaluation.updates for evaluation in record.evaluations
            ]
        ends = client.get_metric_history(run.info.run_id, "target_mean")
        assert len(ends) == (record.zero_shot is not None)
