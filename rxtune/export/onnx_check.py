"""An ONNX file beside the model it is made of: do both say the same of real texts?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from rxtune.data import tokenise
from rxtune.errors import ModelError
from rxtune.train.batches import Batch, TokenTable
from rxtune.train.classify import Classifier
from rxtune.train.onnx import onnx_logits, save_onnx

FILE = Path("onnx") / "model.onnx"
"""Where the hub and transformers.js look for it."""
TOLERANCE = 1e-3
"""Largest difference of a logit that rounding explains; 1e-5 is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxCheck:
    """What the comparison has found."""

    texts: int
    difference: float
    """Largest absolute difference of a logit."""

    def __str__(self) -> str:
        """Return the finding as a sentence."""
        return (
            f"On {self.texts} texts of the dev split its logits differ from the model's by at"
            f" most {self.difference:.1e}, and every label is the same."
        )


def check_onnx(classifier: Classifier, folder: Path, texts: pa.Table) -> OnnxCheck:
    """Write the ONNX file into a folder and return how it compares; real texts, one batch.

    Args:
        classifier: What is exported.
        folder: Of the model.
        texts: Columns `text`, `label` and, for pairs, `text_pair`; at least two rows.

    Raises:
        ModelError: torch cannot export the encoder, or the file says something else than it.
    """
    batch = _batch(classifier, texts)
    save_onnx(classifier.model, {name: rows[:2] for name, rows in batch.items()}, folder / FILE)
    expected = classifier.logits(batch).numpy()
    found = onnx_logits(folder / FILE, batch)
    difference = float(np.abs(expected - found).max())
    changed = int((expected.argmax(axis=1) != found.argmax(axis=1)).sum())
    if changed or not difference <= TOLERANCE:
        raise ModelError(
            f"--onnx: the ONNX graph must say the same as the model, but on {len(expected)} texts"
            f" of the dev split logits differ by up to {difference:.2g} and {changed} labels;"
            " leave --onnx out"
        )
    return OnnxCheck(texts=len(expected), difference=difference)


def _batch(classifier: Classifier, texts: pa.Table) -> Batch:
    tokenizer = classifier.tokenizer
    table = tokenise(texts, tokenizer, classifier.max_length)
    tokens = TokenTable(table, pad_id=tokenizer.pad_token_id or 0)
    batch = tokens.batch(np.arange(len(tokens)))
    del batch["labels"]
    return batch
