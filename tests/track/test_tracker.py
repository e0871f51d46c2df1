"""One search in a real MLflow database: what is in it afterwards, and never twice."""

import threading
from collections import Counter
from concurrent.futures import thread as pools
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from rxtune.config.configuration import Configuration
from rxtune.errors import TrackingError
from rxtune.results import Failure
from rxtune.track import Tracker


@pytest.fixture
def client(database):
    return MlflowClient(f"sqlite:///{database}")


def children(client, tracker):
    runs = client.search_runs(
        [tracker.experiment_id], f"tags.`mlflow.parentRunId` = '{tracker.run_id}'"
    )
    assert len({run.data.tags["rxtune.trial"] for run in runs}) == len(runs)
    return {int(run.data.tags["rxtune.trial"]): run for run in runs}


def points(client, run_id):
    """Return how often each metric point stands in a run."""
    keys = client.get_run(run_id).data.metrics
    return Counter(
        (p.key, p.step, p.timestamp, p.value)
        for key in keys
        for p in client.get_metric_history(run_id, key)
    )


def finish(tracker, record, evaluation, number=0):
    tracker.trial_started(record(number))
    for n in (1, 2):
        tracker.evaluated(number, evaluation(n, (40 + n) / 100))
    tracker.trial_ended(record(number, "finished", evaluations=2))


def test_a_finished_trial_is_a_child_run_with_its_params_tags_and_times(
    open_tracker, client, record, evaluation
):
    tracker = open_tracker()
    finish(tracker, record, evaluation, number=7)
    tracker.close()
    assert tracker.problems == []
    run = children(client, tracker)[7]
    assert run.info.run_name == "t07 rs_rp"
    assert run.info.status == "FINISHED"
    assert run.info.start_time == 1_700_000_000_123
    assert run.info.end_time == 1_700_000_020_123
    assert run.data.params["sigma"] == "0.8"
    assert run.data.tags["absolute_sigma"] == "0.07123"
    assert run.data.params["radius"] == "0"  # a plot over several methods has every trial
    assert run.data.tags["state"] == "finished"
    assert run.data.tags["worst_language"] == "qaf"


def test_every_evaluation_is_a_point_at_its_updates(open_tracker, client, record, evaluation):
    tracker = open_tracker()
    finish(tracker, record, evaluation)
    tracker.close()
    run = children(client, tracker)[0]
    history = client.get_metric_history(run.info.run_id, "dev_accuracy")
    assert [(point.step, point.value) for point in history] == [(100, 0.41), (200, 0.42)]
    assert run.data.metrics["dev_accuracy/qaf"] == 0.42
    assert run.data.metrics["zero_shot/qag"] == 0.6
    assert run.data.metrics["held_out_mean"] == pytest.approx(0.65)
    assert run.data.metrics["target_mean"] == pytest.approx(0.6)
    assert run.data.metrics["duration_seconds"] == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        ("stopped", "too low at rung 0", "FINISHED"),
        ("failed", "loss not finite at step 12", "FAILED"),
        ("failed", "interrupted by Ctrl-C", "KILLED"),
    ],
)
def test_the_status_tells_a_stop_from_a_failure_from_an_interruption(
    open_tracker, client, record, state, reason, status
):
    tracker = open_tracker()
    failure = Failure.INTERRUPTED if status == "KILLED" else None
    tracker.trial_ended(record(1, state, evaluations=1, reason=reason, failure=failure))
    tracker.close()
    run = children(client, tracker)[1]
    assert run.info.status == status
    assert run.data.tags["reason"] == reason
    assert run.data.tags["state"] == ("interrupted" if status == "KILLED" else state)


def test_syncing_again_and_again_doubles_nothing(open_tracker, client, record, evaluation):
    tracker = open_tracker("synced")
    finish(tracker, record, evaluation)
    tracker.trial_ended(record(1, "stopped", evaluations=1))
    tracker.close()
    before = {n: points(client, r.info.run_id) for n, r in children(client, tracker).items()}
    records = [record(0, "finished", evaluations=2), record(1, "stopped", evaluations=1)]
    for _ in range(2):
        again = open_tracker("synced")
        assert again.run_id == tracker.run_id
        again.sync(records)
        again.sync(records)
        again.close()
        assert again.problems == []
    after = {n: points(client, r.info.run_id) for n, r in children(client, tracker).items()}
    assert after == before
    assert set(after[0].values()) == {1}


