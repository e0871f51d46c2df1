"""Daemon threads that write the newest work of every key and never raise."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

from mlflow.exceptions import MlflowException

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 30.0
MOST_PROBLEMS = 50
"""More than this many different problems are not kept."""

# What MLflow says when it refuses for good; all else may be the network, a lock or a restart.
_REFUSALS = frozenset(
    {
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "PERMISSION_DENIED",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
        "UNAUTHENTICATED",
    }
)

Work = TypeVar("Work")


class Writer(Generic[Work]):
    """Writes work in the background: one pending item per key, so a slow store costs no memory.

    Args:
        write: Does the work of one key; called from the threads, never from two for the same key,
            and again after a passing error.
        merge: Joins older and newer work of the same key into one.
        threads: How many keys are written at a time: one that waits for an answer holds up only
            its own.
    """

    def __init__(
        self,
        write: Callable[[str, Work], None],
        merge: Callable[[Work, Work], Work],
        threads: int = 1,
    ) -> None:
        self.problems: list[str] = []
        self._write = write
        self._merge = merge
        self._pending: dict[str, Work] = {}
        self._busy: set[str] = set()
        self._closes_at: float | None = None
        self._changed = Condition()
        self._threads = [
            Thread(target=self._run, name=f"rxtune-mlflow-writer-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, key: str, work: Work) -> None:
        """Add work to what is pending for `key`, and return at once."""
        with self._changed:
            older = self._pending.get(key)
            self._pending[key] = work if older is None else self._merge(older, work)
            self._changed.notify_all()

    def report(self, problem: str) -> None:
        """Keep one line about something that went wrong; the same line only once."""
        if problem not in self.problems and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def close(self, seconds: float) -> list[str]:
        """Write what is pending for at most `seconds`; return the keys left unwritten."""
        with self._changed:
            if self._closes_at is None:
                self._closes_at = time.monotonic() + seconds
            self._changed.notify_all()
            closes_at = self._closes_at
        for thread in self._threads:
            thread.join(max(0.0, closes_at - time.monotonic()))
        with self._changed:
            return [*self._busy, *(key for key in self._pending if key not in self._busy)]

    def _run(self) -> None:
        retry_seconds = 0.0
        while (item := self._next(retry_seconds)) is not None:
            key, work = item
            try:
                self._write(key, work)
            except Exception as error:
                retry_seconds = self._failed(key, work, error, retry_seconds)
            else:
                retry_seconds = 0.0
            with self._changed:
                self._busy.discard(key)
                self._changed.notify_all()  # another thread may wait for this very key

    def _next(self, retry_seconds: float) -> tuple[str, Work] | None:
        """Wait for work, and after an error for the time to retry; None when it is over."""
        with self._changed:
            self._pause(retry_seconds)
            while (key := self._first_free()) is None and not self._is_over():
                self._changed.wait()
            if key is None or self._is_too_late():
                return None
            self._busy.add(key)
            return key, self._pending.pop(key)

    def _first_free(self) -> str | None:
        return next((key for key in self._pending if key not in self._busy), None)

    def _is_over(self) -> bool:
        """Return whether nothing is left that this thread could write, now or later."""
        return self._closes_at is not None and (not self._pending or self._is_too_late())

    def _pause(self, seconds: float) -> None:
        retry_at = time.monotonic() + seconds
        while (now := time.monotonic()) < retry_at and not self._is_too_late():
            if self._closes_at is not None:
                # A search that has ended waits for us: try once a second from now on.
                retry_at = min(retry_at, now + 1.0, self._closes_at)
            self._changed.wait(max(retry_at - now, 0.0))

    def _is_too_late(self) -> bool:
        return self._closes_at is not None and time.monotonic() >= self._closes_at

    def _failed(self, key: str, work: Work, error: Exception, paused: float) -> float:
        """Note an error, keep the work if it may pass, and return the seconds to wait."""
        self.report(f"MLflow, {key}: {' '.join(str(error).split())[:300]}")
        if not _is_passing(error):
            return paused
        with self._changed:
            newer = self._pending.pop(key, None)
            # To the end of the line: one key that keeps failing must not hold up the others.
            self._pending[key] = work if newer is None else self._merge(work, newer)
        return min(max(FIRST_RETRY_SECONDS, 2 * paused), LAST_RETRY_SECONDS)


def _is_passing(error: Exception) -> bool:
    if isinstance(error, MlflowException):
        return error.error_code not in _REFUSALS
    return isinstance(error, OSError)
