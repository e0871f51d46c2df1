"""How well each signal that a search could have chosen by ranks the trials that it ran.

An analysis after the fact: it looks at languages that are held out, and chooses nothing.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy import stats

from rxtune.config.select import Metric, Objective
from rxtune.report.statistics import spearman
from rxtune.report.tables import ABSENT, Table
from rxtune.results import TrialRecord, TrialState, ZeroShot

FEWEST = 4
"""Trials below which a rank correlation says nothing."""
_NAMES: Mapping[Metric, str] = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One way to choose between the trials, and how well it would have done."""

    name: str
    has_chosen: bool
    """Whether the search went by it."""
    trials: int
    """Trials that ran to their end and in which it was measured."""
    correlation: float
    """Spearman's, with the target figure over the trials; NaN below four trials, for a signal
    that is the same in all, and without a language to be the target."""
    low: float
    """Lower end of the 95 % interval of the correlation; NaN as well."""
    high: float
    """Upper end."""
    chosen: TrialRecord | None
    """The trial that it would have chosen."""
    regret: float
    """Target figure of the best trial minus that of the chosen one, a share; NaN as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All signals of a search."""

    signals: tuple[Signal, ...]
    trials: int
    """Trials that ran to their end."""
    started: int
    """Trials in any state."""
    held_out: tuple[str, ...]
    """Target languages that are no dev languages: their mean is the target figure."""
    metric: Metric


def audit_signals(
    records: Sequence[TrialRecord],
    *,
    objective: Objective = "mean",
    first_rung: int | None = None,
) -> Audit:
    """Return how well each signal ranks the trials that ran to their end.

    The target figure of a trial is its mean dev score over the held-out languages: targets that
    are no dev languages and not the signal itself.

    Args:
        records: All trials of a search, in any order.
        objective: By which the search chose: its first one.
        first_rung: Number of the first evaluation that can stop a trial; None: there is none.
    """
    # The order in which a search settles ties: a plain trial, then the first.
    ended = sorted(
        (record for record in records if _is_measured(record)),
        key=lambda record: (record.configuration.method != "standard", record.number),
    )
    results = [record.zero_shot for record in ended if record.zero_shot is not None]
    return Audit(
        signals=tuple(
            _judge(source, ended, results) for source in _sources(ended, objective, first_rung)
        ),
        trials=len(ended),
        started=len(records),
        held_out=results[0].held_out_languages if results else (),
        metric=results[0].metric if results else "accuracy",
    )


