"""What all trials of a search share: tokenised data, encoder weights, units; made once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rxtune.config import Configuration, Study
from rxtune.data import Split, Task, load_tokenizer
from rxtune.data.mixed_language import MixedPairs, mixed_texts, parallel_items
from rxtune.data.token_cache import TokenReader
from rxtune.data.training import (
    Parcel,
    PlainData,
    SubstitutedData,
    TrainingData,
    TrainingText,
)
from rxtune.errors import StudyError
from rxtune.perturb import Scale, Scales, measure_unit
from rxtune.search.encoders import EMBEDDED, find_encoder
from rxtune.search.objectives import evaluated_languages, measure
from rxtune.search.substitutes import read_substitutes, require_known_words
from rxtune.train import (
    EncoderWeights,
    TrainSettings,
    build_model,
    check_encoder,
    choose_precision,
    context_width,
    default_learning_rate,
    load_encoder,
    measure_context_unit,
    resolve,
)
from rxtune.train.settings import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Travels through Ray's object store; arrays and tables are shared, not copied."""

    labels: tuple[str, ...]
    source_language: str
    dev_languages: tuple[str, ...]
    train: pa.Table
    text: TrainingText | None
    """The training data before the tokenizer; None: no method of the space replaces words."""
    neighbours: Mapping[str, Parcel]
    """Method that replaces words -> its `SubstitutionTable`."""
    dev: Mapping[str, pa.Table]
    """The dev split of every language that has one, the source first."""
    mixed: MixedPairs | None
    """Mixed-language pairs of the split that is evaluated at the end; None: not measured."""
    weights: EncoderWeights
    pad_id: int
    unit: float
    """m: median norm of the word embeddings that occur in the training data."""
    context: Scale | None
    """Of the contextual vectors; None: no trial can have `site: context`."""
    learning_rate: float
    """The encoder's own, which a relative learning rate multiplies."""
    epochs: float
    batch_size: int
    evaluations: int
    seed: int
    study: Study

    def settings(self, configuration: Configuration, device: str) -> TrainSettings:
        """Return the absolute settings of a configuration; all trials share one seed.

        With the same order of the data and the same dropout, two trials differ by their
        configuration alone. `confirm` uses fresh seeds.

        Args:
            configuration: The trial's parameters.
            device: Where it trains; what `precision: auto` means depends on it.

        Raises:
            StudyError: The device does not compute in the study's precision.
        """
        return self._resolve(configuration, choose_precision(self.study.train.precision, device))

    def _resolve(self, configuration: Configuration, precision: Precision) -> TrainSettings:
        is_by_cost = self.study.stopping.unit == "compute"
        defaults = TrainSettings(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            evaluations=self.evaluations,
            seed=self.seed,
            precision=precision,
            gradient_checkpointing=self.study.train.gradient_checkpointing,
            accumulation=self.study.train.accumulation,
            tokens_per_pass=self.study.train.tokens_per_pass,
        )
        return resolve(
            configuration,
            defaults,
            self.scales,
            plain_examples=self.train.num_rows if is_by_cost else None,
        )

    def model(self, seed: int) -> Any:
        """Return a classifier to be trained, its head from `seed`."""
        attention = self.study.train.attention
        return build_model(self.weights, self.labels, seed, attention=attention)

    def training_data(self, configuration: Configuration) -> TrainingData:
        """Return what a configuration trains on, epoch by epoch."""
        if configuration.method not in self.neighbours or self.text is None:
            return PlainData(self.train)
        is_static = configuration.substitution == "static"
        return SubstitutedData(
            text=self.text,
            neighbours=self.neighbours[configuration.method],
            probability=configuration.replace_probability,
            seed=self.seed,
            copies=configuration.copies if is_static else None,
        )

    @property
    def width(self) -> int:
        """Width H of the word embeddings."""
        return int(self.weights.word_embeddings.shape[1])

    @property
    def scales(self) -> Scales:
        """What the lengths of the study's configurations are in."""
        word = Scale(self.unit, self.width)
        return Scales(units=self.study.units, word=word, context=self.context)

    def absolute(self, configuration: Configuration) -> dict[str, float]:
        """Return the absolute values behind a configuration, for the records."""
        # Not on a worker, so of no device; nothing here depends on the precision.
        settings = self._resolve(configuration, "fp32")
        values = {"learning_rate": settings.learning_rate}
        if settings.perturbation is not None:
            if settings.perturbation.sigma > 0:
                values["sigma"] = settings.perturbation.sigma
            if settings.perturbation.is_adversarial:
                values["radius"] = settings.perturbation.radius
        return values

    @property
    def evaluated(self) -> dict[str, pa.Table]:
        """The dev splits that are evaluated on the way, by language."""
        languages = evaluated_languages(
            self.study.select.objective,
            dev_languages=self.dev_languages,
            source_language=self.source_language,
        )
        return {language: self.dev[language] for language in languages}

    @property
    def score_examples(self) -> int:
        """Examples behind a trial's value; of the worst language, as many as the smallest has."""
        objective = self.study.select.objective[0]
        languages = (self.source_language,) if objective == "source" else self.dev_languages
        rows = [int(self.dev[language].num_rows) for language in languages]
        return min(rows) if objective == "worst" else sum(rows)

    def objectives(self, scores: Mapping[str, float], cost: float) -> tuple[float, ...]:
        """Return what the search compares, its value first.

        Args:
            scores: In the study's metric, by language, of all that are `evaluated`.
            cost: Forward passes of one example so far.
        """
        return measure(
            self.study.select.objective,
            scores,
            cost,
            dev_languages=self.dev_languages,
            source_language=self.source_language,
        )


