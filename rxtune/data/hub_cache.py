"""Data sets in hub layout: from a folder, from the local cache, and only then from the hub.

Without network the hub's client tries again and again for minutes. So the cache comes first, and
before the hub is asked for data it must answer a probe within seconds.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxtune.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

PROBE_SECONDS = 2.5
"""Time that the hub has to answer anything at all, its name being looked up included."""
_SHARD = re.compile(r"-\d{5}-of-(\d{5})\.")


@dataclass(frozen=True, slots=True)
class Loaded:
    """One split as it stands in a data set."""

    table: pa.Table
    class_names: Mapping[str, tuple[str, ...]]
    """Names of the class ids, by column that holds class ids with names."""
    identity: str
    """Equal for equal content: a commit, or a hash of files."""


def is_cached(hub: str, revision: str | None = None) -> bool:
    """Return whether something of a data set lies in a local cache."""
    return _snapshot(hub, revision) is not None or _prepared_folder(hub).is_dir()


def load(
    hub: str, config: str, split: str, *, revision: str | None = None, folder: Path | None = None
) -> Loaded:
    """Return a split of a data set.

    Args:
        hub: id of the data set.
        config: its configuration.
        split: its name for the split.
        revision: commit; None: what is in the cache, else the newest.
        folder: local copy to take instead.

    Raises:
        DataError: it is nowhere to be had, or has no such configuration or split.
    """
    if folder is not None:
        return _from_folder(folder, config, split)
    snapshot = _snapshot(hub, revision)
    reason = "is not in the local cache"
    if snapshot is not None:
        try:
            return _from_folder(snapshot, config, split, commit=snapshot.name)
        except DataError:  # only other configurations were fetched
            reason = f"is in the local cache without {config!r} {split}"
    prepared = _from_prepared(hub, config, split, revision)
    if prepared is not None:
        return prepared
    problem = _unreachable()
    if problem:
        raise DataError(_refusal(hub, config, reason, problem))
    return _from_hub(hub, config, split, revision)


def _quiet_datasets() -> Any:
    """Return `datasets`, told to leave the terminal to rxtune."""
    import datasets

    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    return datasets


def _refusal(hub: str, config: str, reason: str, problem: str) -> str:
    return (
        f"{hub}: configuration {config!r} {reason}, and {problem}. Where there is network, run"
        f" `hf download --repo-type dataset {hub} --local-dir DATA` and copy DATA here: then"
        " `--task NAME@DATA`. Or copy the cache and set HF_HOME to it"
    )


# --- where it may lie


def _snapshot(hub: str, revision: str | None) -> Path | None:
    """Return the folder of a downloaded data set, which need not be complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            hub, repo_type="dataset", revision=revision, local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    return Path(folder)


def _prepared_folder(hub: str) -> Path:
    """Return where `datasets` keeps what it once prepared of a data set.

    It is found without `datasets`, whose import would make a refusal wait.
    """
    from huggingface_hub import constants

    cache = os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets"
    *owner, name = hub.split("/")
    return Path(cache).expanduser() / "___".join([*owner, name.lower()])


def _unreachable() -> str | None:
    """Return why the hub cannot be asked, or None after it has answered."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to ask the hub"
    answered = threading.Event()

    def ask() -> None:
        from huggingface_hub import get_session

        try:
            get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
        except Exception:  # whatever it is, there is no answer
            return
        answered.set()

    # In a thread, because a name server that does not answer holds the caller for half a minute.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PROBE_SECONDS)
    return None if answered.is_set() else f"{constants.ENDPOINT} cannot be reached"


# --- how it is read


def _from_folder(folder: Path, config: str, split: str, commit: str | None = None) -> Loaded:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one in hub layout, with a README.md")
    datasets = _quiet_datasets()
    options: dict[str, Any] = {"name": config}
    if not (folder / "README.md").is_file() and (folder / config).is_dir():
        options = {"data_dir": config}  # without a card the folder's name is all there is
    try:
        builder = datasets.load_dataset_builder(str(folder), **options)
        files = _files(builder.config.data_files, split)
        dataset = datasets.load_dataset(str(folder), split=split, **options)
    except Exception as error:  # of a dozen kinds, by what is wrong with the folder
        raise DataError(_folder_problem(folder, config, split, error)) from error
    if not _is_complete(files):
        raise DataError(f"{folder}: files of {config} {split} are missing; fetch all of them")
    return _loaded(dataset, commit or _hash(files))


def _files(data_files: Any, split: str) -> list[str]:
    """Return the files of a split; `datasets` says so by a mapping or, without splits, not."""
    return [str(path) for path in (data_files or {}).get(split, [])]


def _folder_problem(folder: Path, config: str, split: str, error: Exception) -> str:
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    _, is_unknown, having = text.partition("not found. Available: ")
    if is_unknown:
        names = having.strip("[]").replace("'", "")
        text = f"it has {names if len(names) < 200 else names[:199] + '…'}"
    elif "all the data_files are invalid" in text:
        text = "files that its README.md names for it are missing; copy the whole data set"
    return f"{folder}: no split {split!r} of configuration {config!r}: {text}"


def _is_complete(files: list[str]) -> bool:
    """Return whether all shards are there, where the names tell how many there are."""
    shards = [int(match[1]) for name in files if (match := _SHARD.search(name))]
    return not shards or max(shards) <= len(shards)


def _hash(files: list[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        with Path(name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _from_prepared(hub: str, config: str, split: str, revision: str | None) -> Loaded | None:
    """Return a split that `datasets` once downloaded and prepared."""
    if revision is not None or not (_prepared_folder(hub) / config).is_dir():
        return None
    datasets = _quiet_datasets()
    with _offline():
        try:
            dataset = datasets.load_dataset(hub, config, split=split)
        except (ValueError, OSError):
            return None
    return _loaded(dataset, str(dataset._fingerprint))


@contextmanager
def _offline() -> Iterator[None]:
    """Keep `datasets` from asking the hub, which it does before it looks at its cache."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _from_hub(hub: str, config: str, split: str, revision: str | None) -> Loaded:
    datasets = _quiet_datasets()
    try:
        dataset = datasets.load_dataset(hub, config, split=split, revision=revision)
    except Exception as error:  # refused, moved, gated, no such configuration, network gone
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(f"{hub}: {config} {split} cannot be had: {reason}") from error
    snapshot = _snapshot(hub, revision)  # which the download has made
    return _loaded(dataset, snapshot.name if snapshot else str(dataset._fingerprint))


def _loaded(dataset: Any, identity: str) -> Loaded:
    import datasets

    table = dataset.data.table
    names = {
        column: tuple(feature.names)
        for column, feature in dataset.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    return Loaded(table, names, identity)
