"""What every contender is told, and what it answers: one record per trial."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

SOURCE, DEV = "eng", "qaf"
"""Babel's source language, and the language that chooses between trials."""
LABELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A configuration, in absolute units."""

    learning_rate: float
    sigma: float = 0.0
    """Standard deviation of the noise on the word embeddings; 0: plain fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A search that every contender runs."""

    points: tuple[Point, ...]
    """What the trials train, in this order."""
    encoder: str
    """Folder of the pretrained encoder."""
    updates: int
    """Of a trial that is not stopped."""
    stops: bool
    """Whether weak trials are stopped early."""
    workers: int
    """Trials at a time, a thread each."""
    seed: int
    batch_size: int = 32
    evaluations: int = 6
    """Of a full trial in the dev language; at its end come the other languages."""
    first_rung: int = 2
    """Evaluations before a trial can be stopped."""
    reduction_factor: int = 3

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the job that `write` wrote."""
        told = json.loads(file.read_text())
        return cls(**{**told, "points": tuple(Point(**point) for point in told["points"])})

    def write(self, file: Path) -> None:
        """Leave the job in a file."""
        file.write_text(json.dumps(asdict(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a trial."""

    learning_rate: float
    sigma: float
    curve: tuple[float, ...]
    """Accuracy in the dev language in [0, 1], one per evaluation."""
    updates: int
    accuracy: dict[str, float]
    """Accuracy by language at the end; empty for a stopped trial."""
    began: float
    """Unix time at which the trial began, data and imports being ready."""

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Return the answer that `write_answers` wrote."""
        return cls(**{**record, "curve": tuple(record["curve"])})


ANSWERS = Path("answers.json")
"""Where a contender leaves its answers: in the folder that it was started in."""


def write_answers(answers: Iterable[Answer]) -> None:
    """Leave the answers for `compare.py`."""
    ANSWERS.write_text(json.dumps([asdict(answer) for answer in answers]))
