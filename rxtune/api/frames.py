"""A search's records as data frames: trials, zero-shot results, curves, confirmed runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rxtune.config import Space
from rxtune.results import ConfirmedRun, TrialRecord, ZeroShot

if TYPE_CHECKING:
    from pandas import DataFrame

    from rxtune.report.confirmation import Contrast

ABSOLUTE = ("learning_rate", "sigma", "radius")
"""Parameters that have a relative and an absolute value."""


def trials_frame(records: Sequence[TrialRecord], space: Space) -> DataFrame:
    """Return a row per trial, by its number, in whatever state it is; scores are shares of 1.

    Args:
        records: Of all trials.
        space: What was searched: its parameters are columns.
    """
    import pandas

    names = list(dict.fromkeys(("method", "learning_rate", *space.parameters)))
    columns = [
        "trial", "state", "reason", *names, *(f"{n}_absolute" for n in names if n in ABSOLUTE),
        "dev_score", "source", "target_mean", "held_out_mean", "worst", "worst_language",
        "evaluations", "updates", "forward_equivalents", "seconds", "seeds", "is_baseline",
        "retry_of", "started", "ended",
    ]  # fmt: skip
    frame = pandas.DataFrame([_trial(record) for record in records], columns=columns)
    whole = ("updates", "retry_of", *(n for n in names if n in ("pgd_steps", "samples")))
    frame = frame.astype(dict.fromkeys(whole, "Int64"))
    for name in ("started", "ended"):
        frame[name] = pandas.to_datetime(frame[name].astype(float), unit="s", utc=True)
    return frame.set_index("trial")


def _trial(record: TrialRecord) -> dict[str, Any]:
    last = record.evaluations[-1] if record.evaluations else None
    return {
        "trial": record.number,
        "state": record.state.value,
        "reason": record.reason,
        **record.configuration.searched(),
        **{f"{name}_absolute": value for name, value in record.absolute.items()},
        "dev_score": record.value,
        **_means(record.zero_shot),
        "evaluations": last.number if last else 0,
        "updates": last.updates if last else None,
        "forward_equivalents": record.forward_equivalents,
        "seconds": last.seconds if last else None,
        "seeds": max(1, len(record.replicates)),
        "is_baseline": record.is_baseline,
        "retry_of": record.retry_of,
        "started": record.started,
        "ended": record.ended,
    }


def _means(result: ZeroShot | None) -> dict[str, Any]:
    if result is None:
        return {}
    worst = result.worst_language
    return {
        "source": result.source_score,
        "target_mean": result.target_mean,
        "held_out_mean": result.held_out_mean,
        "worst": result.scores[worst] if worst else None,
        "worst_language": worst,
    }


def zero_shot_frame(records: Iterable[TrialRecord]) -> DataFrame:
    """Return a row per language of every trial that ran to its end: its accuracy on dev."""
    return _frame(
        ("trial", "language", "role", "accuracy", "macro_f1"),
        (
            {"trial": record.number, **row}
            for record in records
            if record.zero_shot is not None
            for row in _languages(record.zero_shot)
        ),
    )


def curves_frame(records: Iterable[TrialRecord]) -> DataFrame:
    """Return a row per evaluation of every trial and language that was looked at."""
    return _frame(
        ("trial", "evaluation", "updates", "language", "accuracy", "macro_f1", "train_loss"),
        (
            {
                "trial": record.number,
                "evaluation": evaluation.number,
                "updates": evaluation.updates,
                "language": language,
                "accuracy": accuracy,
                "macro_f1": evaluation.macro_f1.get(language),
                "train_loss": evaluation.train_loss,
            }
            for record in records
            for evaluation in record.evaluations
            for language, accuracy in evaluation.accuracy.items()
        ),
    )


def confirmed_frame(runs: Iterable[ConfirmedRun]) -> DataFrame:
    """Return a row per language of every confirmed run that has a result, on the test split."""
    return _frame(
        ("trial", "roles", "method", "seed", "language", "role", "accuracy", "macro_f1"),
        (
            {
                "trial": run.trial,
                "roles": ", ".join(run.roles),
                "method": run.configuration.method,
                "seed": run.seed,
                **row,
            }
            for run in runs
            if run.zero_shot is not None
            for row in _languages(run.zero_shot)
        ),
    ).astype({"trial": "Int64"})  # fmt: skip


def contrasts_frame(contrasts: Iterable[Contrast]) -> DataFrame:
    """Return a row per comparison with plain fine-tuning, in the held-out mean; the claim first.

    `p_holm` is adjusted for all comparisons that are tested; missing where none can be made.
    """
    return _frame(
        ("candidate", "against", "difference", "low", "high", "p", "p_holm", "seeds", "items"),
        (
            {
                "candidate": contrast.candidate.label,
                "against": contrast.plain.label,
                "p_holm": contrast.p,
                **_gain(contrast),
            }
            for contrast in contrasts
        ),
    )


def _gain(contrast: Contrast) -> dict[str, Any]:
    gain = contrast.gain
    if gain is None:
        return {}
    names = ("low", "high", "p", "seeds", "items")
    return {"difference": gain.mean, **{name: getattr(gain, name) for name in names}}


def _languages(result: ZeroShot) -> list[dict[str, Any]]:
    return [
        {
            "language": language,
            "role": _role(language, result),
            "accuracy": accuracy,
            "macro_f1": result.macro_f1.get(language),
        }
        for language, accuracy in result.accuracy.items()
    ]


def _role(language: str, result: ZeroShot) -> str:
    if language == result.source_language:
        return "source"
    return "dev" if language in result.dev_languages else "held-out"


def _frame(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    import pandas

    return pandas.DataFrame([dict(row) for row in rows], columns=list(columns))
