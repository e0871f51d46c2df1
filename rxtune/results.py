"""Records that cross rooms: evaluations, zero-shot results, trials and confirmed runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from statistics import fmean
from typing import Any, Literal, Self

from rxtune.config.configuration import Configuration
from rxtune.config.select import Metric


class TrialState(StrEnum):
    """How a trial stands; every trial of an ended search is in one of the last three states."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Stopped early: its dev accuracy was too low at a rung (Optuna's PRUNED)."""
    FAILED = "failed"
    """Diverged, out of memory, error or interrupted; the reason is kept beside the state."""


class Failure(StrEnum):
    """Why a trial has no result."""

    DIVERGED = "diverged"
    """The loss or the score was not finite; the same would come out again, so no retry."""
    OUT_OF_MEMORY = "out of memory"
    """The device's memory did not hold the training."""
    WORKER_LOST = "worker lost"
    """Its process died, again and again."""
    NODE_LOST = "node lost"
    """Its machine left the cluster, again and again."""
    ERROR = "error"
    """An exception; its traceback lies in the run's `failures/`."""
    INTERRUPTED = "interrupted"
    """The search was ended: no fault of the trial's, which a resume takes up again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One evaluation of a trial on the dev split of the dev languages."""

    number: int
    """1 for the first evaluation of the trial."""
    updates: int
    """Optimiser updates done so far."""
    value: float
    """What the search maximises: its first objective, of `scores`."""
    accuracy: Mapping[str, float]
    """Dev accuracy in [0, 1] by language: the dev languages, and the source if it is asked for."""
    macro_f1: Mapping[str, float] = field(default_factory=dict)
    """Unweighted mean F1 of the classes, in [0, 1], of the same languages."""
    metric: Metric = "accuracy"
    """Which of the two the search compares by."""
    objectives: tuple[float, ...] = ()
    """What a search with several objectives optimises, in the study's order and its own sign:
    `compute` is to be low, all others high; `value` is the first."""
    train_loss: float
    """Mean training loss since the previous evaluation, in nats."""
    forward_equivalents: float
    """Training cost so far, in forward passes of one example: plain step 3, PGD step 3 + 2K."""
    seconds: float
    """Wall time of the trial so far, in seconds."""
    time: float
    """Unix time at which the evaluation ended, in seconds."""

    @property
    def scores(self) -> Mapping[str, float]:
        """By language, what the search compares by: accuracy or macro-F1."""
        return self.macro_f1 if self.metric == "macro_f1" else self.accuracy

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the evaluation that `to_json` wrote."""
        return cls(**{**record, "objectives": tuple(record.get("objectives", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShot:
    """Accuracy in every language of the task, by a model trained on the source language.

    All means are of `scores`: of the accuracy, or of macro-F1 where the study selects by it.
    """

    accuracy: Mapping[str, float]
    """Accuracy in [0, 1] by language, source language included."""
    source_language: str
    dev_languages: tuple[str, ...]
    """The languages that chose between trials: not zero-shot in the strict sense."""
    split: str = "dev"
    metric: Metric = "accuracy"
    """By which of the two the study compares."""
    macro_f1: Mapping[str, float] = field(default_factory=dict)
    """Unweighted mean F1 of the classes, in [0, 1], by language."""
    noisy_source: float | None = None
    """Source score with noise on the embeddings; a signal to be audited. None: not measured."""
    generalized: Mapping[str, Mapping[str, float]] | None = None
    """Of pair tasks: score by language of the first sentence, then of the second; None: not
    measured. On a sample of the items, so its diagonal need not equal `scores`."""

    @property
    def scores(self) -> Mapping[str, float]:
        """By language, what the study compares by: accuracy or macro-F1."""
        return self.macro_f1 if self.metric == "macro_f1" else self.accuracy

    @property
    def generalized_mean(self) -> float | None:
        """Mean score over pairs of sentences in two languages (the matrix without diagonal)."""
        if self.generalized is None:
            return None
        mixed = [
            score
            for first, row in self.generalized.items()
            for second, score in row.items()
            if first != second
        ]
        return sum(mixed) / len(mixed) if mixed else None

    @property
    def target_languages(self) -> tuple[str, ...]:
        """All languages but the source."""
        return tuple(language for language in self.accuracy if language != self.source_language)

    @property
    def held_out_languages(self) -> tuple[str, ...]:
        """Target languages that took no part in selection."""
        return tuple(lang for lang in self.target_languages if lang not in self.dev_languages)

    @property
    def source_score(self) -> float:
        """Score in the language of the training data."""
        return self.scores[self.source_language]

    @property
    def target_mean(self) -> float:
        """Mean score over all target languages (NaN without any)."""
        return self.mean_over(self.target_languages)

    @property
    def held_out_mean(self) -> float:
        """Mean score over held-out target languages: the zero-shot figure (NaN without any)."""
        return self.mean_over(self.held_out_languages)

    @property
    def worst_language(self) -> str | None:
        """The target language with the lowest score, or None without targets."""
        return min(self.target_languages, key=lambda lang: self.scores[lang], default=None)

    def mean_over(self, languages: Collection[str]) -> float:
        """Return the mean score over some languages (NaN without any)."""
        if not languages:
            return float("nan")
        return sum(self.scores[language] for language in languages) / len(languages)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the result that `to_json` wrote."""
        return cls(**{**record, "dev_languages": tuple(record["dev_languages"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """A trial's configuration trained once more, on another seed."""

    seed: int
    value: float
    """Its last evaluation's value."""
    zero_shot: ZeroShot

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the replicate that `to_json` wrote."""
        return cls(**{**record, "zero_shot": ZeroShot.from_json(record["zero_shot"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """Everything that is known about one trial; rebuilt from the journal at any time."""

    number: int
    configuration: Configuration
    """The parameters as searched (relative units unless the study says otherwise)."""
    state: TrialState
    reason: str | None = None
    """Why the trial failed or was stopped, in one line."""
    failure: Failure | None = None
    """What kind of failure it was; None unless the trial failed."""
    losses: int = 0
    """How often its worker was lost and the trial given to another one."""
    retry_of: int | None = None
    """Number of the interrupted trial that this one goes on with; None: it goes on with none."""
    began_as: int | None = None
    """Number of the first interrupted trial of this training; None: it is this one."""
    is_baseline: bool = False
    """Trial 0 (or its retry): plain fine-tuning at default parameters."""
    absolute: Mapping[str, float] = field(default_factory=dict)
    """Absolute values of the relative parameters: learning_rate, sigma, radius (after start)."""
    evaluations: tuple[Evaluation, ...] = ()
    zero_shot: ZeroShot | None = None
    """Dev accuracy of every language; only for trials that ran to their end."""
    replicates: tuple[Replicate, ...] = ()
    """All seeds of a trial that was trained on several, its own first; else empty."""
    started: float | None = None
    """Unix time in seconds."""
    ended: float | None = None

    @property
    def value(self) -> float | None:
        """The last evaluation's value, or None before the first; the mean over replicates."""
        if self.replicates:
            return fmean(replicate.value for replicate in self.replicates)
        return self.evaluations[-1].value if self.evaluations else None

    @property
    def objectives(self) -> tuple[float, ...]:
        """What a search with several objectives compares; empty before the first evaluation.

        The first is the value, a mean over replicates where there are any; the others are of the
        trial's own seed.
        """
        last = self.evaluations[-1].objectives if self.evaluations else ()
        return last if not last or self.value is None else (self.value, *last[1:])

    @property
    def forward_equivalents(self) -> float:
        """Training cost so far (0 before the first evaluation), of all seeds that are done."""
        once = self.evaluations[-1].forward_equivalents if self.evaluations else 0.0
        return once * max(1, len(self.replicates))


def continued(records: Iterable[TrialRecord]) -> set[int]:
    """Return the interrupted trials whose training another one has reported as its own.

    A trial that was interrupted before its first report has handed on what it went on with.
    """
    records = list(records)
    earlier = {record.number: record.retry_of for record in records}
    found: set[int] = set()
    for record in records:
        number = record.retry_of if record.evaluations else None
        while number is not None:
            found.add(number)
            number = earlier.get(number)
    return found


Role = Literal["robust", "named", "best plain", "default plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedRun:
    """A configuration that a search chose, retrained on a fresh seed and tested once."""

    trial: int | None
    """Number of the search's trial that the configuration comes from; None: of none, it was named
    by its parameters."""
    roles: tuple[Role, ...]
    """What the configuration was in the search: the best plain one may be the default as well."""
    configuration: Configuration
    seed: int
    """Seed of the retraining, never that of the search."""
    zero_shot: ZeroShot | None = None
    """Accuracy on the test split; None where the run failed."""
    reason: str | None = None
    """Why the run failed, in one line."""
    forward_equivalents: float | None = None
    """Cost of the training in forward passes of one example; None: not counted."""
    seconds: float | None = None
    """Wall time of the training in seconds; None: not measured."""
    predictions: str | None = None
    """Name of the file with its predictions, in the run's folder of predictions."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the run that `to_json` wrote."""
        zero_shot = record["zero_shot"]
        rebuilt = {
            "roles": tuple(record["roles"]),
            "configuration": Configuration.from_json(record["configuration"]),
            "zero_shot": None if zero_shot is None else ZeroShot.from_json(zero_shot),
        }
        return cls(**{**record, **rebuilt})