def test_what_a_lost_machine_had_sent_is_no_second_point_when_it_is_trained_again(
    open_tracker, client, record, evaluation
):
    lost = open_tracker("lost-head")
    lost.trial_started(record(0))
    lost.evaluated(0, evaluation(1))
    lost.evaluated(0, evaluation(2))
    lost.close()
    found = open_tracker("lost-head")
    found.sync([record(0, evaluations=1)])  # the second had not reached the copy of the journal
    for number in (2, 3):
        again = evaluation(number)
        found.evaluated(0, replace(again, time=again.time + 100.0))
    found.close()
    run = children(client, found)[0]
    history = client.get_metric_history(run.info.run_id, "dev_accuracy")
    assert [point.step for point in history] == [100, 200, 300]


def test_a_sync_supplies_what_an_earlier_session_did_not_write(open_tracker, client, record):
    tracker = open_tracker("cut")
    tracker.trial_started(record(0))
    tracker.close()
    again = open_tracker("cut")
    again.sync([record(0, "finished", evaluations=2), record(1, evaluations=1)])
    again.close()
    runs = children(client, tracker)
    assert runs[0].info.status == "FINISHED"
    assert len(client.get_metric_history(runs[0].info.run_id, "dev_accuracy")) == 2
    assert runs[1].info.status == "RUNNING"


def test_an_interrupted_trial_runs_again_in_the_same_child(
    open_tracker, client, record, evaluation
):
    tracker = open_tracker("resumed")
    tracker.trial_ended(record(0, "failed", evaluations=1, failure=Failure.INTERRUPTED))
    tracker.search_ended("interrupted", metrics={}, tags={}, description="", artifacts={})
    tracker.close()
    assert client.get_run(tracker.run_id).info.status == "KILLED"
    again = open_tracker("resumed")
    again.start({}, {}, "", "")
    again.trial_started(record(0, evaluations=1))
    again.close()
    run = children(client, tracker)[0]
    assert (run.info.status, run.data.tags["reason"]) == ("RUNNING", "")
    assert client.get_run(tracker.run_id).info.status == "RUNNING"
    final = open_tracker("resumed")
    final.trial_ended(record(0, "finished", evaluations=2))
    final.close()
    run = children(client, tracker)[0]
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "duration_seconds")) == 1


def test_a_second_report_of_one_evaluation_is_dropped(open_tracker, client, record, evaluation):
    tracker = open_tracker()
    tracker.trial_started(record(0, evaluations=1))
    tracker.evaluated(0, evaluation(1, 0.99))
    tracker.close()
    run = children(client, tracker)[0]
    assert [p.value for p in client.get_metric_history(run.info.run_id, "dev_accuracy")] == [0.41]


def test_the_parent_holds_study_versions_and_winner(open_tracker, client, tmp_path):
    tracker = open_tracker()
    tracker.start({"trials": "24"}, {"version.ray": "2.60"}, "space: {}\n", "# A search")
    tracker.search_ended(
        "finished",
        metrics={"best_held_out_mean": 0.65, "nothing": float("nan")},
        tags={"best_sigma": "0.8"},
        description="# Its result",
        artifacts={"summary.md": "| a |"},
    )
    tracker.close()
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"trials": "24"}
    assert run.data.metrics == {"best_held_out_mean": 0.65}
    assert run.data.tags["mlflow.note.content"] == "# Its result"
    assert run.data.tags["best_sigma"] == "0.8"
    path = client.download_artifacts(tracker.run_id, "study.yaml", str(tmp_path))
    assert Path(path).read_text() == "space: {}\n"
    assert {item.path for item in client.list_artifacts(tracker.run_id)} == {
        "study.yaml",
        "summary.md",
    }


def test_a_start_leaves_no_thread_that_the_interpreter_waits_for(open_tracker, monkeypatch):
    found = []
    log_text = MlflowClient.log_text

    def note_thread(*arguments):
        found.append(threading.current_thread())
        return log_text(*arguments)

    monkeypatch.setattr(MlflowClient, "log_text", note_thread)
    tracker = open_tracker()
    tracker.start({}, {}, "space: {}\n", "")
    tracker.close()
    (beside,) = found
    assert beside.daemon
    assert beside not in pools._threads_queues  # joined at exit, daemon or not


