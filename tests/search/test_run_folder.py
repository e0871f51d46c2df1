"""The folder of a run: which names it may have, and that nothing is written too early."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.errors import StudyError
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder, RunPlaces, default_name, storage_of

PLACES = RunPlaces(search_id="rs-1", tracking_uri="sqlite:////x/mlflow.db", storage="s3://b/rs")


def make_run(root: Path, name: str) -> RunFolder:
    folder = RunFolder.new(root, name)
    folder.create("task: babel\n", PLACES)
    folder.journal.write_text("{}\n")
    return folder


@given(name=st.text(max_size=20))
def test_no_name_leaves_the_folder_of_all_runs(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "runs"
    try:
        folder = RunFolder.new(root, name)
    except StudyError:
        return
    assert folder.path.resolve().parent == root.resolve()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/tmp/x", ".hidden", "-x", "ä b"])
def test_a_name_that_is_no_plain_word_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match=r"--name: must be letters, digits.* stays inside"):
        RunFolder.new(tmp_path, name)


def test_asking_for_a_new_run_writes_nothing(tmp_path: Path) -> None:
    folder = RunFolder.new(tmp_path / "runs", "rs")
    assert not (tmp_path / "runs").exists()
    assert folder.path == tmp_path / "runs" / "rs"


def test_paths_are_absolute_because_workers_change_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.new(Path("runs"), "rs")
    assert folder.best == tmp_path / "runs" / "rs" / "best"
    assert folder.checkpoints.is_absolute()


def test_a_run_that_exists_is_refused_with_the_command_that_resumes_it(tmp_path: Path) -> None:
    make_run(tmp_path, "rs")
    with pytest.raises(StudyError, match=r"holds a search already.*--name rs --resume"):
        RunFolder.new(tmp_path, "rs")


def test_a_folder_without_a_journal_is_no_run_yet(tmp_path: Path) -> None:
    RunFolder.new(tmp_path, "rs").create("task: babel\n", PLACES)
    assert RunFolder.new(tmp_path, "rs").path.exists()
    with pytest.raises(StudyError, match="no run 'rs'"):
        RunFolder.existing(tmp_path, "rs")


def test_an_empty_journal_of_a_start_that_was_killed_is_no_search(tmp_path: Path) -> None:
    RunFolder.new(tmp_path, "rs").create("task: babel\n", PLACES)
    (tmp_path / "rs" / "journal.log").touch()
    folder = RunFolder.new(tmp_path, "rs")
    assert not folder.has_begun
    assert folder.left_id() == "rs-1"  # MLflow may have a run of that id


def test_a_start_that_left_nothing_has_no_id(tmp_path: Path) -> None:
    folder = RunFolder.new(tmp_path, "rs")
    assert folder.left_id() is None
    folder.create("", PLACES)
    (folder.path / "places.json").write_text('{"search_id": "rs')  # killed while writing
    assert folder.left_id() is None


@pytest.mark.parametrize("open_folder", [RunFolder.new, RunFolder.existing])
def test_a_run_that_another_driver_is_starting_is_refused_before_anything_is_written(
    tmp_path: Path, open_folder: Any
) -> None:
    with (
        RunFolder.new(tmp_path, "rs").held(),
        pytest.raises(StudyError, match=rf"another rxtune search \(pid {os.getpid()}\) is using"),
    ):
        open_folder(tmp_path, "rs")


def test_two_drivers_do_not_hold_one_run(tmp_path: Path) -> None:
    first, second = RunFolder.new(tmp_path, "rs"), RunFolder.new(tmp_path, "rs")
    with first.held():
        with pytest.raises(StudyError, match="another rxtune search"), second.held():
            pass
        assert first.path.exists()
    with second.held():
        pass


def test_a_start_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    folder = RunFolder.new(tmp_path / "runs", "rs")
    with pytest.raises(ZeroDivisionError), folder.held():
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_has_begun_stays_and_is_free_again(tmp_path: Path) -> None:
    folder = RunFolder.new(tmp_path, "rs")
    with folder.held():
        folder.create("", PLACES)
        folder.journal.write_text("a decision\n")
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "journal.log",
        "places.json",
        "study.yaml",
    ]
    with RunFolder.existing(tmp_path, "rs").held():
        pass


def test_a_search_that_is_refused_before_its_first_decision_leaves_nothing(tmp_path: Path) -> None:
    folder = RunFolder.new(tmp_path / "runs", "rs")
    with folder.held():
        folder.create("", PLACES)
    assert not (tmp_path / "runs").exists()
    assert RunFolder.new(tmp_path / "runs", "rs") == folder


def test_a_file_system_that_cannot_lock_folders_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", refuse)
    with RunFolder(tmp_path / "rs").held():
        pass


def test_an_unknown_run_is_refused_with_the_nearest(tmp_path: Path) -> None:
    make_run(tmp_path, "rs-1122")
    with pytest.raises(StudyError, match=r"no run 'rs-1123' in .*; did you mean 'rs-1122'"):
        RunFolder.existing(tmp_path, "rs-1123")


def test_an_unknown_run_is_refused_where_there_is_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match=r"no run 'rs' in .*; there is none; `rxtune search --name rs`"
    ):
        RunFolder.existing(tmp_path, "rs")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"must be writable.*is not a folder.*with --runs"):
        RunFolder.new(tmp_path / "file" / "runs", "rs")


def test_a_folder_that_turns_out_unwritable_is_refused(tmp_path: Path) -> None:
    folder = RunFolder.new(tmp_path, "rs")
    (tmp_path / "rs").touch()
    with pytest.raises(StudyError, match="must be writable"):
        folder.create("task: babel\n", PLACES)


def test_places_come_back_as_they_were_kept(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "rs")
    assert RunFolder.existing(tmp_path, "rs").places() == PLACES
    assert folder.study.read_text() == "task: babel\n"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"storage": "s3://b"},
        {"storage": "s3://b/"},
        {"tracking_uri": "sqlite:////x/mlflow.db"},
        {"tracking_uri": "sqlite:///mlflow.db"},
    ],
)
def test_a_run_goes_on_where_it_was_begun(
    asked: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = f"sqlite:///{tmp_path}/mlflow.db" if "///m" in str(asked) else PLACES.tracking_uri
    replace(PLACES, tracking_uri=store).require_same(SearchOptions(name="rs", **asked))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"storage": "s3://other"},
            "--storage: run 'rs' was begun with s3://b/rs and cannot go on with s3://other/rs;",
        ),
        (
            {"storage": "s3://b?region=r"},
            "--storage: run 'rs' was begun with s3://b/rs and cannot go on with s3://b/rs?region",
        ),
        (
            {"tracking_uri": "http://me:hidden@host:5000"},
            "--tracking-uri: run 'rs' was begun with sqlite:////x/mlflow.db and cannot go on with"
            " http://…@host:5000; leave the flag out",
        ),
    ],
)
def test_a_run_does_not_go_on_elsewhere(asked: dict[str, str], message: str) -> None:
    with pytest.raises(StudyError, match=re.escape(message)):
        PLACES.require_same(SearchOptions(name="rs", **asked))


def test_a_runs_own_place_in_a_storage_is_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage_of("kept", "rs") == str(tmp_path / "kept" / "rs")
    assert storage_of("s3://b/x?region=r", "rs") == "s3://b/x/rs?region=r"


@pytest.mark.parametrize("damage", ["", "[]", '{"storage": 1}', "no json"])
def test_damaged_places_are_refused_by_file(tmp_path: Path, damage: str) -> None:
    folder = make_run(tmp_path, "rs")
    (folder.path / "places.json").write_text(damage)
    with pytest.raises(StudyError, match=r"places\.json: must say where the run keeps"):
        folder.places()


@pytest.mark.parametrize("stem", ["rs", "my space!", "..", "", "ünïcode"])
def test_a_default_name_is_allowed_and_free(tmp_path: Path, stem: str) -> None:
    first = default_name(tmp_path, stem)
    make_run(tmp_path, first)
    second = default_name(tmp_path, stem)
    assert RunFolder.new(tmp_path, second).path != tmp_path / first
