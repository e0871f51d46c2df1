"""A model folder under its name only when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rxtune import storage
from rxtune.data import load_tokenizer
from rxtune.data.model_facts import ModelFacts
from rxtune.errors import StudyError
from rxtune.export.onnx_check import OnnxCheck
from rxtune.train.classify import Classifier, load_classifier

Extra = TypeVar("Extra")
_MODEL = ("config.json", "*.safetensors", "model.safetensors.index.json")
"""What of a kept model is the model; the predictions beside it hold labels of the data."""


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
        StudyError: there is something.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise StudyError(
            f"{target}: must be a new or empty folder, but there is something already; name"
            " another, or delete it first"
        )


def export_model(
    source: Path,
    target: Path,
    *,
    facts: Callable[[Classifier], ModelFacts],
    max_length: int,
    finish: Callable[[Classifier, Path], Extra],
) -> Extra:
    """Copy a kept model to a new folder, and return what `finish` does.

    If anything fails, nothing is left there.

    Args:
        source: The kept model.
        target: A new or empty folder.
        facts: What `rxtune predict` is to know, asked with the loaded model.
        max_length: Longest input in tokens, which the tokenizer is to know.
        finish: Writes the rest into the folder, before it gets its name.

    Raises:
        StudyError: the target is taken or cannot be written.
        ModelError: the model does not load.
        DiskFullError: there is no room.
    """
    require_new(target)
    needed = storage.local_bytes_below(source)
    with storage.telling_of_full_disk(str(target), "a model", needed), _beside(target) as fresh:
        for pattern in _MODEL:
            for path in source.glob(pattern):
                shutil.copy2(path, fresh / path.name)
        tokenizer = load_tokenizer(source)
        tokenizer.model_max_length = max_length
        tokenizer.save_pretrained(fresh)
        classifier = load_classifier(fresh)
        known = facts(classifier)
        known.write(fresh)
        extra = finish(Classifier(fresh, classifier.model, known), fresh)
        fresh.replace(target)
    return extra


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
