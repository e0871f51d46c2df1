"""What a trial is compared by: the study's objectives, from its scores and its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from rxtune.config import Objective


def measure(
    objectives: Sequence[Objective],
    scores: Mapping[str, float],
    cost: float,
    *,
    dev_languages: Sequence[str],
    source_language: str,
) -> tuple[float, ...]:
    """Return the objectives of an evaluation, in the study's order and in their own sign.

    Args:
        objectives: `mean` and `worst` are over the dev languages; `compute` is the cost, which is
            to be low, while all others are to be high.
        scores: Accuracy or macro-F1 in [0, 1] by language: of all `evaluated_languages`.
        cost: Forward passes of one example so far.
        dev_languages: At least one.
        source_language: The language of the training data.
    """
    chosen = [scores[language] for language in dev_languages]
    values: dict[Objective, float] = {
        "mean": fmean(chosen),
        "worst": min(chosen),
        "compute": cost,
    }
    if "source" in objectives:
        values["source"] = scores[source_language]
    return tuple(values[objective] for objective in objectives)


def evaluated_languages(
    objectives: Sequence[Objective], *, dev_languages: Sequence[str], source_language: str
) -> tuple[str, ...]:
    """Return the languages whose dev split is evaluated on the way through a trial."""
    asked = [*dev_languages, source_language] if "source" in objectives else dev_languages
    return tuple(dict.fromkeys(asked))
