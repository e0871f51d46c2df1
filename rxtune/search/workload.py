"""What all trials of a search share: tokenised data, encoder weights, units; made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from rxtune.config import Configuration, Study
from rxtune.data import Split, Task, load_tokenizer, tokenise
from rxtune.perturb import measure_unit
from rxtune.train import (
    EncoderWeights,
    TrainSettings,
    default_learning_rate,
    load_encoder,
    resolve,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Travels through Ray's object store; arrays and tables are shared, not copied."""

    labels: tuple[str, ...]
    source_language: str
    dev_languages: tuple[str, ...]
    train: pa.Table
    dev: Mapping[str, pa.Table]
    """The dev split of every language, the source first."""
    weights: EncoderWeights
    pad_id: int
    unit: float
    """m: median norm of the word embeddings that occur in the training data."""
    learning_rate: float
    """The encoder's own, which a relative learning rate multiplies."""
    epochs: float
    batch_size: int
    evaluations: int
    seed: int
    study: Study

    def settings(self, configuration: Configuration) -> TrainSettings:
        """Return the absolute settings of a configuration; all trials share one seed.

        With the same order of the data and the same dropout, two trials differ by their
        configuration alone. `confirm` uses fresh seeds.
        """
        return resolve(
            configuration,
            units=self.study.units,
            unit=self.unit,
            width=self.width,
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            evaluations=self.evaluations,
            seed=self.seed,
        )

    @property
    def width(self) -> int:
        """Width H of the word embeddings."""
        return int(self.weights.word_embeddings.shape[1])

    def absolute(self, configuration: Configuration) -> dict[str, float]:
        """Return the absolute values behind a configuration, for the records."""
        settings = self.settings(configuration)
        values = {"learning_rate": settings.learning_rate}
        if settings.perturbation is not None:
            if settings.perturbation.sigma > 0:
                values["sigma"] = settings.perturbation.sigma
            if settings.perturbation.is_adversarial:
                values["radius"] = settings.perturbation.radius
        return values

    def aggregate(self, accuracy: Mapping[str, float]) -> float:
        """Return what the search maximises: the mean accuracy over the dev languages."""
        return sum(accuracy[language] for language in self.dev_languages) / len(self.dev_languages)


def prepare(study: Study, task: Task, dev_languages: tuple[str, ...], encoder: Path) -> Workload:
    """Read, tokenise and measure everything that the trials need.

    Raises:
        ModelError: the encoder or its tokenizer does not load.
        DataError: the task's data is malformed.
    """
    weights = load_encoder(encoder)
    tokenizer = load_tokenizer(encoder)
    tokens = _token_reader(study, task, tokenizer)
    train = tokens(task.source_language, "train")
    seen = train.column("input_ids").combine_chunks().values.to_numpy()
    return Workload(
        labels=task.labels,
        source_language=task.source_language,
        dev_languages=dev_languages,
        train=train,
        dev={language: tokens(language, "dev") for language in task.languages},
        weights=weights,
        pad_id=int(tokenizer.pad_token_id or 0),
        unit=measure_unit(weights.word_embeddings, seen),
        learning_rate=default_learning_rate(weights.config),
        epochs=study.train.epochs or task.epochs,
        batch_size=study.train.batch_size or task.batch_size,
        evaluations=study.stopping.evaluations,
        seed=study.search.seed,
        study=study,
    )


def _token_reader(study: Study, task: Task, tokenizer: Any) -> Callable[[str, Split], pa.Table]:
    """Return a function that reads a split in one language as tokens."""
    length = study.train.max_length or task.max_length
    return lambda language, split: tokenise(task.read(language, split), tokenizer, length)


def prepare_test(study: Study, task: Task, encoder: Path) -> dict[str, pa.Table]:
    """Read and tokenise the test split of every language, the source first: for `confirm` alone.

    Raises:
        ModelError: the tokenizer does not load.
        DataError: the task's data is malformed.
    """
    tokens = _token_reader(study, task, load_tokenizer(encoder))
    return {language: tokens(language, "test") for language in task.languages}
