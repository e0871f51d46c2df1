"""The journal: an Optuna log file in which every decision is one durable write."""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from optuna.storages.journal import BaseJournalBackend

from rxtune.errors import RxtuneError, StudyError
from rxtune.search.lock import hold, pid_file

Log = dict[str, Any]
_SEAL_HEAD = len(b',"crc":"')
_SEAL_LENGTH = _SEAL_HEAD + len(b'12345678"}')


class JournalFile(BaseJournalBackend):
    """Append-only JSON lines, held by one process and written in whole groups.

    Every line carries its number as `"seq"` and a checksum as `"crc"`, a group's last line
    `"commit": true`. A group is written with one `write` and one `fsync`, so that after a crash a
    decision is there or is not; what follows the last commit is cut back on opening. Optuna's own
    `JournalFileBackend` and optuna-dashboard read the file (reading only: a line of theirs would
    be refused here).

    All use of a storage on this file by several threads goes through `lock` or `group`, which
    takes it: a thread that holds the storage's own lock must never wait for a group.

    Args:
        path: The file; made if it does not exist.
        sync: Makes what was written durable, given the file descriptor.
        read_only: Read up to the last commit and neither hold nor repair the file.

    Raises:
        StudyError: The file is in use, cannot be opened or is damaged before its end.
    """

    recovered: str | None = None
    """What was cut off on opening, in one line; None if the file ended with a commit."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: Callable[[int], None] = os.fsync,
        read_only: bool = False,
    ) -> None:
        self.path = Path(path)
        self.lock = threading.RLock()
        self._sync = sync
        self._owner: int | None = None  # thread that has a group open
        self._broken: str | None = None  # why nothing more can be written or read
        self._read_only = read_only
        self._descriptor = _open(self.path, read_only)
        try:
            if not read_only:
                hold(self._descriptor, self.path)
            self._load()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _load(self) -> None:
        content = _read(self._descriptor)
        scan = _scan(content, self.path)
        self._loaded: list[Log] | None = scan.logs  # until Optuna has read them
        self._committed = len(scan.logs)
        self._size = scan.size
        self._lines: list[bytes] = []  # of the open group, or of the last one
        self._first = self._committed  # number of the first of them
        if not content and not self._read_only:
            _sync_folder(self.path.parent, self._sync)
        torn = len(content) - scan.size
        if torn and not self._read_only:
            os.ftruncate(self._descriptor, scan.size)
            self._sync(self._descriptor)
            self.recovered = (
                f"{self.path}: the last write was cut off by a crash; removed {torn} bytes after "
                f"line {len(scan.logs)}, the end of the last complete decision"
            )

    @property
    def size(self) -> int:
        """Length of the committed part in bytes."""
        return self._size

    @property
    def is_usable(self) -> bool:
        """False after a failed write and after `close`: open the file anew."""
        return self._broken is None

    @contextmanager
    def group(self) -> Iterator[None]:
        """Write all that is appended inside as one; nothing if an exception leaves the block.

        After an exception a storage that has read the group's lines is ahead of the file: make a
        new one.

        Raises:
            RxtuneError: The group cannot be written (disk full); the file is as before the group.
        """
        with self.lock:
            assert self._owner is None, "a journal group is open already"
            self._check_usable()
            self._owner = threading.get_ident()
            self._lines, self._first = [], self._committed
            try:
                yield
                self._commit()
            finally:
                del self._lines[self._committed - self._first :]
                self._owner = None

    def append_logs(self, logs: list[Log]) -> None:
        """Add the lines to the open group, or write them as a group of their own."""
        if self._owner is None:
            with self.group():
                self.append_logs(logs)
            return
        assert self._owner == threading.get_ident(), "another thread has a journal group open"
        self._check_usable()
        for log in logs:
            number = self._first + len(self._lines)
            line = json.dumps({**log, "seq": number}, separators=(",", ":"))
            self._lines.append(line.encode() + b"\n")

    def read_logs(self, log_number_from: int) -> list[Log]:
        """Return the lines from that number on, those of the open group included."""
        self._check_usable()
        if log_number_from >= self._first:
            return [json.loads(line) for line in self._lines[log_number_from - self._first :]]
        # A storage reads everything once, when it is made; what it has read is its own to keep.
        early, self._loaded = self._loaded or self._read_again(), None
        fresh = self._lines[self._committed - self._first :]
        return [*early[log_number_from:], *map(json.loads, fresh)]

    def _read_again(self) -> list[Log]:
        """Return all that is committed from the file."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return _scan(_read(self._descriptor)[: self._size], self.path).logs

    def _commit(self) -> None:
        if not self._lines:
            return
        self._lines[-1] = self._lines[-1][:-2] + b',"commit":true}\n'
        self._lines = [_sealed(line) for line in self._lines]
        data = b"".join(self._lines)
        if os.fstat(self._descriptor).st_size != self._size:
            self._broken = (
                f"{self.path} was changed by another program while rxtune held it; "
                "nothing was written. End that program and resume the search"
            )
            self._check_usable()
        self._write(data)
        self._committed += len(self._lines)
        self._size += len(data)

    def _write(self, data: bytes) -> None:
        """Append `data` durably, or leave the file as it was."""
        try:
            while data:  # more than one round only where the disk fills up
                data = data[os.write(self._descriptor, data) :]
            self._sync(self._descriptor)
        except OSError as error:
            self._broken = (
                f"{self.path}: cannot write the search's journal ({error.strerror}). "
                f"The file still ends with decision line {self._committed}: make room, then resume"
            )
            self._undo()
            raise RxtuneError(self._broken) from error
        except BaseException:  # an interrupt between write and return: the group did not happen
            self._undo()
            raise

    def _undo(self) -> None:
        # If even this fails the torn tail stays, and the next opening cuts it.
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._size)
            self._sync(self._descriptor)

    def _check_usable(self) -> None:
        if self._broken is not None:
            raise RxtuneError(self._broken)

    def close(self) -> None:
        """Release the file; may be called twice."""
        with self.lock:
            if self._descriptor < 0:
                return
            if not self._read_only:
                pid_file(self.path).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1
            self._broken = self._broken or f"{self.path}: the journal is closed"


