"""The file of a confirmation: one JSON line per run, so that nothing is tested twice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Self

from rxtune.errors import RxtuneError, StudyError
from rxtune.results import ConfirmedRun


def file_stem(run: ConfirmedRun) -> str:
    """Return what names the files of a run: `trial-0007-seed-1234`."""
    if run.trial is not None:
        return f"trial-{run.trial:04d}-seed-{run.seed}"
    parameters = json.dumps(run.configuration.searched(), sort_keys=True)
    digest = hashlib.sha256(parameters.encode()).hexdigest()[:8]
    return f"{run.configuration.method}-{digest}-seed-{run.seed}"


def predictions_name(run: ConfirmedRun) -> str:
    """Return the name of the file with a run's predictions on the test split."""
    return f"test-{file_stem(run)}.parquet"


class ConfirmedRuns:
    """The runs of a confirmation on disk, held by one process; append only.

    A line is written with one `write` and one `fsync`; a crash leaves at most a torn last line,
    which opening cuts off.

    Args:
        path: The file; made if it does not exist.

    Raises:
        StudyError: Another process holds the file, it cannot be opened, or a line is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            raise StudyError(f"{path}: cannot be opened ({error.strerror})") from error
        try:
            self._hold()
            self.runs = self._read()
            """All runs in the order in which they ended."""
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def append(self, run: ConfirmedRun) -> None:
        """Keep a run for good.

        Raises:
            RxtuneError: It cannot be written (disk full); the file is as before.
        """
        line = json.dumps(run.to_json(), separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                raise OSError("the disk is full")
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise RxtuneError(
                f"{self._path}: cannot be written ({error}); what was there before is kept:"
                " make room, then type the same line again"
            ) from error
        self._size += len(line)
        self.runs.append(run)

    def _hold(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StudyError(
                f"{self._path}: another `rxtune confirm` is writing it ({error.strerror}); wait"
                " for its end or stop it"
            ) from error

    def _read(self) -> list[ConfirmedRun]:
        with open(self._descriptor, "rb", closefd=False) as file:
            content = file.read()
        self._size = content.rfind(b"\n") + 1
        if self._size < len(content):
            os.ftruncate(self._descriptor, self._size)
        lines = content[: self._size].splitlines()
        return [self._parse(line, number) for number, line in enumerate(lines, start=1)]

    def _parse(self, line: bytes, number: int) -> ConfirmedRun:
        try:
            return ConfirmedRun.from_json(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise StudyError(
                f"{self._path}, line {number}: not a confirmed run ({error!r}); delete the line to"
                " have that run repeated, or restore the file from a backup"
            ) from error
