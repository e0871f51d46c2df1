"""What trials leave on disk, and the one model that stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from pyarrow import fs

from rxtune import storage

MARKER = "rxtune.json"
"""File in `best/` that says which trial the model is."""


class ModelStore:
    """The folders of the trials in the storage, and `best/` in the run's folder."""

    def __init__(self, place: str, best: Path) -> None:
        self.place = place
        self.best = best

    @cached_property
    def _opened(self) -> tuple[fs.FileSystem, str]:
        return storage.open_place(self.place)

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
        """Return whether a trial's model still lies in the storage."""
        files, root = self._opened
        path = f"{root}/{_name(number)}/model"
        return bool(files.get_file_info(path).type == fs.FileType.Directory)

    def forget(self, number: int) -> None:
        """Delete what an ended trial left in the storage."""
        files, root = self._opened
        storage.delete_folder(files, f"{root}/{_name(number)}")

    def tidy(self) -> None:
        """Delete the run's folder in a storage elsewhere, if no trial has left anything in it."""
        files, root = self._opened
        if self.best.parent not in Path(root).parents:
            with suppress(OSError):  # no result is lost for an empty folder
                storage.delete_if_empty(files, root)

    def crown(self, number: int, tokenizer_folder: Path) -> None:
        """Make a finished trial's model the one in `best/`; the old one goes only then."""
        if self.crowned == number:
            return
        fresh = self.best.with_name("best.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        files, root = self._opened
        source = f"{root}/{_name(number)}/model"
        fs.copy_files(
            source,
            str(fresh),
            source_filesystem=files,
            destination_filesystem=fs.LocalFileSystem(),
        )
        _copy_tokenizer(tokenizer_folder, fresh)
        (fresh / MARKER).write_text(json.dumps({"trial": number}) + "\n")
        old = self.best.with_name("best.old")
        shutil.rmtree(old, ignore_errors=True)
        if self.best.exists():
            self.best.rename(old)
        fresh.rename(self.best)
        shutil.rmtree(old, ignore_errors=True)

    @property
    def crowned(self) -> int | None:
        """The number of the trial whose model is in `best/`, or None."""
        try:
            return int(json.loads((self.best / MARKER).read_text())["trial"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _name(number: int) -> str:
    return f"trial-{number:04d}"


def _copy_tokenizer(source: Path, target: Path) -> None:
    from rxtune.data import load_tokenizer

    load_tokenizer(source).save_pretrained(target)
