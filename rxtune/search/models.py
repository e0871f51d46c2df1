"""What trials leave on disk, and the few models that stay."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from pyarrow import fs

from rxtune import storage
from rxtune.search.disk import DiskMeter

MARKER = "rxtune.json"
"""File beside a kept model that says which trial it is."""
_TRIAL = re.compile(r"trial-(\d+)")
_OURS = re.compile(r"trial-\d+(\.new|\.old)?")
"""What this module makes in `models/`; all else in there is the user's."""


class ModelStore:
    """The folders of the trials in the storage, and the kept models in the run's folder.

    The winner lies in `best/`, the others that are kept in `models/trial-0007/`. A model reaches
    these names by a rename, when it is whole, and leaves its trial's folder only so or after that;
    whatever a crash cut off in between, the next `retain` puts right.

    Args:
        place: Path or URI of the storage, in which trials have their folders.
        best: Folder of the winner's model, in the run's folder.
        keep: How many models stay.
    """

    def __init__(self, place: str, best: Path, keep: int = 1) -> None:
        self.place = place
        self.best = best
        self.keep = keep
        self.owed: dict[int, str] = {}
        """Trials whose models are to be kept and were not got from the storage yet, with why."""
        self._left_out: set[int] = set()
        self._meter = DiskMeter(best.parent, place)

    @cached_property
    def _opened(self) -> tuple[fs.FileSystem, str]:
        return storage.open_place(self.place)

    @property
    def _others(self) -> Path:
        return self.best.with_name("models")

    def folder(self, number: int) -> str:
        """Return the path or URI under which a trial keeps its checkpoint and model."""
        return storage.join(self.place, _name(number))

    @contextmanager
    def ray_folder(self) -> Iterator[str]:
        """Lend Ray Tune the folder that it insists on; nothing in it is ever read.

        On this machine even when trials run on others: Ray looks for it on a worker only when that
        hands over a checkpoint of Ray's own kind, and ours never does.
        """
        folder = self.best.with_name("ray")
        shutil.rmtree(folder, ignore_errors=True)  # of a driver that was killed
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def has_model(self, number: int) -> bool:
        """Return whether a trial's model still lies in the storage, whole."""
        from rxtune.train.predictions import FILE_NAME

        files, root = self._opened
        last_written = f"{root}/{_name(number)}/model/{FILE_NAME}"
        return bool(files.get_file_info(last_written).type == fs.FileType.File)

    def forget(self, number: int) -> None:
        """Delete what an ended trial left in the storage.

        In a storage elsewhere a model that is kept stays: the run's folder may be lost with its
        machine.
        """
        files, root = self._opened
        folder = f"{root}/{_name(number)}"
        # A worker that was cut off may still write: what it leaves, the next resume deletes.
        stays = self.kept | self.owed.keys()
        with suppress(OSError):
            if not (self._is_elsewhere and number in stays and self.has_model(number)):
                storage.delete_folder(files, folder)
                return
            for info in files.get_file_info(fs.FileSelector(folder, allow_not_found=True)):
                if info.base_name != "model":
                    storage.delete_folder(files, info.path)

    def adopt(self, old: int, new: int) -> None:
        """Hand what an interrupted trial has left to the one that goes on with it.

        Without it the new one trains from the start, to the same weights: so it does if the
        storage fails.
        """
        with suppress(OSError):
            self._adopt(old, new)

    def _adopt(self, old: int, new: int) -> None:
        files, root = self._opened
        source, target = f"{root}/{_name(old)}", f"{root}/{_name(new)}"
        if files.get_file_info(source).type != fs.FileType.Directory:
            return
        if isinstance(files, fs.LocalFileSystem):
            shutil.rmtree(target, ignore_errors=True)
            Path(source).rename(target)
            return
        below = fs.FileSelector(source, recursive=True)
        for info in files.get_file_info(below):
            if info.type == fs.FileType.File:
                copy = target + info.path.lstrip("/").removeprefix(source.lstrip("/"))
                storage.make_folder(files, copy.rpartition("/")[0])
                files.copy_file(info.path, copy)
        storage.delete_folder(files, source)

    def forget_others(self, unfinished: Collection[int]) -> None:
        """Delete what all trials but these left in the storage; for a resume."""
        files, root = self._opened
        found_there: list[fs.FileInfo] = []
        with suppress(OSError):  # the next resume deletes it
            found_there = files.get_file_info(fs.FileSelector(root, allow_not_found=True))
        for info in found_there:
            found = _TRIAL.fullmatch(info.base_name)
            if found and int(found[1]) not in unfinished:
                self.forget(int(found[1]))

    def tidy(self) -> None:
        """Delete the run's folder in a storage elsewhere, if no trial has left anything in it."""
        files, root = self._opened
        if self._is_elsewhere:
            with suppress(OSError):  # no result is lost for an empty folder
                storage.delete_if_empty(files, root)

    def leave_out(self, number: int) -> None:
        """Note that a trial's model is nowhere: the next best takes its place."""
        self._left_out.add(number)

    def retain(self, ranking: Sequence[int], tokenizer_folder: Path) -> None:
        """Keep the models of the best trials, and delete all other kept ones.

        May be called at any time, and again after a crash. A model that is nowhere (it was not
        saved, or was deleted when fewer were kept, or by hand) is left out, and the next best
        takes its place. One that a storage elsewhere does not give is `owed`: the next call asks
        again.

        Args:
            ranking: Numbers of all finished trials, the best first.
            tokenizer_folder: Whose tokenizer goes with each model.

        Raises:
            DiskFullError: there is no room for a model; all that were kept still are.
            OSError: the run's folder cannot be written.
        """
        wanted = self._bring_best(ranking, tokenizer_folder)
        if best := [number for number in wanted if number in self.kept]:
            self._crown(best[0])
        self._meter.see_all(*self._opened)
        self._discard_all_but(wanted)

    @property
    def crowned(self) -> int | None:
        """The number of the trial whose model is in `best/`, or None."""
        try:
            return int(json.loads((self.best / MARKER).read_text())["trial"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def kept(self) -> set[int]:
        """The numbers of the trials whose models are in the run's folder."""
        found = {int(match[1]) for path in self._ours() if (match := _TRIAL.fullmatch(path.name))}
        return found if self.crowned is None else found | {self.crowned}

    def kept_folder(self, number: int) -> Path | None:
        """Return where a trial's model lies in the run's folder, or None if it was not kept."""
        if self.crowned == number:
            return self.best
        return self._others / _name(number) if number in self.kept else None

    def measure(self, number: int, held: int | None) -> None:
        """Note how much the search holds on disk now; cheap enough for every report of a trial.

        Args:
            number: The trial.
            held: The most that its folder held since its last report, in bytes, if it lies on a
                disk: a worker writes a checkpoint beside the last one and then deletes that.
        """
        self._meter.see(_name(number), held)

    @property
    def disk_peak(self) -> int:
        """The most bytes seen on disk, of this run's folder and its storage together."""
        return self._meter.peak

    def _bring_best(self, ranking: Sequence[int], tokenizer_folder: Path) -> list[int]:
        """Get the best models that are anywhere; return whose are kept or owed, the best first."""
        wanted: list[int] = []
        for number in ranking:
            if len(wanted) >= self.keep:
                break
            if number in self._left_out:
                continue
            if number not in self.kept:
                self._get(number, tokenizer_folder)
            if number not in self._left_out:
                wanted.append(number)
        return wanted

    def _get(self, number: int, tokenizer_folder: Path) -> None:
        """Bring a model, or leave it out; it is owed if a storage elsewhere does not give it."""
        try:
            if self.has_model(number):
                self._bring(number, tokenizer_folder)
            else:
                self.leave_out(number)
        except OSError as error:
            if not self._is_elsewhere:
                raise
            self.owed[number] = str(error).strip().partition("\n")[0]
        else:
            self.owed.pop(number, None)

    def _bring(self, number: int, tokenizer_folder: Path) -> None:
        """Move a trial's model into `models/`, under its name only when it is whole."""
        target = self._others / _name(number)
        files, root = self._opened
        source = f"{root}/{_name(number)}/model"
        with storage.telling_of_full_disk(
            str(target), "a model", storage.bytes_below(files, source)
        ):
            self._others.mkdir(exist_ok=True)
            if not self._is_elsewhere:
                _complete(Path(source), number, tokenizer_folder)
                if _renamed(Path(source), target):
                    return
            _copy(files, source, target, number, tokenizer_folder)

    def _crown(self, number: int) -> None:
        """Make a kept model the one in `best/`; the old one goes to `models/` first."""
        chosen = self._others / _name(number)
        if self.crowned == number or not chosen.exists():
            return
        if self.best.exists():
            old = self.crowned
            aside = self.best.with_name("best.old") if old is None else self._others / _name(old)
            shutil.rmtree(aside, ignore_errors=True)
            self.best.rename(aside)
        chosen.rename(self.best)

    def _discard_all_but(self, wanted: Collection[int]) -> None:
        """Delete models that are not wanted, and what a crash left half done."""
        crowned = self.crowned
        stays = {_name(number) for number in wanted if number != crowned}
        for path in self._ours():
            if path.name not in stays:
                _discard(path)
                self._forget_copy(path.name)
        for number in self.owed.keys() - set(wanted):
            del self.owed[number]
            self._forget_copy(_name(number))
        for name in ("best.new", "best.old"):
            shutil.rmtree(self.best.with_name(name), ignore_errors=True)
        with suppress(OSError):  # not there, or not empty
            self._others.rmdir()

    def _forget_copy(self, name: str) -> None:
        """Delete the model of a trial that is not kept any more from a storage elsewhere."""
        if _TRIAL.fullmatch(name) and self._is_elsewhere:
            files, root = self._opened
            with suppress(OSError):
                storage.delete_folder(files, f"{root}/{name}/model")
                storage.delete_if_empty(files, f"{root}/{name}")

    @property
    def _is_elsewhere(self) -> bool:
        return self.best.parent not in Path(self._opened[1]).parents

    def _ours(self) -> list[Path]:
        found = self._others.iterdir() if self._others.is_dir() else ()
        return [path for path in found if _OURS.fullmatch(path.name)]


def _name(number: int) -> str:
    return f"trial-{number:04d}"


def _renamed(source: Path, target: Path) -> bool:
    """Move a folder without copying it; return whether both places are on one file system."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _copy(
    files: fs.FileSystem, source: str, target: Path, number: int, tokenizer_folder: Path
) -> None:
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir()
        fs.copy_files(
            source,
            str(fresh),
            source_filesystem=files,
            destination_filesystem=fs.LocalFileSystem(),
        )
        _complete(fresh, number, tokenizer_folder)
    except Exception:
        shutil.rmtree(fresh, ignore_errors=True)  # half a model takes room
        raise
    fresh.rename(target)


def _complete(folder: Path, number: int, tokenizer_folder: Path) -> None:
    """Put beside a model what makes it one that loads, and last the mark."""
    _copy_tokenizer(tokenizer_folder, folder)
    (folder / MARKER).write_text(json.dumps({"trial": number}) + "\n")


def _discard(folder: Path) -> None:
    """Delete a folder so that at no time half of it stands under its name."""
    if folder.suffix != ".old":
        doomed = folder.with_suffix(".old")
        shutil.rmtree(doomed, ignore_errors=True)
        folder = folder.rename(doomed)
    shutil.rmtree(folder, ignore_errors=True)


def _copy_tokenizer(source: Path, target: Path) -> None:
    from rxtune.data import load_tokenizer

    load_tokenizer(source).save_pretrained(target)
