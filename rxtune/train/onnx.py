"""A classifier as an ONNX file, by torch's own exporter."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from rxtune.errors import ModelError, StudyError
from rxtune.train.batches import Batch
from rxtune.train.sites import evaluation_mode

_NEEDED = ("onnx", "onnxruntime", "onnxscript")
_LOUD = ("torch.onnx", "onnxscript", "onnx_ir")
_BATCHES, _TOKENS = "batch", "sequence"


def require_onnx() -> None:
    """Refuse where the libraries of the extra `onnx` are not installed.

    optimum, the usual way, is none: no release of its exporter runs with transformers 5.

    Raises:
        StudyError: one is missing.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise StudyError(
            f"--onnx: needs {', '.join(missing)}, not installed here; type"
            " `pip install 'rxtune[onnx]'`, or leave --onnx out"
        )


def save_onnx(model: PreTrainedModel, batch: Batch, path: Path) -> None:
    """Write a classifier as an ONNX graph with free batch size and length.

    Inputs have the names of the tokenizer's outputs, int64 (B, T); the output is `logits` (B, C).

    Args:
        model: The classifier.
        batch: What it is traced with: at least two rows and two tokens, without labels.
        path: The file; made with its folder.

    Raises:
        ModelError: torch cannot export this kind of encoder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    traced = _Logits(model, tuple(batch)).eval()
    try:
        with _silently(), evaluation_mode(model), torch.no_grad():
            torch.onnx.export(
                traced,
                tuple(batch.values()),
                path,
                input_names=list(batch),
                output_names=["logits"],
                dynamic_shapes=(tuple(dict(free) for _ in batch),),
                dynamo=True,
                external_data=_is_too_large(model),
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever its stages raise
        reason = str(error).strip().partition("\n")[0][:200]
        raise ModelError(
            f"--onnx: torch {torch.__version__} cannot export an encoder of kind"
            f" {model.config.model_type!r} ({type(error).__name__}: {reason}); leave --onnx out"
        ) from error


def onnx_logits(path: Path, batch: Batch) -> NDArray[np.float32]:
    """Return the logits of a batch (B, C), by onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {name: tensor.cpu().numpy() for name, tensor in batch.items()}
    (logits,) = session.run(["logits"], inputs)
    return np.asarray(logits, dtype=np.float32)


class _Logits(torch.nn.Module):
    """A classifier that takes its inputs in order and returns a tensor: what ONNX has."""

    def __init__(self, model: PreTrainedModel, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


def _is_too_large(model: PreTrainedModel) -> bool:
    """Return whether the weights need a file of their own: protobuf ends at 2 GiB."""
    return bool(sum(tensor.nbytes for tensor in model.state_dict().values()) > 1 << 30)


@contextmanager
def _silently() -> Iterator[None]:
    """Keep the exporter's progress, warnings and log from the terminal."""
    before = {name: logging.getLogger(name).level for name in _LOUD}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
