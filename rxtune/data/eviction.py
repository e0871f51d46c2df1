"""What the token cache gives up: tables that nobody has used for long, and those above a size."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

LARGEST = 20_000_000_000
"""Bytes that the cache may hold, what was used today aside."""
SCRATCH = "making-"
"""Begins the name of a folder in which a table is being made."""
_DAY = 24 * 3600.0
_UNUSED = 30 * _DAY


def evict(folder: Path) -> None:
    """Delete what no search has used for 30 days, and the longest unused above `LARGEST`.

    Nothing of today goes: the search that runs would make it anew at its next start. Who has a
    deleted table mapped keeps it: the system frees its content when the last one lets go.

    Args:
        folder: of the cache. A table's time of change is when it was used last.
    """
    now = time.time()
    for path in folder.glob(f"{SCRATCH}*"):  # a process was killed at it
        if now - _used(path) > _DAY:
            shutil.rmtree(path, ignore_errors=True)
    total = 0
    for path in sorted(folder.glob("*.arrow"), key=_used, reverse=True):
        with suppress(OSError):  # another process was faster, or it is another user's
            total += path.stat().st_size
            unused = now - _used(path)
            if unused > _UNUSED or (total > LARGEST and unused > _DAY):
                path.unlink()


def mark_used(path: Path) -> None:
    """Note that a table is used now."""
    with suppress(OSError):  # in a folder that is only read nothing is evicted either
        os.utime(path)  # not touch(): it would make a file that has just gone


def _used(path: Path) -> float:
    """Return when a file was used last, in seconds; now if it has gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
