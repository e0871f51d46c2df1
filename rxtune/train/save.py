"""A fine-tuned model on disk, as `transformers` loads it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pyarrow import fs
from transformers import PreTrainedModel
from transformers.utils import logging


def save_model(model: PreTrainedModel, folder: str) -> None:
    """Write config and safetensors weights to a folder, given as a path or a URI.

    Raises:
        OSError: the folder cannot be written.
    """
    # Written locally first: `save_pretrained` knows no remote file systems.
    with tempfile.TemporaryDirectory() as local:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        model.save_pretrained(local)
        target = folder if "://" in folder else Path(folder).absolute().as_uri()
        files, path = fs.FileSystem.from_uri(target)
        files.create_dir(path, recursive=True)
        fs.copy_files(local, path, destination_filesystem=files)
