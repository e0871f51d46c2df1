"""One driver per run."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rxtune.errors import StudyError
from rxtune.search import lock
from rxtune.search.lock import hold, is_held
from rxtune.search.run_folder import RunFolder


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    found = os.open(tmp_path, os.O_RDONLY)
    yield found
    os.close(found)


def test_a_driver_starts_while_somebody_asks_whether_there_is_one(
    tmp_path: Path, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    monkeypatch.setattr(lock.time, "sleep", lambda _: fcntl.flock(asking, fcntl.LOCK_UN))
    hold(descriptor, tmp_path / "journal.log")
    assert is_held(tmp_path)
    os.close(asking)


def test_a_second_driver_is_refused(tmp_path: Path, descriptor: int) -> None:
    hold(descriptor, tmp_path / "journal.log")
    second = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(StudyError, match=rf"another rxtune search \(pid {os.getpid()}\) is using"):
        hold(second, tmp_path / "journal.log")
    os.close(second)


@pytest.fixture(params=[errno.EBADF, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK])
def refusal(request: pytest.FixtureRequest) -> OSError:
    """What a file system without locks says."""
    return OSError(request.param, os.strerror(request.param))


def test_what_cannot_be_locked_is_held_by_nobody(
    tmp_path: Path, refusal: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise refusal

    run = RunFolder(tmp_path)
    run.journal.touch()
    monkeypatch.setattr("fcntl.flock", refuse)
    assert not is_held(tmp_path)
    assert not run.has_driver
    run.require_free()


def test_a_driver_is_noticed_where_only_files_can_be_locked(
    tmp_path: Path, refusal: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def only_files(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise refusal
        flock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", only_files)
    run = RunFolder(tmp_path)
    with run.journal.open("w") as journal:
        assert not run.has_driver
        hold(journal.fileno(), run.journal)
        assert run.has_driver
    assert not run.has_driver
