"""A model folder under its name only when it is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rxtune import storage
from rxtune.data import load_tokenizer
from rxtune.data.model_facts import FILE_NAME, ModelFacts
from rxtune.errors import ModelError, StudyError
from rxtune.export.onnx_check import OnnxCheck
from rxtune.train.classify import Classifier, load_classifier

Extra = TypeVar("Extra")
_MODEL = ("config.json", "*.safetensors", "model.safetensors.index.json")
"""What of a kept model is the model; the predictions beside it hold labels of the data."""
_TRIES = 5
"""Of copying a model that a running search moves; it does so only when a better one ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export has left."""

    folder: Path
    trial: int
    """Whose model it is."""
    bytes: int
    onnx: OnnxCheck | None = None
    registered: str | None = None
    """`models:/NAME/VERSION` in MLflow; None: not asked for."""


def require_new(target: Path) -> None:
    """Refuse a place that an export would have to overwrite.

    Raises:
        StudyError: there is something, or it is the working directory.
    """
    place = target.resolve()
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise StudyError(
            f"{target}: must be a new or empty folder, but there is something already; name"
            " another, or delete it first"
        )
    # The whole model takes an empty folder's place: whoever stood in that would be nowhere.
    if place == Path.cwd():
        raise StudyError(
            f"{target}: must not be the working directory, which would be replaced; name a new"
            " folder in it"
        )


def export_model(
    kept_folder: Callable[[int], Path | None],
    trial: int,
    target: Path,
    *,
    facts: Callable[[Classifier], ModelFacts],
    max_length: int,
    finish: Callable[[Classifier, Path], Extra],
) -> Extra:
    """Copy a kept model to a new folder, and return what `finish` does.

    If anything fails, nothing is left there.

    Args:
        kept_folder: Where a trial's kept model lies now: a running search may move it.
        trial: Whose model.
        target: A new or empty folder.
        facts: What `rxtune predict` is to know, asked with the loaded model.
        max_length: Longest input in tokens, which the tokenizer is to know.
        finish: Writes the rest into the folder, before it gets its name.

    Raises:
        StudyError: the target is taken or cannot be written, or the search takes the model away.
        ModelError: the model does not load.
        DiskFullError: there is no room.
    """
    require_new(target)
    target = target.resolve()  # a link to an empty folder stays, and that folder is filled
    source = kept_folder(trial)
    needed = storage.local_bytes_below(source) if source else None
    with storage.telling_of_full_disk(str(target), "a model", needed), _beside(target) as fresh:
        tokenizer = _copy_kept(kept_folder, trial, fresh)
        tokenizer.model_max_length = max_length
        tokenizer.save_pretrained(fresh)
        classifier = load_classifier(fresh)
        known = facts(classifier)
        known.write(fresh)
        extra = finish(Classifier(fresh, classifier.model, known), fresh)
        fresh.replace(target)
    return extra


def _copy_kept(kept_folder: Callable[[int], Path | None], trial: int, fresh: Path) -> Any:
    """Copy a trial's model, all of it from one place, and return its tokenizer."""

    def is_still_in(source: Path) -> bool:
        return kept_folder(trial) == source and _trial_in(source) == trial

    for _ in range(_TRIES):  # each writes the same names: models of one search differ in weights
        source = kept_folder(trial)
        if source is None:
            break
        try:
            tokenizer = _copy(source, fresh)
            if is_still_in(source):
                return tokenizer
        except FileNotFoundError:
            continue
        except ModelError:
            if is_still_in(source):
                raise
    raise StudyError(
        f"the model of trial {trial} was moved or replaced by the running search while it was"
        " copied; type the command once more, or wait for the search's end"
    )


def _trial_in(folder: Path) -> int | None:
    """Return whose model a folder holds; None: it is not there, or does not say so."""
    try:
        return int(json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))["trial"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _copy(source: Path, fresh: Path) -> Any:
    for pattern in _MODEL:
        for path in source.glob(pattern):
            shutil.copy2(path, fresh / path.name)
    return load_tokenizer(source)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a new folder beside the target; it is gone afterwards, unless it was renamed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new-{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
    except OSError as error:
        raise StudyError(
            f"{target}: cannot be written ({error.strerror}); name another folder"
        ) from error
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