def prepare(study: Study, task: Task, dev_languages: tuple[str, ...], encoder: Path) -> Workload:
    """Read, tokenise and measure everything that the trials need.

    Raises:
        ModelError: the encoder or its tokenizer does not load, or cannot be trained as asked.
        DataError: the task's data is malformed.
        StudyError: a method of the space needs a table of words, and there is none.
    """
    tables = read_substitutes(study, task)
    weights = load_encoder(encoder)
    tokenizer = load_tokenizer(encoder)
    reader = _token_reader(study, task, tokenizer)
    train = reader.split(task, task.source_language, "train")
    pad_id = int(tokenizer.pad_token_id or 0)
    if not _is_known_to_serve(study, task, encoder):
        check_encoder(
            weights,
            pad_id=pad_id,
            longest=_max_length(study, task),
            has_token_types="token_type_ids" in train.column_names,
            sites=study.space.sites,
            attention=study.train.attention,
        )
    text = _training_text(study, task, tokenizer) if tables else None
    if text is not None:
        some = text.texts.column("text").slice(0, _LOOKED_AT).to_pylist()
        require_known_words(tables, some, task)
    dev = {lang: reader.split(task, lang, "dev") for lang in task.languages_with("dev")}
    return Workload(
        labels=task.labels,
        source_language=task.source_language,
        dev_languages=dev_languages,
        train=train,
        text=text,
        neighbours={method: Parcel.of(table) for method, table in tables.items()},
        dev=dev,
        mixed=_mixed(study, task, reader, dev, "dev") if _wants_mixed(study, task) else None,
        weights=weights,
        pad_id=pad_id,
        unit=measure_unit(weights.word_embeddings, distinct_tokens(train)),
        context=_measure_context(study, task, weights, train, pad_id),
        learning_rate=default_learning_rate(weights.config),
        epochs=study.train.epochs or task.epochs,
        batch_size=study.train.batch_size or task.batch_size,
        evaluations=study.stopping.evaluations,
        seed=study.search.seed,
        study=study,
    )


