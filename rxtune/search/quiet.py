"""What Ray would print into the search's own output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raylet_silenced() -> Iterator[None]:
    """Keep what Ray's daemons tell of dead workers and hosts off standard output.

    Ray prints it, six lines for every process that dies, even with `log_to_driver=False`. The
    search tells of each in one line of its own; Ray keeps the rest in the session's logs.
    """
    from ray._private import worker

    before = worker._worker_logs_enabled
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before
