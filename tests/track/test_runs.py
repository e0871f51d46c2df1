"""The runs of a search, however many pages MLflow gives them in."""

import pytest
from mlflow.tracking import MlflowClient

from rxtune.track import runs
from rxtune.track.runs import each_run, run_of_search


@pytest.fixture
def search(open_tracker, record, monkeypatch):
    tracker = open_tracker()
    for number in range(3):
        tracker.trial_started(record(number))
    tracker.close()
    monkeypatch.setattr(runs, "_PAGE", 2)  # a search has more trials than MLflow's 1,000 a page
    return tracker


@pytest.fixture
def client(database):
    return MlflowClient(f"sqlite:///{database}")


def test_all_pages_are_read(search, client):
    found = [*each_run(client, search.experiment_id, search.search_id)]
    trials = [run.data.tags["rxtune.trial"] for run in found if run.info.run_id != search.run_id]
    assert sorted(trials) == ["0", "1", "2"]
    assert len(found) == 4


def test_the_searchs_own_run_is_found_on_whatever_page_it_stands(search, client):
    found = run_of_search(client, search.experiment_id, search.search_id)
    assert found is not None
    assert found.info.run_id == search.run_id


def test_a_search_that_mlflow_does_not_have_is_none(search, client):
    assert run_of_search(client, search.experiment_id, "nobody") is None