class _Scan(NamedTuple):
    logs: list[Log]
    """What the lines up to the last commit say."""
    size: int
    """Their length in bytes."""


def _scan(content: bytes, path: Path) -> _Scan:
    """Return the committed lines; whatever follows them is an unfinished last write.

    Raises:
        StudyError: A complete line is not the one that belongs there.
    """
    complete = content.split(b"\n")[:-1]
    logs: list[Log] = []
    committed = offset = size = groups = 0
    is_sealed = False
    for index, line in enumerate(complete):
        offset += len(line) + 1
        log = _parse(line)
        logs.append(log)
        if fault := _fault(log, index) or _broken_seal(line, must=is_sealed):
            advice = _advice(path, committed, groups)
            raise StudyError(
                f"{path}, line {index + 1}: {fault}. The journal is damaged; {advice}"
            )
        is_sealed = is_sealed or "crc" in log
        if log.get("commit") is True:
            committed, size, groups = index + 1, offset, groups + 1
    return _Scan(logs[:committed], size)


def _advice(path: Path, committed: int, groups: int) -> str:
    """Return what can be saved of a damaged journal, and how."""
    if not groups:
        return "nothing before that line can be saved: start a new search with another --name"
    kept = f"{path.name}.damaged"
    return (
        f"the {groups} decisions before it are whole. To go on from there, type in {path.parent}: "
        f"`mv {path.name} {kept} && head -n {committed} {kept} > {path.name}`, then resume; "
        "what came later is trained again"
    )


def _sealed(line: bytes) -> bytes:
    """Return a line with its checksum, in which a single wrong character shows."""
    content = line[: -len(b"}\n")]
    return content + _seal(content) + b"\n"


def _seal(content: bytes) -> bytes:
    """Return how a line ends whose beginning is this."""
    return b',"crc":"%08x"}' % zlib.crc32(content)


def _broken_seal(line: bytes, *, must: bool) -> str | None:
    """Return that a line is not what was written, or None; the first version had no checksums."""
    content, seal = line[:-_SEAL_LENGTH], line[-_SEAL_LENGTH:]
    right = _seal(content)
    if seal == right:
        return None
    if not (seal.startswith(right[:_SEAL_HEAD]) and seal.endswith(b'"}')):
        return "its checksum is missing" if must else None
    found, wanted = (one[_SEAL_HEAD:-2].decode(errors="replace") for one in (seal, right))
    return f"its checksum is {found} and must be {wanted}"


def _parse(line: bytes) -> Log:
    """Return the line's object, or an empty one if it holds none."""
    try:
        log = orjson.loads(line)  # three times as fast, but it knows no NaN
    except ValueError:
        try:
            log = json.loads(line)
        except ValueError:
            return {}
    return log if isinstance(log, dict) else {}


def _fault(log: Log, index: int) -> str | None:
    """Return what is wrong with line `index` (from 0), or None."""
    if not log:
        return "not a JSON object"
    if "seq" not in log or "op_code" not in log:
        return "not written by rxtune (it has no sequence number)"
    if not isinstance(log["seq"], int):
        return f"sequence number {log['seq']!r} where {index} must stand"
    if log["seq"] != index:
        kind = "lines before it are missing" if log["seq"] > index else "lines are repeated"
        return f"sequence number {log['seq']} where {index} must stand ({kind})"
    return None


def _open(path: Path, read_only: bool) -> int:
    flags = os.O_RDONLY if read_only else os.O_RDWR | os.O_CREAT | os.O_APPEND
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StudyError(f"{path}: cannot open the search's journal ({error.strerror})") from error


def _sync_folder(folder: Path, sync: Callable[[int], None]) -> None:
    """Make a new file's name durable; its content alone would not survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some network file systems cannot
        sync(descriptor)
    os.close(descriptor)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()
