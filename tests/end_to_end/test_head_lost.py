"""The machine that ran a search is gone; another one goes on from the copy in the storage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from rxtune.results import TrialRecord

pytestmark = pytest.mark.slow_end_to_end


def outcome(record: TrialRecord) -> Any:
    """Return all of a trial but its times."""
    values = [(e.updates, e.value, e.train_loss) for e in record.evaluations]
    return record.number, record.configuration, record.state, values, record.zero_shot


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def resumed(workplace: Any, storage: Path) -> Any:
    """The search `moved`: killed when a trial had ended, its folder gone, then resumed."""
    places = ["--workers", "1", "--storage", str(storage)]
    command = workplace.start(*workplace.new_search("moved", *places))
    copy = storage / "moved" / "run" / "journal.log"
    command.wait_until(lambda: copy.exists() and '"user_attr":{"zero_shot"' in copy.read_text())
    command.kill()
    shutil.rmtree(workplace.run_folder("moved").path)
    return workplace.run("search", "--name", "moved", "--resume", *places)


def test_it_ends_as_if_nothing_had_happened(workplace: Any, reference: Any, resumed: Any) -> None:
    assert resumed.code == 0, resumed
    here = [outcome(record) for record in workplace.records("reference")]
    assert [outcome(record) for record in workplace.records("moved")] == here


def test_it_says_where_the_run_came_from(resumed: Any, storage: Path) -> None:
    assert f"brought back from {storage}/moved/run" in " ".join(resumed.output.split())


def test_the_best_model_is_there(workplace: Any, reference: Any, resumed: Any) -> None:
    there, here = (workplace.run_folder(name).best for name in ("moved", "reference"))
    for name in ("rxtune.json", "model.safetensors"):
        assert (there / name).read_bytes() == (here / name).read_bytes()


def test_mlflow_has_every_trial_once(workplace: Any, resumed: Any) -> None:
    parent, trials = workplace.runs("moved")
    records = workplace.records("moved")
    assert [int(run.data.tags["rxtune.trial"]) for run in trials] == [r.number for r in records]
    assert parent.data.tags["state"] == "finished"


def test_a_run_that_is_nowhere_is_refused(workplace: Any, storage: Path) -> None:
    ended = workplace.run("search", "--name", "never", "--resume", "--storage", str(storage))
    assert ended.code == 2, ended
    assert "no run 'never'" in ended.errors


@pytest.mark.thorough
def test_a_driver_that_was_only_thought_lost_ends_when_another_goes_on(
    workplace: Any, storage: Path
) -> None:
    places = ["--workers", "1", "--storage", str(storage)]
    # More trials than it can run until the other one has started.
    old = workplace.start(*workplace.new_search("doubled", *places, "--trials", "200"))
    old.wait_until((storage / "doubled" / "run" / "journal.log").exists)
    old.wait_until(workplace.has_evaluations("doubled", 1))
    elsewhere = ["--name", "doubled", "--runs", "other-head"]
    new = workplace.start("search", *elsewhere, "--resume", *places)
    ended = old.wait()
    new.kill_all()
    assert ended.code == 4, ended
    assert "goes on with this search, as if this machine were lost" in ended.errors
    parent, _ = workplace.runs("doubled")
    assert parent.data.tags["state"] == "running"  # as the other one has left it


def test_a_new_search_of_the_same_name_is_refused(
    workplace: Any, resumed: Any, storage: Path
) -> None:
    places = ["--storage", str(storage), "--runs", "third-head"]
    ended = workplace.run(*workplace.new_search("moved", *places))
    assert ended.code == 2, ended
    assert "holds the search 'moved' already" in ended.errors
    assert not (workplace.folder / "third-head").exists()
