"""The folder of a run: `runs/<name>/`, what lies in it, and when it may be used."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rxtune import storage
from rxtune.errors import StudyError
from rxtune.search.lock import hold, in_use, is_held, pid_file

if TYPE_CHECKING:
    from rxtune.search.options import SearchOptions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlaces:
    """Where a run keeps what lies outside its folder; decided at its start."""

    search_id: str
    """Tells this search from all others in MLflow."""
    tracking_uri: str
    storage: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What identified the content of the files and data sets that trials read, by name."""

    def require_same(self, options: SearchOptions) -> None:
        """Refuse to go on with a run elsewhere than where it was begun.

        Raises:
            StudyError: an option names another storage or MLflow store than the run's.
        """
        if options.storage is not None:
            asked = storage_of(options.storage, options.name)
            _require_same_place("--storage", options, asked, self.storage)
        if options.tracking_uri not in (None, self.tracking_uri):
            from rxtune.track import resolve_uri  # a second of imports, for those who need it

            asked = resolve_uri(options.tracking_uri)
            _require_same_place("--tracking-uri", options, asked, self.tracking_uri)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of a run; creates nothing until `create`."""

    path: Path

    @classmethod
    def new(cls, root: Path, name: str) -> Self:
        """Return the folder for a run that must not exist yet.

        Raises:
            StudyError: the name leaves the folder, is taken, or `root` cannot be written.
        """
        folder = cls.named(root, name)
        if folder.has_begun:
            raise StudyError(
                f"--name: {folder.path} holds a search already; continue it with"
                f" `rxtune search --name {name} --resume`, or choose another name"
            )
        folder.require_free()
        _require_writable(folder.path)
        return folder

    @classmethod
    def existing(cls, root: Path, name: str) -> Self:
        """Return the folder of a run that must exist.

        Raises:
            StudyError: there is no such run.
        """
        folder = cls.named(root, name)
        if not folder.journal.exists():
            folder.require_free()  # another driver may be about to make it
            raise StudyError(_no_such_run(root, name))
        return folder

    @classmethod
    def named(cls, root: Path, name: str) -> Self:
        """Return the folder that a run has, or would have.

        Raises:
            StudyError: the name leaves the folder.
        """
        if not _NAME.fullmatch(name):
            raise StudyError(
                f"--name: must be letters, digits, '.', '_' and '-', beginning with a letter or"
                f" digit, got {name!r}; a run stays inside {root}/"
            )
        return cls((root / name).absolute())

    @property
    def has_driver(self) -> bool:
        """Whether another process runs this search, or is starting it."""
        return is_held(self.path) or is_held(self.journal)  # network file systems lock files only

    def require_free(self) -> None:
        """Refuse a run that another driver has, or is about to start; takes no time.

        Raises:
            StudyError: there is one.
        """
        if self.has_driver:
            raise in_use(self.journal)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other drivers out: the journal, which is held as well, is made only later.

        Raises:
            StudyError: another driver has the run, or the folder cannot be made.
        """
        made = [path for path in (self.path, self.path.parent) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _not_writable(self.path, error) from error
        try:
            # Network file systems lock files, not folders; the journal is held in any case.
            hold(descriptor, self.journal, is_needed=False)
            try:
                yield
            finally:  # while it is still held: the next driver's pid and folder stay
                pid_file(self.journal).unlink(missing_ok=True)
                if made and not self.has_begun:  # refused at the last moment
                    self.study.unlink(missing_ok=True)
                    self.where.unlink(missing_ok=True)
                with suppress(OSError):  # not empty: the search has begun
                    for path in made:
                        path.rmdir()
        finally:
            os.close(descriptor)

    @property
    def has_begun(self) -> bool:
        """Whether there is a search to resume; a start that was killed leaves an empty journal."""
        return self.journal.exists() and self.journal.stat().st_size > 0

    @property
    def journal(self) -> Path:
        """The one source of truth."""
        return self.path / "journal.log"

    @property
    def study(self) -> Path:
        """The resolved study, for people; it can be given back to `rxtune search`."""
        return self.path / "study.yaml"

    @property
    def where(self) -> Path:
        """Where the run keeps the rest: what `places` reads."""
        return self.path / "places.json"

    @property
    def confirmation(self) -> Path:
        """The runs of `rxtune confirm`, one JSON line each."""
        return self.path / "confirm.jsonl"

    @property
    def predictions(self) -> Path:
        """The predictions of the runs of `rxtune confirm`, one Parquet file each."""
        return self.path / "predictions"

    @property
    def best(self) -> Path:
        """The best model, as `transformers` loads it."""
        return self.path / "best"

    @property
    def checkpoints(self) -> Path:
        """Where trials keep their state, unless `--storage` says otherwise."""
        return self.path / "checkpoints"

    @property
    def failures(self) -> Path:
        """Tracebacks of failed trials, one file each."""
        return self.path / "failures"

    def create(self, study_yaml: str, places: RunPlaces) -> None:
        """Make the folder with everything but the journal, which makes it a run.

        Raises:
            StudyError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.study.write_text(study_yaml, encoding="utf-8")
            self.where.write_text(json.dumps(asdict(places), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def places(self) -> RunPlaces:
        """Return where the run keeps the rest.

        Raises:
            StudyError: the file that says so is missing or damaged.
        """
        try:
            return RunPlaces(**json.loads(self.where.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StudyError(
                f"{self.where}: must say where the run keeps its results, but cannot be read"
                f" ({error}); restore the file from a backup or start a new search"
            ) from error

    def left_id(self) -> str | None:
        """Return the search's id if its start was killed: MLflow may know it already."""
        try:
            return self.places().search_id
        except StudyError:
            return None


def storage_of(place: str, name: str) -> str:
    """Return the run's own place in a storage, the same from any working directory."""
    return storage.join(storage.absolute(place), name)


def _require_same_place(flag: str, options: SearchOptions, asked: str, kept: str) -> None:
    if asked != kept:
        raise StudyError(
            f"{flag}: run {options.name!r} was begun with {storage.without_secrets(kept)} and"
            f" cannot go on with {storage.without_secrets(asked)}; leave the flag out, or start a"
            " new run with another --name"
        )


def default_name(root: Path, stem: str) -> str:
    """Return a free name made of the space file's stem and the date: `rs-1122-0931`."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "search"
    name = f"{base}-{time.strftime('%m%d-%H%M')}"
    taken, count = name, 1
    while (root / taken).exists():
        count += 1
        taken = f"{name}-{count}"
    return taken


def _no_such_run(root: Path, name: str) -> str:
    from rxtune.config import did_you_mean

    runs = sorted(path.parent.name for path in root.glob("*/journal.log"))
    hint = did_you_mean(name, runs) if runs else "there is none"
    return f"no run {name!r} in {root.absolute()}; {hint}; `rxtune search --name {name}` starts it"


def _require_writable(path: Path) -> None:
    """Refuse a place in which the folder could not be made, without making it."""
    parent = path
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise _not_writable(path, NotADirectoryError(f"{parent} is not a folder"))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _not_writable(path, PermissionError(f"no permission to write in {parent}"))


def _not_writable(path: Path, error: OSError) -> StudyError:
    return StudyError(
        f"{path}: the run's folder must be writable, but is not ({error}); change the"
        " permissions, free the disk, or choose another place with --runs"
    )