def spearman_interval(correlation: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a rank correlation over `n` pairs; NaN below four.

    By Fisher's z with the variance of Bonett and Wright (2000, Psychometrika 65), which grows with
    the correlation: at high ones a constant such as 1.06 / (n - 3) is too small. How often each
    covers the true one is in `benchmarks/spearman_check.py`. A bootstrap would need a seed.

    A perfect order has no finite z: it counts as half-way to the next possible correlation, and
    its interval ends at 1.
    """
    if n < FEWEST or math.isnan(correlation):
        return math.nan, math.nan
    most = 1 - 6 / (n * (n * n - 1))
    bounded = min(max(correlation, -most), most)
    half = float(stats.norm.ppf(0.975)) * math.sqrt((1 + bounded**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(bounded) + side * half) for side in (-1, 1))
    return (-1.0 if correlation < -most else low), (1.0 if correlation > most else high)


@dataclass(frozen=True, slots=True)
class _Source:
    """A signal before it is judged."""

    name: str
    values: Sequence[float | None]
    """By trial; None: not measured."""
    languages: tuple[str, ...] = ()
    """What it is made of, and so no part of its target."""
    has_chosen: bool = False


def _is_measured(record: TrialRecord) -> bool:
    return record.state is TrialState.FINISHED and record.zero_shot is not None


def _sources(
    ended: Sequence[TrialRecord], objective: Objective, first_rung: int | None
) -> Iterator[_Source]:
    results = [record.zero_shot for record in ended if record.zero_shot is not None]
    if not results:
        return
    yield from _of_source_language(results, objective)
    yield from _of_dev_languages(results, objective)
    if first_rung is not None:
        name = f"the search's value after evaluation {first_rung}"
        yield _Source(name, [_value_at(record, first_rung) for record in ended])
    for language in results[0].held_out_languages:
        values = [result.scores[language] for result in results]
        yield _Source(f"{language} (held out)", values, (language,))


def _of_source_language(results: Sequence[ZeroShot], objective: Objective) -> Iterator[_Source]:
    source, dev = results[0].source_language, results[0].dev_languages
    has_chosen = objective == "source" or dev == (source,)
    name = f"{source} (source)"
    yield _Source(name, [r.source_score for r in results], has_chosen=has_chosen)
    yield _Source(f"{name}, noisy embeddings", [r.noisy_source for r in results])


def _of_dev_languages(results: Sequence[ZeroShot], objective: Objective) -> Iterator[_Source]:
    dev, source = results[0].dev_languages, results[0].source_language
    alone = len(dev) == 1 and objective != "source"
    for language in dev:
        if language != source:
            values = [r.scores[language] for r in results]
            yield _Source(f"{language} (dev)", values, has_chosen=alone)
    if len(dev) > 1:
        scores = [[r.scores[language] for language in dev] for r in results]
        names = ", ".join(dev)
        yield _Source(f"mean of {names}", [fmean(s) for s in scores], (), objective == "mean")
        yield _Source(f"worst of {names}", [min(s) for s in scores], (), objective == "worst")


def _value_at(record: TrialRecord, number: int) -> float | None:
    return next((e.value for e in record.evaluations if e.number == number), None)


def _judge(source: _Source, ended: Sequence[TrialRecord], results: Sequence[ZeroShot]) -> Signal:
    target = [lang for lang in results[0].held_out_languages if lang not in source.languages]
    measured = [
        (value, result.mean_over(target), record)
        for value, result, record in zip(source.values, results, ended, strict=True)
        if value is not None and math.isfinite(value)
    ]
    values, figures = [value for value, _, _ in measured], [figure for _, figure, _ in measured]
    enough = bool(target) and len(measured) >= FEWEST
    correlation = spearman(values, figures) if enough else math.nan
    low, high = spearman_interval(correlation, len(measured))
    _, at_choice, chosen = max(measured, key=lambda trial: trial[0], default=(0.0, math.nan, None))
    return Signal(
        name=source.name,
        has_chosen=source.has_chosen,
        trials=len(measured),
        correlation=correlation,
        low=low,
        high=high,
        chosen=chosen,
        regret=max(figures) - at_choice if enough else math.nan,
    )


def audit_table(audit: Audit) -> Table:
    """Return a row per signal; the regret is in points."""
    header = ("signal", "rank correlation", "95 % interval", "would choose", "regret (points)")
    return Table(header, tuple(_row(signal) for signal in audit.signals))


def row_name(signal: Signal) -> str:
    """Return the first cell of a signal's row: a star marks what the search went by."""
    return f"{signal.name} *" if signal.has_chosen else signal.name


def _row(signal: Signal) -> tuple[str, ...]:
    chosen = signal.chosen
    interval = f"{_signed(signal.low)} to {_signed(signal.high)}"
    return (
        row_name(signal),
        _signed(signal.correlation),
        ABSENT if math.isnan(signal.low) else interval,
        ABSENT if chosen is None else f"trial {chosen.number} {chosen.configuration.method}",
        ABSENT if math.isnan(signal.regret) else f"{100 * signal.regret:.1f}",
    )


def _signed(value: float) -> str:
    return ABSENT if math.isnan(value) else f"{value:.2f}".replace("-", "−")


def audit_notes(audit: Audit) -> list[str]:
    """Return what a reader of the table has to know, a sentence or two per note."""
    notes = [
        "An analysis after the fact: it has chosen nothing, and is no reason to choose another"
        " trial of this search. * marks what the search went by.",
        f"Rank correlation: Spearman's, over {audit.trials} of {audit.started} trials, those that"
        f" ran to their end, with the mean dev {_NAMES[audit.metric]} of the held-out languages"
        f" ({', '.join(audit.held_out)}). A language that is itself the signal is left out of"
        " that mean.",
        "Regret: how many points of that mean the trial that the signal would choose is below the"
        " best trial.",
    ]
    if audit.trials < audit.started:
        notes.append(
            "Trials that were stopped early are not in it: among those left, all good, any"
            " signal ranks worse than it would among all."
        )
    fewer = [signal for signal in audit.signals if signal.trials < audit.trials]
    notes += [f"{signal.name}: known of {signal.trials} trials only." for signal in fewer]
    return notes


def audit_csv(audit: Audit) -> str:
    """Return the table as comma-separated values; the regret is a share, not in points."""
    names = ("correlation", "low", "high", "regret")
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(("signal", "has_chosen", "trials", *names, "chosen_trial"))
    for signal in audit.signals:
        numbers = [getattr(signal, name) for name in names]
        shown = ["" if math.isnan(number) else f"{number:.6f}" for number in numbers]
        chosen = "" if signal.chosen is None else signal.chosen.number
        has_chosen = str(signal.has_chosen).lower()
        rows.writerow((signal.name, has_chosen, signal.trials, *shown, chosen))
    return written.getvalue()
