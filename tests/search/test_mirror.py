"""The copy of a run in its storage: another machine goes on from it, and only one writes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune import storage
from rxtune.errors import StudyError
from rxtune.search import mirror
from rxtune.search.mirror import Mirror, bring_back, require_unused
from rxtune.search.run_folder import RunFolder, RunPlaces


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "EVERY_SECONDS", 0.01)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "storage" / "first")


@pytest.fixture
def run(tmp_path: Path, place: str) -> RunFolder:
    return make_run(tmp_path / "head" / "runs", place)


def make_run(root: Path, place: str) -> RunFolder:
    folder = RunFolder.new(root, "first")
    folder.create(
        "task: babel\n",
        RunPlaces(search_id="first-1", tracking_uri="sqlite:////x/mlflow.db", storage=place),
    )
    folder.journal.write_text('{"seq":0}\n')
    return folder


def mirrored(folder: RunFolder, place: str, **options: Any) -> Mirror:
    return Mirror(folder, place, **{"on_takeover": pytest.fail, **options})


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.005)


def test_a_new_machine_gets_the_run_as_it_was(run: RunFolder, place: str, tmp_path: Path) -> None:
    copy = mirrored(run, place)
    with run.journal.open("a") as journal:
        journal.write('{"seq":1}\n')
    copy.close()
    other = RunFolder(tmp_path / "new-head" / "runs" / "first")
    assert bring_back(other, place)
    for name in ("journal.log", "places.json", "study.yaml"):
        assert (other.path / name).read_bytes() == (run.path / name).read_bytes()
    assert sorted(path.name for path in other.path.iterdir()) == [
        "journal.log",
        "places.json",
        "study.yaml",
    ]


def test_what_is_decided_is_copied_while_the_search_runs(run: RunFolder, place: str) -> None:
    copy = mirrored(run, place)
    there = Path(place, "run", "journal.log")
    wait_until(there.exists)
    with run.journal.open("a") as journal:
        journal.write('{"seq":1}\n')
    wait_until(lambda: there.read_bytes() == run.journal.read_bytes())
    copy.close()
    assert copy.problem is None


def test_a_bucket_serves_as_well(run: RunFolder, bucket: Any, tmp_path: Path) -> None:
    place = bucket.uri("searches/first")
    mirrored(run, place).close()
    assert "searches/first/run/journal.log" in bucket.keys("searches/first/")
    other = RunFolder(tmp_path / "new-head" / "runs" / "first")
    assert bring_back(other, place)
    assert other.journal.read_bytes() == run.journal.read_bytes()


def test_a_run_that_is_here_is_left_alone(run: RunFolder, place: str) -> None:
    mirrored(run, place).close()
    run.journal.write_text('{"seq":0}\n{"seq":1}\n')
    assert not bring_back(run, place)
    assert run.journal.read_text().count("\n") == 2


def test_without_a_copy_nothing_is_brought_back_nor_made(tmp_path: Path, place: str) -> None:
    other = RunFolder(tmp_path / "new-head" / "runs" / "first")
    assert not bring_back(other, place)
    assert not other.path.exists()


def test_half_a_copy_is_none(run: RunFolder, place: str, tmp_path: Path) -> None:
    mirrored(run, place).close()
    Path(place, "run", "journal.log").unlink()
    assert not bring_back(RunFolder(tmp_path / "new-head" / "runs" / "first"), place)


def test_a_storage_that_fails_for_a_while_delays_the_copy_only(
    run: RunFolder, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = storage.write_whole

    def fails(*_: Any) -> None:
        raise OSError("AWS Error SLOW_DOWN")

    monkeypatch.setattr(storage, "write_whole", fails)
    copy = mirrored(run, place)
    wait_until(lambda: copy.problem == "AWS Error SLOW_DOWN")
    monkeypatch.setattr(storage, "write_whole", works)
    wait_until(lambda: copy.problem is None)
    copy.close()
    assert Path(place, "run", "journal.log").read_bytes() == run.journal.read_bytes()


def test_a_storage_that_never_answers_does_not_hold_up_the_end(
    run: RunFolder, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from threading import Event

    forever = Event()
    monkeypatch.setattr(storage, "write_whole", lambda *_: forever.wait(60))
    copy = mirrored(run, place)
    copy.close(seconds=0.05)
    assert copy.problem == "no answer within 0.05 s"
    forever.set()


def test_a_driver_whose_search_was_taken_over_hears_of_it_and_writes_no_more(
    run: RunFolder, place: str, tmp_path: Path
) -> None:
    heard: list[str] = []
    old = mirrored(run, place, on_takeover=heard.append)
    there = Path(place, "run", "journal.log")
    wait_until(there.exists)
    other = RunFolder(tmp_path / "new-head" / "runs" / "first")
    bring_back(other, place)
    new = mirrored(other, place)
    wait_until(lambda: bool(heard))
    run.journal.write_text("of the old driver\n" * 9)
    old.close()
    new.close()
    assert there.read_bytes() == other.journal.read_bytes()
    assert len(heard) == 1


def test_a_new_search_does_not_overwrite_the_copy_of_another(run: RunFolder, place: str) -> None:
    require_unused("first", place)
    mirrored(run, place).close()
    with pytest.raises(StudyError, match=r"holds the search 'first' already; go on with it by"):
        require_unused("first", place)


def test_in_a_bucket_neither(run: RunFolder, bucket: Any) -> None:
    place = bucket.uri("searches/taken")
    require_unused("taken", place)
    mirrored(run, place).close()
    with pytest.raises(StudyError, match="holds the search 'taken' already"):
        require_unused("taken", place)
