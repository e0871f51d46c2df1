"""A fine-tuned model on disk, as `transformers` loads it."""

from __future__ import annotations

import tempfile

from pyarrow import fs
from transformers import PreTrainedModel
from transformers.utils import logging

from rxtune import storage


def save_model(model: PreTrainedModel, folder: str) -> None:
    """Write config and safetensors weights to a folder, given as a path or a URI.

    Raises:
        OSError: the folder cannot be written.
    """
    # Written locally first: `save_pretrained` knows no remote file systems.
    with tempfile.TemporaryDirectory() as local:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        model.save_pretrained(local)
        files, path = storage.open_place(folder)
        storage.make_folder(files, path)
        fs.copy_files(
            local,
            path,
            source_filesystem=fs.LocalFileSystem(),
            destination_filesystem=files,
        )
