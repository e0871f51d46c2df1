"""One driver per run: locks that end with their process, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from rxtune.errors import StudyError

_PAUSES = (0.001, 0.01, 0.1)
"""Between attempts: to ask, a process holds a lock for some microseconds."""


def hold(descriptor: int, journal: Path, *, is_needed: bool = True) -> None:
    """Lock an open file or folder for this process, until it is closed or the process ends.

    Args:
        descriptor: Of what is locked.
        journal: Of the run, for the message; the process's id is kept beside it.
        is_needed: Whether it is an error if the file system has no such locks.

    Raises:
        StudyError: Another process has it, or it cannot be locked.
    """
    try:
        _lock(descriptor)
    except BlockingIOError as error:
        raise in_use(journal) from error
    except OSError as error:
        if not is_needed:
            return
        raise StudyError(
            f"{journal}: cannot be locked ({error.strerror}); use a folder on a local disk"
        ) from error
    with suppress(OSError):  # only the message of a second driver needs it
        pid_file(journal).write_text(str(os.getpid()))


def _lock(descriptor: int) -> None:
    """Lock it, also if somebody is just asking whether it is locked."""
    for pause in _PAUSES:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(folder: Path) -> bool:
    """Return whether another process holds a file or folder; it may be missing.

    What cannot be locked, nobody holds: some file systems lock files only, some nothing.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, so that two who ask at once do not take each other for a driver.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def in_use(journal: Path) -> StudyError:
    """Return the error that says who uses a run, and what to do."""
    return StudyError(
        f"another rxtune search{_owner(journal)} is using {journal}; wait for its end, stop it, "
        "or give this search a name of its own with --name"
    )


def pid_file(journal: Path) -> Path:
    """Return where the id of the process stands that uses a journal."""
    return journal.with_name(journal.name + ".pid")


def _owner(journal: Path) -> str:
    try:
        return f" (pid {int(pid_file(journal).read_text())})"
    except (OSError, ValueError):
        return ""
