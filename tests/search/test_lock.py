"""One driver per run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rxtune.errors import StudyError
from rxtune.search import lock
from rxtune.search.lock import hold, is_held


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
