"""What a confirmation settled: means over fresh seeds, paired tests of robust against plain."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rxtune.config.configuration import Configuration
from rxtune.report.statistics import PairedComparison, holm, paired_comparison
from rxtune.report.tables import (
    ABSENT,
    MIXED_PAIRS,
    Table,
    mixed_language_table,
    parameter_text,
)
from rxtune.results import ConfirmedRun, Role, ZeroShot

ALPHA = 0.05
"""A claim is confirmed below this p value, adjusted for all comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One configuration over its seeds."""

    trial: int
    roles: tuple[Role, ...]
    configuration: Configuration
    runs: tuple[ConfirmedRun, ...]

    @property
    def results(self) -> dict[int, ZeroShot]:
        """Test results by seed, without the runs that failed."""
        return {run.seed: run.zero_shot for run in self.runs if run.zero_shot is not None}

    @property
    def name(self) -> str:
        """What people call it: `trial 7 (robust)`."""
        return f"trial {self.trial} ({', '.join(self.roles)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A robust configuration against a plain one, in the held-out mean, over shared seeds."""

    robust: Confirmed
    plain: Confirmed
    paired: PairedComparison | None
    """None: fewer than two seeds on which both have a result, or no held-out language."""
    p: float | None = None
    """Adjusted for testing all contrasts together (Holm)."""

    @property
    def is_confirmed(self) -> bool:
        """Whether the robust configuration is better, beyond chance."""
        if self.paired is None or self.p is None:
            return False
        return self.paired.mean_difference > 0 and self.p < ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """All runs of a confirmation, weighed."""

    configurations: tuple[Confirmed, ...]
    """In the order of the runs: robust ones, the search's best first, then plain ones."""
    contrasts: tuple[Contrast, ...]
    """The first one is the claim: the search's best robust trial against its best plain one."""
    failed: tuple[ConfirmedRun, ...]


def weigh(runs: Sequence[ConfirmedRun]) -> Confirmation:
    """Return what the runs of a confirmation say.

    Every robust configuration is tested against the best plain and the default plain one, by
    paired t tests over seeds of the held-out mean, with Holm's correction over all of them. A seed
    on which one of the two failed is left out for both. The tests speak of other seeds on these
    test items and languages, not of other items.

    Args:
        runs: from `confirm`; the best robust configuration first.
    """
    by_trial: dict[int, list[ConfirmedRun]] = {}
    for run in runs:
        by_trial.setdefault(run.trial, []).append(run)
    configurations = tuple(
        Confirmed(
            trial=trial,
            roles=same[0].roles,
            configuration=same[0].configuration,
            runs=tuple(same),
        )
        for trial, same in by_trial.items()
    )
    return Confirmation(
        configurations=configurations,
        contrasts=_contrasts(configurations),
        failed=tuple(run for run in runs if run.zero_shot is None),
    )


def _contrasts(configurations: Sequence[Confirmed]) -> tuple[Contrast, ...]:
    robust = [c for c in configurations if "robust" in c.roles]
    plain = [c for c in configurations if "robust" not in c.roles]
    plain.sort(key=lambda c: "best plain" not in c.roles)
    contrasts = [Contrast(robust=a, plain=b, paired=_paired(a, b)) for a in robust for b in plain]
    adjusted = iter(holm([c.paired.p for c in contrasts if c.paired]))
    return tuple(replace(c, p=next(adjusted)) if c.paired else c for c in contrasts)


