"""Checkpoints: one safetensors file with everything, which appears whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rxtune import storage
from rxtune.errors import DamagedCheckpointError, DataError
from rxtune.results import Evaluation
from rxtune.train.settings import TrainSettings

FILE_NAME = "checkpoint.safetensors"
FORMAT = 1
_UNFINISHED = ".new"


@dataclass(slots=True)
class TrainingState:
    """Where a run stands; grows with it."""

    updates: int = 0
    """Updates done: the place in the data and in the schedule follows from it."""
    forward_equivalents: float = 0.0
    seconds_before: float = 0.0
    """Wall time of the run's earlier parts, in seconds."""
    evaluations: list[Evaluation] = field(default_factory=list)
    loss_sum: float = 0.0
    """Of the losses since the last evaluation, in nats: not 0 in a run that broke off between."""


def save_checkpoint(
    folder: str,
    state: TrainingState,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    noise: torch.Generator,
    settings: TrainSettings,
) -> str:
    """Write everything a resume needs, in place of the folder's last checkpoint.

    The old checkpoint stays until the new one is whole: on a disk the new one is written under
    another name, brought to disk and then renamed; an object store shows no half of a file. The
    other name is this call's own: a worker whose driver was killed lives on for seconds, and may
    write at the same time as the one that took its trial over.

    Args:
        folder: Path or URI (see `storage.open_place`); made if missing.
        state: Where the run stands, its last evaluation included.
        model: Weights and buffers are kept.
        optimiser: Its moments are kept.
        noise: Its random state is kept, with the global ones of CPU and the model's device.
        settings: Kept to refuse a resume with others.

    Returns:
        The path or URI of the file.

    Raises:
        DiskFullError: There is no room; the last checkpoint is still there.
        OSError: The folder cannot be written; the last checkpoint is still there.
    """
    tensors = {
        **{f"model.{name}": tensor for name, tensor in _model_tensors(model).items()},
        **_optimiser_tensors(model, optimiser),
        **_random_tensors(noise),
    }
    facts = {
        "format": FORMAT,
        "updates": state.updates,
        "forward_equivalents": state.forward_equivalents,
        "seconds": max([state.seconds_before, *(e.seconds for e in state.evaluations[-1:])]),
        "evaluations": [evaluation.to_json() for evaluation in state.evaluations],
        "loss_sum": state.loss_sum,
        "settings": settings.to_json(),
    }
    filesystem, path = storage.open_place(folder)
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    needed = sum(tensor.nbytes for tensor in contiguous.values())
    with storage.telling_of_full_disk(folder, "a checkpoint", needed):
        storage.make_folder(filesystem, path)
        _write_whole(filesystem, path, contiguous, {"rxtune": json.dumps(facts)})
    return storage.join(folder, FILE_NAME)


def load_checkpoint(
    folder: str,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    noise: torch.Generator,
    settings: TrainSettings,
) -> TrainingState | None:
    """Set model, optimiser and random states to where a run stopped.

    Whoever loads takes the run over: what earlier writers left unfinished is deleted.

    Args:
        folder: Path or URI, as given to `save_checkpoint`.
        model: On its device; weights are overwritten.
        optimiser: Of this model; moments are overwritten.
        noise: Its state is overwritten; the global states are, too.
        settings: Those of the run.

    Returns:
        Where the run stands, or None if no whole checkpoint lies in the folder.

    Raises:
        DamagedCheckpointError: The file is not whole.
        DataError: The file is of another format, or of a run with other settings.
    """
    filesystem, path = storage.open_place(folder)
    target = f"{path}/{FILE_NAME}"
    _delete_unfinished(filesystem, path)
    if filesystem.get_file_info(target).type != fs.FileType.File:
        return None
    with _local_copy(filesystem, target) as local:
        facts, tensors = _read(local, storage.join(folder, FILE_NAME))
    _require_same_run(facts, settings, folder)
    model.load_state_dict(_with_prefix(tensors, "model."))
    _restore_optimiser(model, optimiser, tensors)
    _restore_random(noise, tensors)
    return TrainingState(
        updates=facts["updates"],
        forward_equivalents=facts["forward_equivalents"],
        seconds_before=facts["seconds"],
        evaluations=[Evaluation.from_json(record) for record in facts["evaluations"]],
        loss_sum=facts.get("loss_sum", 0.0),
    )


