"""A search whose checkpoints and models lie in a bucket, and what refuses one."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from rxtune.results import TrialRecord

pytestmark = pytest.mark.slow_end_to_end


def outcome(record: TrialRecord) -> Any:
    """Return all of a trial but its times."""
    values = [(e.updates, e.value, e.train_loss) for e in record.evaluations]
    return record.number, record.configuration, record.state, values, record.zero_shot


@pytest.fixture(scope="module")
def remote(workplace: Any, bucket: Any) -> Any:
    """The search `remote`: killed in its first trial, then resumed; what lay there in between."""
    storage = ["--storage", bucket.uri("searches")]
    command = workplace.start(*workplace.new_search("remote", "--workers", "1", *storage))
    command.wait_until(workplace.has_evaluations("remote", 2))
    command.wait_until(lambda: bucket.keys("searches/remote/trial-0000/checkpoint/"))
    command.kill()
    between = bucket.keys("searches/remote/")
    ended = workplace.run("search", "--name", "remote", "--resume", "--workers", "1", *storage)
    assert ended.code == 0, ended
    return between


def test_a_search_in_a_bucket_ends_as_one_on_this_machine(
    workplace: Any, reference: Any, remote: list[str]
) -> None:
    assert "searches/remote/trial-0000/checkpoint/checkpoint.safetensors" in remote
    here = [outcome(record) for record in workplace.records("reference")]
    assert [outcome(record) for record in workplace.records("remote")] == here


def test_the_best_model_comes_back_from_the_bucket(
    workplace: Any, reference: Any, remote: list[str]
) -> None:
    there, here = (workplace.run_folder(name).best for name in ("remote", "reference"))
    for name in ("rxtune.json", "model.safetensors"):
        assert (there / name).read_bytes() == (here / name).read_bytes()
    assert sorted(x.name for x in there.iterdir()) == sorted(x.name for x in here.iterdir())


def test_what_stays_in_the_bucket_is_what_another_machine_needs(
    workplace: Any, bucket: Any, remote: list[str]
) -> None:
    best = json.loads((workplace.run_folder("remote").best / "rxtune.json").read_text())["trial"]
    # Arrow leaves an empty object where a folder was.
    left = [key for key in bucket.keys("searches/remote/") if not key.endswith("/")]
    copy = [key for key in left if key.startswith("searches/remote/run/")]
    assert [key.rpartition("/")[2] for key in copy] == [
        "driver.json",
        "journal.log",
        "places.json",
        "study.yaml",
    ]
    model = f"searches/remote/trial-{best:04d}/model/"
    assert [key for key in left if key not in copy and not key.startswith(model)] == []
    assert f"{model}model.safetensors" in left


def test_nothing_of_rays_is_left(workplace: Any, remote: list[str]) -> None:
    folder = workplace.run_folder("remote").path
    assert sorted(path.name for path in folder.iterdir()) == [
        "best",
        "journal.log",
        "places.json",
        "study.yaml",
    ]


@pytest.fixture
def nowhere() -> Any:
    with socket.socket() as closed:  # bound, but not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        yield f"s3://b/x?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


def test_a_storage_that_is_not_there_is_refused_and_nothing_is_written(
    workplace: Any, bucket: Any, nowhere: str
) -> None:
    ended = workplace.run(*workplace.new_search("unstored", "--storage", nowhere))
    assert ended.code == 4, ended
    assert "must be writable, but is not (NETWORK_CONNECTION" in ended.errors
    assert not workplace.run_folder("unstored").path.exists()


def test_a_refusal_after_the_storage_was_tried_leaves_no_folder(
    workplace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rxtune import api
    from rxtune.errors import TrackingError
    from rxtune.search import tuner

    def refuse(*_: Any, **__: Any) -> None:
        raise TrackingError("MLflow has just gone")

    monkeypatch.chdir(workplace.folder)
    monkeypatch.setattr(tuner.Tracker, "open", refuse)
    options = api.SearchOptions(name="untold")
    study = api.read_study("space.yaml", options, {"model": str(workplace.encoder)})
    with pytest.raises(TrackingError, match="has just gone"):
        api.search(study, options)
    assert not workplace.run_folder("untold").path.exists()