def test_a_study_that_cannot_be_written_is_refused_at_the_start(open_tracker, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(MlflowClient, "log_text", refuse)
    tracker = open_tracker()
    with pytest.raises(TrackingError, match="Permission denied; start the server"):
        tracker.start({}, {}, "space: {}\n", "")
    tracker.close()


def test_ending_a_search_twice_adds_a_point_only_where_the_winner_changed(open_tracker, client):
    for best in (0.6, 0.6, 0.7):
        tracker = open_tracker("grown")
        tracker.start({"trials": "24" if best == 0.6 else "48"}, {}, "", "")
        tracker.search_ended(
            "finished", metrics={"best": best}, tags={}, description="", artifacts={}
        )
        tracker.close()
    assert sorted(p.value for p in client.get_metric_history(tracker.run_id, "best")) == [0.6, 0.7]
    run = client.get_run(tracker.run_id)
    assert run.data.metrics["best"] == 0.7
    assert (run.data.params["trials"], run.data.tags["resumed.trials"]) == ("24", "48")


def test_a_run_deleted_in_the_ui_is_a_problem_and_stops_nothing(
    open_tracker, client, record, evaluation
):
    tracker = open_tracker("deleted")
    tracker.trial_started(record(0))
    tracker.close()
    again = open_tracker("deleted")
    client.delete_run(children(client, tracker)[0].info.run_id)
    again.trial_ended(record(0, "finished", evaluations=2))
    again.trial_ended(record(1, "finished", evaluations=2))
    again.close()
    assert len(again.problems) == 1
    assert "trial 0" in again.problems[0]
    assert "active" in again.problems[0]
    assert children(client, tracker)[1].info.status == "FINISHED"


def test_an_evaluation_of_an_unknown_trial_is_a_problem(open_tracker, evaluation):
    tracker = open_tracker()
    tracker.evaluated(3, evaluation(1))
    tracker.close()
    assert tracker.problems == ["MLflow, trial 3: was evaluated before it started"]


def test_a_create_whose_answer_was_lost_does_not_make_a_second_run(
    open_tracker, client, record, monkeypatch
):
    create = MlflowClient.create_run
    answers = iter([MlflowException("connection reset")])

    def lose_the_first_answer(*arguments, **named):
        run = create(*arguments, **named)
        for error in answers:
            raise error
        return run

    tracker = open_tracker()
    monkeypatch.setattr(MlflowClient, "create_run", lose_the_first_answer)
    tracker.trial_ended(record(0, "finished", evaluations=1))
    tracker.close()
    assert tracker.problems == ["MLflow, trial 0: connection reset"]
    assert children(client, tracker)[0].info.status == "FINISHED"


def test_trials_of_two_searches_never_mix(open_tracker, client, record):
    trackers = [open_tracker(), open_tracker()]
    for tracker in trackers:
        tracker.trial_ended(record(0, "stopped", evaluations=1))
        tracker.close()
    runs = [children(client, tracker)[0].info.run_id for tracker in trackers]
    assert runs[0] != runs[1]


def test_a_baseline_says_so_and_has_few_parameters(open_tracker, client, record):
    tracker = open_tracker()
    tracker.trial_started(record(0, configuration=Configuration(), is_baseline=True, absolute={}))
    tracker.close()
    run = children(client, tracker)[0]
    assert run.data.tags["baseline"] == "true"
    none = {"sigma": "0", "radius": "0", "pgd_steps": "0"}
    assert run.data.params == {"method": "standard", "learning_rate": "1", **none}


def test_opening_and_starting_prints_nothing(tmp_path, capfd):
    new = f"sqlite:///{tmp_path}/new.db"
    tracker = Tracker.open(new, experiment="quiet", run_name="rs", search_id="quiet")
    tracker.start({}, {}, "space: {}\n", "")
    tracker.search_ended("finished", metrics={}, tags={}, description="", artifacts={"a": "b"})
    tracker.close()
    assert tracker.problems == []
    assert capfd.readouterr() == ("", "")


def test_artifacts_lie_beside_the_database_at_an_absolute_place(open_tracker, client, database):
    tracker = open_tracker()
    tracker.close()
    experiment = client.get_experiment(tracker.experiment_id)
    assert experiment.artifact_location == (database.parent / "mlartifacts" / "babel").as_uri()
    assert client.search_experiments(view_type=ViewType.DELETED_ONLY) == []
