"""The same search over HTTP: one real `mlflow server`, asked and written to as a user would."""

import json
import urllib.parse
import urllib.request

import pytest

from rxtune.results import Failure
from tests.tracking_server import TrackingServer

pytestmark = pytest.mark.slow_end_to_end


@pytest.fixture(scope="module")
def server(database, open_tracker):
    """Return the URL of a server on the room's database, started in the database's folder."""
    open_tracker().close()  # the driver makes the database; the server must not migrate it too
    with TrackingServer(database.parent) as server:
        yield server.url


def ask(url, path, body=None, **query):
    """Return the answer of one call of MLflow's REST interface."""
    address = f"{url}/api/2.0/mlflow/{path}?{urllib.parse.urlencode(query)}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def search(url, tracker):
    """Return parent and children of a search, tags and metrics as dicts."""
    found = f"tags.`rxtune.search_id` = '{tracker.search_id}'"
    body = {"experiment_ids": [tracker.experiment_id], "filter": found}
    runs = [run_of(run) for run in ask(url, "runs/search", body)["runs"]]
    parents = [run for run in runs if "rxtune.trial" not in run["tags"]]
    assert len(parents) == 1
    children = {int(r["tags"]["rxtune.trial"]): r for r in runs if r is not parents[0]}
    assert len(children) == len(runs) - 1
    return parents[0], children


def run_of(run):
    data = {
        kind: {item["key"]: item["value"] for item in run["data"].get(kind, ())}
        for kind in ("tags", "params", "metrics")
    }
    return {**run["info"], **data}


def history(url, run_id, key):
    points = ask(url, "metrics/get-history", run_id=run_id, metric_key=key)["metrics"]
    return [(point["step"], point["value"]) for point in points]


def read_artifact(url, run_id, path):
    query = urllib.parse.urlencode({"run_uuid": run_id, "path": path})
    with urllib.request.urlopen(f"{url}/get-artifact?{query}", timeout=20) as answer:
        return answer.read().decode()


def track_a_search(tracker, record, evaluation):
    tracker.start({"trials": "2"}, {"version.ray": "2.60"}, "space: {}\n", "# A search")
    tracker.trial_started(record(0))
    tracker.evaluated(0, evaluation(1, 0.41))
    tracker.evaluated(0, evaluation(2, 0.42))
    tracker.trial_ended(record(0, "finished", evaluations=2))
    tracker.trial_ended(record(1, "stopped", evaluations=1, reason="too low"))
    tracker.search_ended(
        "finished", metrics={"best": 0.42}, tags={}, description="# Done", artifacts={"a.md": "b"}
    )
    tracker.close()


@pytest.mark.parametrize("through", ["database", "server"])
def test_a_server_in_the_same_folder_shows_the_whole_search(
    through, server, open_tracker, record, evaluation
):
    uri = server if through == "server" else None
    tracker = open_tracker(f"shown-{through}", uri)
    track_a_search(tracker, record, evaluation)
    assert tracker.problems == []
    again = open_tracker(f"shown-{through}", uri)
    again.sync([record(0, "finished", evaluations=2), record(1, "stopped", evaluations=1)])
    again.close()
    assert again.problems == []
    parent, children = search(server, tracker)
    assert (parent["run_id"], parent["status"]) == (again.run_id, "FINISHED")
    assert parent["tags"]["mlflow.note.content"] == "# Done"
    assert read_artifact(server, parent["run_id"], "study.yaml") == "space: {}\n"
    assert {number: run["run_name"] for number, run in children.items()} == {
        0: "t00 rs_rp",
        1: "t01 rs_rp",
    }
    run_id = children[0]["run_id"]
    assert children[0]["tags"]["mlflow.parentRunId"] == parent["run_id"]
    assert children[0]["metrics"]["zero_shot/qag"] == 0.6
    assert history(server, run_id, "dev_accuracy") == [(100, 0.41), (200, 0.42)]
    assert len(history(server, run_id, "duration_seconds")) == 1


def test_an_interrupted_trial_runs_again_over_http(server, open_tracker, record):
    tracker = open_tracker("resumed-http", server)
    tracker.trial_ended(record(0, "failed", evaluations=1, failure=Failure.INTERRUPTED))
    tracker.close()
    assert search(server, tracker)[1][0]["status"] == "KILLED"
    again = open_tracker("resumed-http", server)
    again.trial_started(record(0, evaluations=1))
    again.close()
    assert again.problems == []
    child = search(server, tracker)[1][0]
    assert (child["status"], child["tags"].get("reason", "")) == ("RUNNING", "")