def _write_whole(
    filesystem: fs.FileSystem, folder: str, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write the file so that it appears under its name only when all of it is there."""
    target = f"{folder}/{FILE_NAME}"
    if storage.is_object_store(filesystem):
        _upload(filesystem, target, tensors, metadata)
        return
    unfinished = f"{target}.{uuid.uuid4().hex}{_UNFINISHED}"
    is_local = isinstance(filesystem, fs.LocalFileSystem)
    try:
        if is_local:
            _save_file(tensors, unfinished, metadata)
            _bring_to_disk(unfinished)
        else:
            _upload(filesystem, unfinished, tensors, metadata)
        filesystem.move(unfinished, target)
    except BaseException:
        with suppress(OSError):  # nobody else would, where the disk is full
            filesystem.delete_file(unfinished)
        raise
    if is_local:
        _bring_to_disk(folder)  # the rename itself


def _upload(
    filesystem: fs.FileSystem, target: str, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as local:
        with storage.telling_of_full_disk(local, "a checkpoint on its way to the storage"):
            _save_file(tensors, f"{local}/{FILE_NAME}", metadata)
        storage.upload(Path(local, FILE_NAME), filesystem, target)


def _save_file(tensors: dict[str, Tensor], path: str, metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:  # its own kind for what the disk refuses
        raise OSError(str(error)) from error


def _delete_unfinished(filesystem: fs.FileSystem, folder: str) -> None:
    """Delete what killed writers left; one that still lives fails, and nobody waits for it."""
    found = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    for info in found:
        if info.base_name.startswith(FILE_NAME) and info.base_name.endswith(_UNFINISHED):
            with suppress(OSError):  # its writer was faster
                filesystem.delete_file(info.path)


def _model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return weights and persistent buffers, copies where two names share memory."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensors[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return tensors


def _optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"optimiser.{key}.{name}": tensor
        for name, parameter in model.named_parameters()
        for key, tensor in optimiser.state[parameter].items()
    }


def _restore_optimiser(
    model: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    for name, parameter in model.named_parameters():
        state = {
            key: tensors[f"optimiser.{key}.{name}"].to(parameter.device, copy=True)
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"optimiser.{key}.{name}" in tensors
        }
        if state:  # a weight that has never had a gradient has none
            optimiser.state[parameter] = state


def _random_tensors(noise: torch.Generator) -> dict[str, Tensor]:
    tensors = {"random.cpu": torch.get_rng_state(), "random.noise": noise.get_state()}
    if noise.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(noise.device)
    return tensors


def _restore_random(noise: torch.Generator, tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors["random.cpu"])
    noise.set_state(tensors["random.noise"])
    if noise.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"], noise.device)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


@contextmanager
def _local_copy(filesystem: fs.FileSystem, path: str) -> Iterator[str]:
    if isinstance(filesystem, fs.LocalFileSystem):
        yield path
        return
    with tempfile.TemporaryDirectory() as local:
        copy = f"{local}/{FILE_NAME}"
        fs.copy_files(
            path,
            copy,
            source_filesystem=filesystem,
            destination_filesystem=fs.LocalFileSystem(),
        )
        yield copy


def _read(path: str, shown: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["rxtune"])
            return facts, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise DamagedCheckpointError(
            f"checkpoint {shown}: must be a whole checkpoint of rxtune, but is not "
            f"({str(error).partition(chr(10))[0]}); remove it, the run then starts again"
        ) from error


def _require_same_run(facts: dict[str, Any], settings: TrainSettings, folder: str) -> None:
    if facts.get("format") != FORMAT:
        raise DataError(
            f"checkpoint in {folder}: its format must be {FORMAT}, but is {facts.get('format')}; "
            "resume with the rxtune that wrote it, or give another folder"
        )
    then, now = facts["settings"], json.loads(json.dumps(settings.to_json()))
    differing = sorted(name for name in now if then.get(name) != now[name])
    if differing:
        name = differing[0]
        raise DataError(
            f"checkpoint in {folder}: settings must be those of the run that wrote it, but "
            f"{name} was {then.get(name)} and is {now[name]}; give another folder, or do not "
            "resume"
        )


def _bring_to_disk(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
