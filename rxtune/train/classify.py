"""A fine-tuned model applied to new texts: probabilities of its labels, plain or smoothed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from rxtune.config.smoothing import Smoothing
from rxtune.data import load_tokenizer, tokenise
from rxtune.data.model_facts import ModelFacts
from rxtune.errors import ModelError
from rxtune.perturb import absolute_sigma
from rxtune.train.batches import Batch, TokenTable, to_device
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.evaluate import TOKENS_PER_BATCH, by_length
from rxtune.train.last_layer import first_position_only
from rxtune.train.sites import clean_input, evaluation_mode, perturbed

Probabilities = NDArray[np.float32]
"""Of every row and label (N, C); a row sums to 1."""


@dataclass(frozen=True)  # without slots: it keeps its tokenizer
class Classifier:
    """A model folder, loaded."""

    folder: Path
    model: PreTrainedModel
    facts: ModelFacts

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The folder's tokenizer."""
        return load_tokenizer(self.folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        names: dict[int, str] = {int(k): v for k, v in (self.model.config.id2label or {}).items()}
        return tuple(names[number] for number in sorted(names))

    @property
    def width(self) -> int:
        """Width H of the word embeddings."""
        words = self.model.get_input_embeddings()
        assert isinstance(words, torch.nn.Embedding), "the search has required one"
        return words.embedding_dim

    @property
    def max_length(self) -> int:
        """Longest input in tokens; a longer text is cut."""
        most = getattr(self.model.config, "max_position_embeddings", None) or 512
        known = self.facts.max_length or min(self.tokenizer.model_max_length, 512)
        return min(int(known), int(most))

    def sigma(self, relative: float) -> float:
        """Return the standard deviation per coordinate of a sigma in the study's units.

        Raises:
            ModelError: the folder does not say what it is relative to.
        """
        if self.facts.units == "absolute":
            return relative
        if self.facts.unit is None:
            raise ModelError(
                f"{self.folder}: a relative sigma needs the median norm of the word embeddings,"
                " which rxtune.json does not hold; give a folder that `rxtune export` made of a"
                " search with noise or radius in its space"
            )
        return absolute_sigma(relative, self.facts.unit, self.width)

    def classify(
        self,
        texts: pa.Table,
        smoothing: Smoothing | None = None,
        tokens_per_batch: int | None = None,
    ) -> Probabilities:
        """Return the probability of every label for every text (N, C), in the texts' order.

        A row's result does not depend on the rows beside it: its noise is drawn from the seed and
        its number.

        Args:
            texts: Columns `text` and, for pairs, `text_pair`.
            smoothing: None: without noise.
            tokens_per_batch: Bound of a batch's size (B · T), None: by device.
        """
        if texts.num_rows == 0:
            return np.empty((0, len(self.labels)), dtype=np.float32)
        unknown = pa.array(np.zeros(texts.num_rows, dtype=np.int64))
        table = tokenise(texts.append_column("label", unknown), self.tokenizer, self.max_length)
        pad_id = self.tokenizer.pad_token_id
        tokens = TokenTable(table, pad_id=0 if pad_id is None else pad_id)
        device = next(self.model.parameters()).device
        bound = tokens_per_batch or TOKENS_PER_BATCH.get(device.type, TOKENS_PER_BATCH["cuda"])
        found = np.empty((len(tokens), len(self.labels)), dtype=np.float32)
        with _inference(self.model):
            for rows in by_length(tokens.lengths, bound):
                batch = to_device(tokens.batch(rows), device)
                del batch["labels"]
                found[rows] = self._of_batch(batch, rows, smoothing).cpu().numpy()
        return found

    def logits(self, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch (B, C), without noise."""
        with _inference(self.model):
            logits: torch.Tensor = self.model(**batch).logits
        return logits.float()

    def _of_batch(
        self, batch: Batch, rows: NDArray[np.int64], smoothing: Smoothing | None
    ) -> torch.Tensor:
        if smoothing is None:
            logits: torch.Tensor = self.model(**batch).logits.float()
            return logits.softmax(dim=-1)
        sigma = self.sigma(smoothing.sigma)
        shape = clean_input(self.model, batch, "word").shape
        votes = torch.zeros(len(rows), len(self.labels), device=batch["input_ids"].device)
        for draw in range(smoothing.samples):
            noise = _noise(shape, batch["attention_mask"], rows, (smoothing.seed, draw)) * sigma
            with perturbed(self.model, noise, "word"):
                logits = self.model(**batch).logits.float()
            if smoothing.vote == "mean":
                votes += logits.softmax(dim=-1)
            else:
                votes += torch.nn.functional.one_hot(logits.argmax(dim=-1), len(self.labels))
        return votes / smoothing.samples


def load_classifier(folder: Path, device: str = "cpu") -> Classifier:
    """Return the classifier in a local folder; never downloads, never runs code beside it.

    Raises:
        ModelError: there is none, or it does not load.
    """
    facts = ModelFacts.read(folder)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{folder}: must hold a classifier that transformers loads, but does not ({reason});"
            " export it again"
        ) from error
    return Classifier(folder, model.float().eval().to(device), facts)


@contextmanager
def _inference(model: PreTrainedModel) -> Iterator[None]:
    with ExitStack() as stack:
        device = next(model.parameters()).device
        for entered in (
            evaluation_mode(model),
            first_position_only(model),
            fast_on_cpu(model, device),
            torch.inference_mode(),
        ):
            stack.enter_context(entered)
        yield


def _noise(
    shape: torch.Size, mask: torch.Tensor, rows: NDArray[np.int64], key: tuple[int, int]
) -> torch.Tensor:
    """Return N(0, I) on every token (B, T, H), each row's drawn from the key and its number."""
    noise = np.zeros(shape, dtype=np.float32)
    for place, (row, length) in enumerate(zip(rows, mask.sum(dim=1).tolist(), strict=True)):
        draw = np.random.default_rng((*key, int(row)))
        noise[place, :length] = draw.standard_normal((length, shape[-1]), dtype=np.float32)
    return torch.from_numpy(noise).to(mask.device)
