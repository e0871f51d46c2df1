"""The kept predictions of a confirmation's runs, read back and checked against their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxtune.config.configuration import Configuration
from rxtune.config.select import Metric
from rxtune.report.influence import score_and_influence
from rxtune.results import ConfirmedRun, ZeroShot

Array = NDArray[Any]
RunKey = tuple[Configuration, int]
"""A configuration and a seed."""

_COLUMNS = ("id", "language", "label", "prediction")
_CLOSE = 1e-9
"""Accuracies are counts over counts: two that agree differ by rounding alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a run answered on the test split."""

    items: Array
    """Id of every answer's item, as text (R,)."""
    languages: Array
    """Language of every answer (R,)."""
    labels: Array
    """The right class of every answer (R,)."""
    predictions: Array
    """What was answered (R,)."""

    def is_of_same_items_as(self, other: Answers) -> bool:
        """Return whether both answer the same items in the same order."""
        mine = (self.items, self.languages, self.labels)
        others = (other.items, other.languages, other.labels)
        return all(np.array_equal(a, b) for a, b in zip(mine, others, strict=True))

    def mean_and_influence(self, languages: Iterable[str], metric: Metric) -> tuple[float, Array]:
        """Return the mean score over languages, and what every answer adds to its own language's.

        Answers in other languages have the influence 0 (R,).
        """
        influence = np.zeros(len(self.items))
        scores = []
        for language in languages:
            rows = self.languages == language
            score, influence[rows] = score_and_influence(
                self.labels[rows], self.predictions[rows], metric
            )
            scores.append(score)
        return sum(scores) / len(scores), influence


def read_answers(
    runs: Sequence[ConfirmedRun], folder: Path
) -> tuple[dict[RunKey, Answers], list[str]]:
    """Return the answers of every run that has a result, and what is wrong with the others.

    Args:
        runs: Of a confirmation.
        folder: Where their predictions are kept.

    Returns:
        Answers by configuration and seed, and one sentence for every file that is missing,
        damaged, or of other answers than those that the run's accuracies were counted from.
    """
    found: dict[RunKey, Answers] = {}
    problems = []
    for run in runs:
        if run.zero_shot is None:
            continue
        name = run.predictions or "the file of its predictions"
        try:
            answers = _read(folder / run.predictions) if run.predictions else None
            problem = "was not kept" if answers is None else _mismatch(answers, run.zero_shot)
        except FileNotFoundError:
            answers, problem = None, "is missing"
        except (OSError, ValueError, KeyError) as error:
            answers, problem = None, f"cannot be read ({_first_line(error)})"
        if problem is not None:
            problems.append(f"{folder.name}/{name} of seed {run.seed} {problem}")
        elif answers is not None:
            found[run.configuration, run.seed] = answers
    return found, problems


def _read(path: Path) -> Answers:
    from pyarrow import parquet

    table = parquet.read_table(path, columns=list(_COLUMNS))
    item, language, label, prediction = (
        table.column(name).combine_chunks().to_numpy(zero_copy_only=False) for name in _COLUMNS
    )
    # As fixed-width text: numpy sorts and compares it many times faster than objects.
    return Answers(
        items=item.astype(str),
        languages=language.astype(str),
        labels=label.astype(str),
        predictions=prediction.astype(str),
    )


def _mismatch(answers: Answers, result: ZeroShot) -> str | None:
    """Return in what the answers disagree with the run's result, or None."""
    for language, accuracy in result.accuracy.items():
        rows = answers.languages == language
        if not rows.any():
            return f"holds no answer in {language}"
        counted = (answers.labels[rows] == answers.predictions[rows]).mean()
        if abs(counted - accuracy) > _CLOSE:
            return (
                f"says {100 * counted:.2f} % in {language}, and the run's result"
                f" {100 * accuracy:.2f} %"
            )
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:200]


def shared_answers(
    answers: Mapping[RunKey, Answers],
    first: Configuration,
    second: Configuration,
    seeds: Sequence[int],
) -> tuple[list[Answers], list[Answers]] | None:
    """Return the answers of two configurations, seed by seed; None unless all are there.

    None as well where they are not of the same items: a test set that has changed between two
    runs cannot be compared item by item.
    """
    sides = [[answers.get((side, seed)) for seed in seeds] for side in (first, second)]
    whole = [[a for a in side if a is not None] for side in sides]
    if not seeds or any(len(side) < len(seeds) for side in whole):
        return None
    if not all(a.is_of_same_items_as(whole[0][0]) for side in whole for a in side):
        return None
    return whole[0], whole[1]
