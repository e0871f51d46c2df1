"""How much disk a search needs at its peak, what it really held, and whether that fits."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import fs

from rxtune import storage

if TYPE_CHECKING:
    from rxtune.search.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskNeed:
    """What a search holds on disk at its peak, in bytes; tokenizers and the journal aside."""

    model_bytes: int
    """Of a saved classifier."""
    workers: int
    """Trials that run at a time."""
    keep: int
    """Models that stay."""

    @property
    def checkpoint_bytes(self) -> int:
        """What a running trial keeps: weights and the optimiser's two moments of each."""
        return 3 * self.model_bytes

    @property
    def running_bytes(self) -> int:
        """Of all running trials, where each has two checkpoints: while one replaces the other.

        At its end a trial has one and a model, which is less.
        """
        return self.workers * 2 * self.checkpoint_bytes

    @property
    def kept_bytes(self) -> int:
        """Of the models that stay."""
        return self.keep * self.model_bytes

    @property
    def peak_bytes(self) -> int:
        """Of everything, as a rule: trials replace their checkpoints one after another."""
        return (self.workers + 1) * self.checkpoint_bytes + self.kept_bytes

    @property
    def most_bytes(self) -> int:
        """Of everything, where all trials replace their checkpoints at the same time."""
        return self.running_bytes + self.kept_bytes

    def shortages(self, run: Path, place: str, *, held: int = 0) -> list[str]:
        """Return one line for every disk that has less room than will be needed.

        Args:
            run: The run's folder; need not exist.
            place: Path or URI of the storage of checkpoints.
            held: What lies in the run's folder already, in bytes.
        """
        if _same_disk(run, place):
            return _shortage("this search", self.most_bytes - held, str(run))
        # A model that is copied from elsewhere is there before the one that it displaces goes.
        kept = self.kept_bytes + self.model_bytes - held
        return [
            *_shortage("what is kept of this search", kept, str(run)),
            *_shortage("what trials keep while they run", self.running_bytes, place),
        ]


def disk_need(workload: Workload, workers: int) -> DiskNeed:
    """Return what a search of a workload needs with so many trials at a time."""
    from rxtune.train import classifier_bytes

    search = workload.study.search
    return DiskNeed(
        model_bytes=classifier_bytes(workload.weights, workload.labels),
        workers=min(workers, search.trials),
        keep=min(search.keep, search.trials),
    )


def _same_disk(run: Path, place: str) -> bool:
    files, path = storage.open_place(place)
    if not isinstance(files, fs.LocalFileSystem):
        return False
    return _device(run) == _device(Path(path))


def _device(path: Path) -> int:
    return os.stat(storage.nearest_folder(path)).st_dev


def _shortage(who: str, needed: int, place: str) -> list[str]:
    free = storage.free_bytes(place)
    if free is None or needed <= free:
        return []
    return [
        f"{who} needs up to {storage.size_text(needed)} more,"
        f" {storage.size_text(free)} are free under {storage.without_secrets(place)}; make room,"
        " or ask for fewer workers, for a smaller search.keep, or for another disk (--runs,"
        " --storage)"
    ]


class TrialDisk:
    """What one trial's folder holds, seen by the worker that writes it."""

    def __init__(self, folder: str) -> None:
        self._folder = _local(folder)
        self._last: dict[str, tuple[int, int]] = {}

    def held(self) -> int | None:
        """Return the most bytes there since the last call; None: not on a disk.

        A file that was replaced meanwhile was there twice for a moment: the new one is written
        whole before it takes the name of the old one.
        """
        if self._folder is None:
            return None
        found = {
            f"{root}/{name}": (status.st_ino, status.st_size)
            for root, _, names in os.walk(self._folder)
            for name in names
            if (status := _status(f"{root}/{name}"))
        }
        replaced = sum(
            size
            for path, (inode, size) in self._last.items()
            if path in found and found[path][0] != inode
        )
        self._last = found
        return replaced + sum(size for _, size in found.values())


def _local(place: str) -> Path | None:
    """Return the path of a place on a disk; None: it is elsewhere, and is not even asked."""
    is_remote = storage.is_uri(place) and not place.startswith("file://")
    return None if is_remote else Path(storage.open_place(place)[1])


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:  # deleted meanwhile
        return None


class DiskMeter:
    """The most that a search was seen to hold, in its folder and its storage together."""

    def __init__(self, run: Path, place: str) -> None:
        self.peak = 0
        self._run = run
        self._storage = _local(place)

    def see(self, trial: str, held: int | None) -> None:
        """Look at the disk, at a report of a trial whose folder held so much since its last one.

        A storage elsewhere is not asked: it takes too long (see `see_all`).
        """
        total = storage.local_bytes_below(self._run)
        if self._storage is not None:
            if self._run not in self._storage.parents:
                total += storage.local_bytes_below(self._storage)
            if held is not None:
                total += held - storage.local_bytes_below(self._storage / trial)
        self.peak = max(self.peak, total)

    def see_all(self, files: fs.FileSystem, root: str) -> None:
        """Look at the disk and at the storage, wherever that is; one that fails is left out."""
        total = storage.local_bytes_below(self._run)
        if self._storage is None or self._run not in self._storage.parents:
            with suppress(OSError):
                total += storage.bytes_below(files, root)
        self.peak = max(self.peak, total)
