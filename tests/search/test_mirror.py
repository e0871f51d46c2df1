"""The copy of a run in its storage: another machine goes on from it, and only one writes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune import storage
from rxtune.api import train
from rxtune.errors import StudyError
from rxtune.search import mirror
from rxtune.search.mirror import Mirror, bring_back, require_unused
from rxtune.search.options import SearchOptions
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
    folder.journal.write_text(decision(0))
    return folder


def decision(number: int, by: str = "head") -> str:
    """Return a line of the journal that is a whole decision."""
    return f'{{"by":"{by}","seq":{number},"commit":true,"crc":"00000000"}}\n'


def decide(folder: RunFolder, number: int, by: str = "head") -> None:
    with folder.journal.open("a") as journal:
        journal.write(decision(number, by))


def mirrored(folder: RunFolder, place: str, **options: Any) -> Mirror:
    return Mirror(folder, place, **{"on_takeover": pytest.fail, **options})


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.005)


def test_a_new_machine_gets_the_run_as_it_was(run: RunFolder, place: str, tmp_path: Path) -> None:
    copy = mirrored(run, place)
    decide(run, 1)
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
    decide(run, 1)
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
    assert not bring_back(run, place)
    decide(run, 1)
    assert not bring_back(run, place)
    assert run.journal.read_text() == decision(0) + decision(1)


@pytest.fixture
def other(run: RunFolder, place: str, tmp_path: Path) -> RunFolder:
    """The run on another machine, which has gone on with it since the first was lost."""
    mirrored(run, place).close()
    folder = RunFolder(tmp_path / "new-head" / "runs" / "first")
    assert bring_back(folder, place)
    folder.study.write_text("task: babel\ntrials: 90\n")
    decide(folder, 1, by="new head")
    mirrored(folder, place).close()
    return folder


def names_in(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_a_machine_that_returns_goes_on_from_what_another_has_decided_since(
    run: RunFolder, place: str, other: RunFolder
) -> None:
    assert bring_back(run, place)
    assert run.journal.read_bytes() == other.journal.read_bytes()
    assert run.study.read_bytes() == other.study.read_bytes()
    assert names_in(run) == names_in(other)
    assert not bring_back(run, place)


def test_what_a_crash_cut_off_is_no_decision_of_its_own(
    run: RunFolder, place: str, other: RunFolder
) -> None:
    with run.journal.open("a") as journal:  # a group without its last line, and half a line
        journal.write('{"by":"head","seq":1}\n{"by":"he')
    assert bring_back(run, place)
    assert run.journal.read_bytes() == other.journal.read_bytes()


def test_a_copy_with_a_torn_end_is_not_newer(run: RunFolder, place: str) -> None:
    mirrored(run, place).close()
    with Path(place, "run", "journal.log").open("a") as journal:
        journal.write('{"by":"head","seq":1}\n{"by":"head","seq":2,"commit":true')
    assert not bring_back(run, place)


def test_two_machines_that_went_on_apart_are_refused_and_nothing_is_lost(
    run: RunFolder, place: str, other: RunFolder
) -> None:
    decide(run, 1)
    before = run.journal.read_bytes()
    with pytest.raises(
        StudyError,
        match=rf"{run.path} and its copy in {place}/run differ from line 2 .* move the other away",
    ):
        bring_back(run, place)
    assert run.journal.read_bytes() == before
    assert Path(place, "run", "journal.log").read_bytes() == other.journal.read_bytes()
    assert names_in(run) == names_in(other)


def test_a_search_of_the_same_name_that_was_begun_elsewhere_is_refused(
    run: RunFolder, place: str
) -> None:
    mirrored(run, place).close()
    run.journal.write_text(decision(0, by="another") + decision(1, by="another"))
    with pytest.raises(StudyError, match="differ from line 1 "):
        bring_back(run, place)


def test_a_copy_in_a_bucket_that_is_ahead_is_taken(run: RunFolder, bucket: Any) -> None:
    place = bucket.uri("searches/ahead")
    decide(run, 1)
    mirrored(run, place).close()
    newer = run.journal.read_bytes()
    run.journal.write_text(decision(0))
    assert bring_back(run, place)
    assert run.journal.read_bytes() == newer


# --- the verb


def resumed(folder: RunFolder, **options: Any) -> SearchOptions:
    root, name = folder.path.parent, folder.path.name
    return SearchOptions(name=name, root=root, resume=True, **options)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_resume_looks_for_a_newer_copy_where_the_run_was_begun(
    run: RunFolder, place: str, other: RunFolder, is_named: bool
) -> None:
    named = {"storage": str(Path(place).parent)} if is_named else {}
    assert train.bring_back(resumed(run, **named)) == f"{place}/run"
    assert run.journal.read_bytes() == other.journal.read_bytes()
    assert train.bring_back(resumed(run, **named)) is None


def test_a_folder_that_is_lost_is_brought_back_from_the_storage_that_is_named(
    run: RunFolder, place: str, tmp_path: Path
) -> None:
    mirrored(run, place).close()
    lost = RunFolder(tmp_path / "new-head" / "runs" / "first")
    assert train.bring_back(resumed(lost)) is None
    assert train.bring_back(resumed(lost, storage=str(Path(place).parent))) == f"{place}/run"


def test_another_storage_than_the_runs_is_not_asked(run: RunFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    decide(run, 1)
    mirrored(run, str(elsewhere / "first")).close()
    run.journal.write_text(decision(0))
    # Who goes on with it refuses the storage; until then nothing is replaced.
    assert train.bring_back(resumed(run, storage=str(elsewhere))) is None
    assert run.journal.read_text() == decision(0)


def test_a_run_that_keeps_all_in_its_folder_has_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "runs"
    run = make_run(root, str(root / "first" / "checkpoints"))
    monkeypatch.setattr(train, "require_writable", lambda place: pytest.fail("was asked"))
    assert train.bring_back(resumed(run)) is None


def test_a_run_that_is_running_here_is_not_replaced(run: RunFolder, other: RunFolder) -> None:
    with run.held(), pytest.raises(StudyError, match="another rxtune search"):
        train.bring_back(resumed(run))


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