def prepare_test(
    study: Study, task: Task, encoder: Path
) -> tuple[dict[str, pa.Table], MixedPairs | None]:
    """Read and tokenise the test split of every language, the source first: for `confirm` alone.

    Returns:
        Tables by language, and mixed-language pairs unless the study or the task has none.

    Raises:
        ModelError: the tokenizer does not load.
        DataError: the task's data is malformed.
    """
    reader = _token_reader(study, task, load_tokenizer(encoder))
    tables = {lang: reader.split(task, lang, "test") for lang in task.languages_with("test")}
    is_wanted = study.evaluate.generalized != "never" and _can_mix(task)
    return tables, _mixed(study, task, reader, tables, "test") if is_wanted else None


def distinct_tokens(table: pa.Table) -> NDArray[np.int64]:
    """Return the token ids that occur (N,), sorted; part by part, to spare memory."""
    values = table.column("input_ids").combine_chunks().values.to_numpy()
    parts = [np.unique(values[at : at + _PART]) for at in range(0, len(values), _PART)]
    return np.unique(np.concatenate(parts)).astype(np.int64)


_PART = 1 << 20
_MEASURED_TEXTS = 256
"""Texts on which m is measured at the context site: thousands of vectors, and seconds on a CPU."""
_LOOKED_AT = 2000
"""Training texts in which a table of words must know one."""


def _token_reader(study: Study, task: Task, tokenizer: Any) -> TokenReader:
    return TokenReader(tokenizer, _max_length(study, task))


def _max_length(study: Study, task: Task) -> int:
    return study.train.max_length or task.max_length


def _is_known_to_serve(study: Study, task: Task, encoder: Path) -> bool:
    """Return whether tests hold what `check_encoder` would find out in 0.15 s of the start."""
    is_usual = study.train.max_length is None and task.origin == "embedded"
    return is_usual and encoder == find_encoder(EMBEDDED)


def _measure_context(
    study: Study, task: Task, weights: EncoderWeights, train: pa.Table, pad_id: int
) -> Scale | None:
    """Return the scale at the context site, if a trial can be perturbed there."""
    if "context" not in study.space.sites:
        return None
    model = build_model(weights, task.labels, seed=0, attention=study.train.attention)
    unit = measure_context_unit(model, train, pad_id, _MEASURED_TEXTS)
    return Scale(unit, context_width(model))


def _training_text(study: Study, task: Task, tokenizer: Any) -> TrainingText:
    return TrainingText.of(
        task.read(task.source_language, "train"),
        task.fingerprint(task.source_language, "train"),
        tokenizer,
        _max_length(study, task),
    )


def _can_mix(task: Task) -> bool:
    return task.is_pair and task.parallel is not None


def _wants_mixed(study: Study, task: Task) -> bool:
    """Return whether every trial is to be tested on mixed-language pairs.

    Raises:
        StudyError: it is, and the task has none.
    """
    if study.evaluate.generalized != "always":
        return False
    if not _can_mix(task):
        raise StudyError(
            "evaluate.generalized: always needs a task of sentence pairs that is parallel between"
            f" languages, and {task.name!r} is none; write confirm or never"
        )
    return True


def _mixed(
    study: Study, task: Task, reader: TokenReader, tokens: Mapping[str, pa.Table], split: Split
) -> MixedPairs:
    """Return a sample of items in all ordered pairs of languages; the same for every study."""
    assert task.parallel is not None
    items = parallel_items(tokens, task.parallel).sample(study.evaluate.sample, seed=0)
    parts = [task.fingerprint(language, split) for language in tokens]
    fingerprint = json.dumps(["mixed", task.parallel, study.evaluate.sample, *parts])

    def read() -> Iterator[pa.Table]:
        yield from mixed_texts({lang: task.read(lang, split) for lang in tokens}, items)

    return MixedPairs(
        languages=tuple(tokens), items=len(items), tokens=reader.tokens(fingerprint, read)
    )