def _paired(a: Confirmed, b: Confirmed) -> PairedComparison | None:
    first, second = a.results, b.results
    pairs = [
        (first[seed].held_out_mean, second[seed].held_out_mean)
        for seed in first
        if seed in second and math.isfinite(first[seed].held_out_mean)
    ]
    if len(pairs) < 2:
        return None
    return paired_comparison([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def verdict(confirmation: Confirmation) -> str:
    """Return in one sentence whether the search's claim holds on fresh seeds.

    The claim was fixed before the test: the best robust trial of the search against its best plain
    one. What else looks better now is in the table, and would need a confirmation of its own.
    """
    if not confirmation.contrasts:
        return "not settled: there is no plain run to compare with"
    claim = confirmation.contrasts[0]
    if claim.paired is None or claim.p is None:
        return f"not settled: {_why_unsettled(claim)}"
    figures = (
        f"{_points(claim.paired.mean_difference)} points held-out mean, 95 % CI"
        f" {_bounds(claim.paired)}, {_p(claim.p)}{_correction(confirmation)} over"
        f" {claim.paired.pairs} seeds, {claim.robust.name} against {claim.plain.name}"
    )
    if claim.is_confirmed:
        return f"confirmed: {figures}"
    if claim.paired.mean_difference <= 0:
        return f"not confirmed: the robust one is not better: {figures}"
    return f"not confirmed: the gain may be chance: {figures}"


def _why_unsettled(claim: Contrast) -> str:
    results = [*claim.robust.results.values(), *claim.plain.results.values()]
    if results and not results[0].held_out_languages:
        return "every target language is a dev language, so nothing is held out"
    return (
        f"fewer than two seeds on which both {claim.robust.name} and {claim.plain.name} have a"
        " result"
    )


def _correction(confirmation: Confirmation) -> str:
    tests = sum(contrast.paired is not None for contrast in confirmation.contrasts)
    return f" (Holm, {tests} comparisons)" if tests > 1 else ""


def confirmation_table(confirmation: Confirmation) -> Table:
    """Return a column per configuration: its parameters and its test accuracy.

    Accuracies are mean ± standard deviation over seeds, in percent.
    """
    all_of_them = confirmation.configurations
    rows = [
        *_parameter_rows([c.configuration for c in all_of_them]),
        ("seeds", *(str(len(c.results)) for c in all_of_them)),
        *(
            (label, *(_mean(c, value) for c in all_of_them))
            for label, value in _measures(confirmation).items()
        ),
    ]
    return Table(("", *(c.name for c in all_of_them)), tuple(rows))


def contrast_table(confirmation: Confirmation) -> Table:
    """Return the paired comparisons in the held-out mean, in points."""
    header = ("held-out mean", "difference", "95 % CI", "p", "p (Holm)", "seeds")
    rows = []
    for contrast in confirmation.contrasts:
        label = f"trial {contrast.robust.trial} − {contrast.plain.name}"
        paired = contrast.paired
        if paired is None or contrast.p is None:
            rows.append((label, *[ABSENT] * 5))
            continue
        figures = (_points(paired.mean_difference), _bounds(paired), _digits(paired.p))
        rows.append((label, *figures, _digits(contrast.p), str(paired.pairs)))
    return Table(header, tuple(rows))


def mixed_language_matrices(confirmation: Confirmation) -> dict[str, Table]:
    """Return the accuracy on mixed-language pairs in percent, by name of the configuration.

    Of the claim's two sides alone, each the mean over its seeds; those that were not measured are
    left out. Rows are the language of the first sentence, columns that of the second.
    """
    sides = [c for claim in confirmation.contrasts[:1] for c in (claim.robust, claim.plain)]
    tables = {side.name: _mean_matrix(side) for side in sides}
    return {name: table for name, table in tables.items() if table is not None}


def _mean_matrix(configuration: Confirmed) -> Table | None:
    results = list(configuration.results.values())
    measured = [result.generalized for result in results if result.generalized is not None]
    if not measured:
        return None
    mean = {
        first: {second: statistics.fmean(m[first][second] for m in measured) for second in row}
        for first, row in measured[0].items()
    }
    return mixed_language_table(replace(results[0], generalized=mean))


def failure_notes(confirmation: Confirmation) -> list[str]:
    """Return one sentence for every run that is left out."""
    return [
        f"trial {run.trial} with seed {run.seed} has no result and is left out, with its pairs:"
        f" {run.reason}"
        for run in confirmation.failed
    ]


def _parameter_rows(configurations: Sequence[Configuration]) -> list[tuple[str, ...]]:
    """Return a row for what is read and, but for the learning rate, is not at its default."""
    searched = [configuration.searched() for configuration in configurations]
    default = Configuration().to_json()
    names = [
        name
        for name in default
        if name in ("method", "learning_rate")
        or any(values.get(name, default[name]) != default[name] for values in searched)
    ]
    return [(name, *(_value(values.get(name)) for values in searched)) for name in names]


def _value(value: object) -> str:
    return ABSENT if value is None else parameter_text(value)


def _measures(confirmation: Confirmation) -> dict[str, Callable[[ZeroShot], float]]:
    results = [r for c in confirmation.configurations for r in c.results.values()]
    if not results:
        return {}
    source, dev = results[0].source_language, results[0].dev_languages
    measures: dict[str, Callable[[ZeroShot], float]] = {
        f"{source} (source)": lambda result: result.source_accuracy,
        **{f"{language} (dev)": _accuracy_in(language) for language in dev if language != source},
        "target mean": lambda result: result.target_mean,
        "held-out mean": lambda result: result.held_out_mean,
    }
    if any(result.generalized_mean is not None for result in results):
        measures[MIXED_PAIRS] = _mixed_pairs
    return measures


def _mixed_pairs(result: ZeroShot) -> float:
    return math.nan if result.generalized_mean is None else result.generalized_mean


def _accuracy_in(language: str) -> Callable[[ZeroShot], float]:
    return lambda result: result.accuracy[language]


def _mean(configuration: Confirmed, value: Callable[[ZeroShot], float]) -> str:
    values = [value(result) for result in configuration.results.values()]
    if not values or any(map(math.isnan, values)):
        return ABSENT
    text = f"{100 * statistics.fmean(values):.1f}"
    return f"{text} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else text


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")


def _bounds(paired: PairedComparison) -> str:
    return f"{100 * paired.low:.1f} to {100 * paired.high:.1f}".replace("-", "−")


def _p(p: float) -> str:
    return f"p {_digits(p)}" if p < 0.001 else f"p = {_digits(p)}"


def _digits(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
