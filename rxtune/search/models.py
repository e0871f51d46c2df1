"""What trials leave on disk, and the one model that stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

from rxtune.errors import ClusterError

MARKER = "rxtune.json"
"""File in `best/` that says which trial the model is."""


class ModelStore:
    """The folders of the trials in the storage, and `best/` in the run's folder."""

    def __init__(self, storage: str, best: Path) -> None:
        self.storage = storage.rstrip("/")
        self.best = best
        self._files, self._root = _open(self.storage)

    def folder(self, number: int) -> str:
        """Return the path or URI under which a trial keeps its checkpoint and model."""
        return f"{self.storage}/trial-{number:04d}"

    @contextmanager
    def ray_folder(self) -> Iterator[str]:
        """Lend Ray Tune the folder that it insists on; nothing in it is ever read."""
        place = "ray"
        self._delete(place)  # of a driver that was killed
        try:
            yield f"{self.storage}/{place}"
        finally:
            self._delete(place)

    def require_writable(self) -> None:
        """Refuse a storage that cannot be written, before anything is trained.

        Raises:
            ClusterError: it cannot.
        """
        probe = f"{self._root}/.rxtune-probe"
        try:
            self._files.create_dir(self._root, recursive=True)
            with self._files.open_output_stream(probe) as stream:
                stream.write(b"rxtune")
            self._files.delete_file(probe)
        except OSError as error:
            raise ClusterError(
                f"--storage: {self.storage} must be writable, but is not"
                f" ({str(error).partition(chr(10))[0]}); check the path and the permissions"
            ) from error

    def has_model(self, number: int) -> bool:
        """Return whether a trial's model still lies in the storage."""
        path = f"{self._root}/trial-{number:04d}/model"
        return bool(self._files.get_file_info(path).type == fs.FileType.Directory)

    def forget(self, number: int) -> None:
        """Delete what an ended trial left in the storage."""
        self._delete(f"trial-{number:04d}")

    def _delete(self, name: str) -> None:
        path = f"{self._root}/{name}"
        if self._files.get_file_info(path).type == fs.FileType.Directory:
            self._files.delete_dir(path)

    def crown(self, number: int, tokenizer_folder: Path) -> None:
        """Make a finished trial's model the one in `best/`; the old one goes only then."""
        if self.crowned == number:
            return
        fresh = self.best.with_name("best.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        source = f"{self._root}/trial-{number:04d}/model"
        fs.copy_files(source, str(fresh), source_filesystem=self._files)
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


def _open(storage: str) -> tuple[fs.FileSystem, str]:
    try:
        files, root = fs.FileSystem.from_uri(
            storage if "://" in storage else Path(storage).absolute().as_uri()
        )
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"--storage: {storage!r} must be a path or a URI like s3://bucket/folder ({error})"
        ) from error
    return files, root.rstrip("/")


def _copy_tokenizer(source: Path, target: Path) -> None:
    from rxtune.data import load_tokenizer

    load_tokenizer(source).save_pretrained(target)
