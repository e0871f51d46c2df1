"""A search that writes to an MLflow server, which dies and comes back meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tests.tracking_server import TrackingServer

pytestmark = [pytest.mark.slow_end_to_end, pytest.mark.thorough]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    folder: Path = tmp_path_factory.mktemp("server")
    with TrackingServer(folder) as server:
        yield server


def runs_of(server: TrackingServer, workplace: Any, name: str) -> dict[str, Run]:
    """Return the runs of a search by number of trial, the parent as `search`; none is double."""
    client = MlflowClient(server.url)
    experiment = client.get_experiment_by_name("rxtune")
    wanted = f"tags.`rxtune.search_id` = '{workplace.run_folder(name).places().search_id}'"
    found = client.search_runs([experiment.experiment_id], wanted)
    by_trial = {run.data.tags.get("rxtune.trial", "search"): run for run in found}
    assert len(by_trial) == len(found)
    return by_trial


def curve(server: TrackingServer, run: Run) -> list[tuple[int, float]]:
    points = MlflowClient(server.url).get_metric_history(run.info.run_id, "dev_accuracy")
    return [(point.step, point.value) for point in points]


def assert_all_is_there(server: TrackingServer, workplace: Any, name: str) -> None:
    """Compare what the server shows with the journal, every point of every curve."""
    found, records = runs_of(server, workplace, name), workplace.records(name)
    assert found.pop("search").data.tags["state"] == "finished"
    assert sorted(map(int, found)) == [record.number for record in records]
    for record in records:
        run = found[str(record.number)]
        assert run.data.tags["state"] == record.state.value
        expected = [(e.updates, pytest.approx(e.value, abs=1e-6)) for e in record.evaluations]
        assert curve(server, run) == expected


def begin(server: TrackingServer, workplace: Any, name: str) -> Any:
    """Start a search, and return its command when a trial has finished and the server is dead."""
    uri = ["--tracking-uri", server.url]
    command = workplace.start(*workplace.new_search(name, "--workers", "1", *uri))
    command.wait_until(workplace.has_finished(name, 1))
    server.kill()
    return command


def test_a_server_that_is_killed_and_comes_back_misses_and_doubles_nothing(
    workplace: Any, server: TrackingServer
) -> None:
    command = begin(server, workplace, "outlived")
    command.wait_until(workplace.has_finished("outlived", 2))  # it goes on meanwhile
    server.start()
    ended = command.wait()
    assert ended.code == 0, ended
    assert_all_is_there(server, workplace, "outlived")


def test_what_a_dead_server_did_not_take_a_resume_writes_again_once(
    workplace: Any, server: TrackingServer
) -> None:
    ended = begin(server, workplace, "unheard").wait()
    assert ended.code == 0, ended
    assert "MLflow did not take everything" in ended.errors
    assert "nothing is lost: resume the search to write it again" in " ".join(ended.errors.split())
    server.start()
    again = workplace.run("search", "--name", "unheard", "--resume", "--workers", "1")
    assert again.code == 0, again
    assert_all_is_there(server, workplace, "unheard")
