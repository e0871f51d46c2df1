"""A fine-tuned model on disk, as `transformers` loads it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from pyarrow import fs
from safetensors import SafetensorError
from transformers import PreTrainedModel
from transformers.utils import logging

from rxtune import storage


def save_model(model: PreTrainedModel, folder: str) -> None:
    """Write config and safetensors weights to a folder, given as a path or a URI.

    Raises:
        DiskFullError: there is no room; nothing is left in the folder.
        OSError: the folder cannot be written.
    """
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    files, path = storage.open_place(folder)
    needed = sum(tensor.nbytes for tensor in model.state_dict().values())
    with storage.telling_of_full_disk(folder, "a model", needed):
        try:
            _save(model, files, path)
        except BaseException:
            with suppress(OSError):  # half a model is none, and takes room
                storage.delete_folder(files, path)
            raise


def _save(model: PreTrainedModel, files: fs.FileSystem, path: str) -> None:
    storage.make_folder(files, path)
    if isinstance(files, fs.LocalFileSystem):
        _save_pretrained(model, path)
        _as_readable_as_others(Path(path))
        return
    # Written locally first: `save_pretrained` knows no remote file systems.
    with tempfile.TemporaryDirectory() as local:
        with storage.telling_of_full_disk(local, "a model on its way to the storage"):
            _save_pretrained(model, local)
        for file in Path(local).iterdir():
            storage.upload(file, files, f"{path}/{file.name}")


def _save_pretrained(model: PreTrainedModel, folder: str) -> None:
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:  # its own kind for what the disk refuses
        raise OSError(str(error)) from error


def _as_readable_as_others(folder: Path) -> None:
    """Give the weights the mode that new files have here: safetensors lets only the owner read."""
    mode = (folder / "config.json").stat().st_mode
    for path in folder.glob("*.safetensors"):
        path.chmod(mode)
