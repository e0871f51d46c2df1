"""A copy of a run's journal in its storage, from which another machine can go on with it."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from rxtune import storage
from rxtune.errors import StudyError
from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    from pyarrow import fs

FOLDER = "run"
"""Where the copy lies, in the run's place of the storage, beside the folders of the trials."""
EVERY_SECONDS = 2.0
"""How often the journal is looked at; the decisions of this time are lost with the machine."""
SHARE = 0.1
"""Most of the time that is spent on copying: a slow storage is asked less often."""
CLOSE_SECONDS = 30.0
_DRIVER = "driver.json"

Mark = tuple[int, int]
"""Length and time of change of a file: tells a file that was copied from one that is newer."""


class Mirror:
    """Copies what a resume needs whenever it has changed; the search never waits for it.

    A storage that fails is tried again. Only one driver may write the copy: one whose search was
    taken over by another machine hears of it and stops.

    Args:
        folder: Of the run.
        place: The run's place in the storage, as its `places.json` says.
        on_takeover: Called once, from the mirror's thread, with the name of the machine that has
            taken the search over.
    """

    def __init__(
        self, folder: RunFolder, place: str, *, on_takeover: Callable[[str], None]
    ) -> None:
        self.problem: str | None = None
        """Why the copy is behind the journal, in one line; None: it is not."""
        self._files = [folder.where, folder.study, folder.journal]
        self._place = storage.join(place, FOLDER)
        self._on_takeover = on_takeover
        self._driver = uuid.uuid4().hex
        self._claimed = False
        self._copied: dict[Path, Mark] = {}
        self._closing = Event()
        self._thread = Thread(target=self._run, name="rxtune-mirror", daemon=True)
        self._thread.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Copy what is new, for at most `seconds`; `problem` says whether that was enough.

        May be called again, and then does nothing.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.problem = f"no answer within {seconds:g} s"

    def _run(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            if not self._try_to_copy():
                return
            spent = time.monotonic() - began
            self._closing.wait(max(EVERY_SECONDS, spent * (1 / SHARE - 1)))
        self._try_to_copy()

    def _try_to_copy(self) -> bool:
        """Copy what is new; return whether the search is still this driver's."""
        try:
            files, root = storage.open_place(self._place)
            if owner := self._other_driver(files, root):
                self._on_takeover(owner)
                return False
            for path in self._files:
                self._copy(files, root, path)
            self.problem = None
        except Exception as error:  # whatever it is, the search must not end by it
            self.problem = str(error).strip().partition("\n")[0] or type(error).__name__
        return True

    def _other_driver(self, files: fs.FileSystem, root: str) -> str | None:
        """Claim the copy at the first time; later return the machine that has claimed it since."""
        path = f"{root}/{_DRIVER}"
        if not self._claimed:
            me = {"driver": self._driver, "host": socket.gethostname(), "pid": os.getpid()}
            storage.write_whole(files, path, json.dumps(me).encode())
            self._claimed = True
            return None
        owner = json.loads(storage.read_whole(files, path))
        return None if owner["driver"] == self._driver else str(owner["host"])

    def _copy(self, files: fs.FileSystem, root: str, path: Path) -> None:
        """Copy a file that has changed. The journal only grows: what is torn is cut on opening."""
        with suppress(FileNotFoundError):  # the journal is made a little later
            mark = _mark(path)
            if self._copied.get(path) != mark:
                storage.write_whole(files, f"{root}/{path.name}", path.read_bytes())
                self._copied[path] = mark


def bring_back(folder: RunFolder, place: str) -> bool:
    """Make a run's folder of the copy in a storage, if that is ahead of it; return whether so.

    It is ahead of a folder that is lost, and of that of a machine which lost the search to another
    one: to go on from there would delete what the other has decided since. The journal comes last
    and by a rename: it makes the folder a run.

    Args:
        folder: Of the run, which may be missing.
        place: The run's place in the storage.

    Raises:
        StudyError: Both have decisions that the other lacks.
        OSError: The storage does not answer, or the folder cannot be written.
    """
    copy = _read_copy(folder, place)
    if copy is None or not _is_ahead(copy[folder.journal], folder, place):
        return False
    folder.path.mkdir(parents=True, exist_ok=True)
    for path, content in copy.items():
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_bytes(content)
        fresh.replace(path)
    return True


def _read_copy(folder: RunFolder, place: str) -> dict[Path, bytes] | None:
    """Return what the run's files are in the copy, the journal last; None: it is not whole."""
    from pyarrow import fs

    files, root = storage.open_place(storage.join(place, FOLDER))
    there = {path: f"{root}/{path.name}" for path in (folder.where, folder.study, folder.journal)}
    if any(info.type != fs.FileType.File for info in files.get_file_info([*there.values()])):
        return None
    return {path: storage.read_whole(files, source) for path, source in there.items()}


def _is_ahead(copied: bytes, folder: RunFolder, place: str) -> bool:
    """Return whether the copy's journal goes on where the folder's ends, if there is one.

    Raises:
        StudyError: Neither goes on where the other ends.
    """
    if not folder.has_begun:
        return True
    here, there = _decided(folder.journal.read_bytes()), _decided(copied)
    if there[: len(here)] == here:
        return len(there) > len(here)
    if here[: len(there)] == there:
        return False
    pairs = enumerate(zip(here, there, strict=False), 1)
    line = next(number for number, (ours, theirs) in pairs if ours != theirs)
    raise StudyError(
        f"--resume: {folder.path} and its copy in"
        f" {storage.without_secrets(storage.join(place, FOLDER))} differ from line {line} of"
        " journal.log on: two machines have gone on with the search. Choose which of them to keep,"
        " move the other away, then resume; what only that one has decided is lost"
    )


def _decided(journal: bytes) -> list[bytes]:
    """Return a journal's lines up to its last commit: what follows is cut on opening."""
    lines = journal.split(b"\n")[:-1]
    while lines and b'"commit":true' not in lines[-1]:
        lines.pop()
    return lines


def require_unused(name: str, place: str) -> None:
    """Refuse a place in a storage that holds another search's copy: its files would be lost.

    Args:
        name: Of the run that is to begin there.
        place: The run's place in the storage.

    Raises:
        StudyError: There is a copy.
    """
    from pyarrow import fs

    files, root = storage.open_place(storage.join(place, FOLDER, "journal.log"))
    if files.get_file_info(root).type == fs.FileType.File:
        raise StudyError(
            f"--name: {storage.without_secrets(place)} holds the search {name!r} already; go on"
            f" with it by `rxtune search --name {name} --resume --storage …`, or choose another"
            " name"
        )


def _mark(path: Path) -> Mark:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
