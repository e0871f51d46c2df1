"""A confirmation as tables: a row per configuration, a column per language; terminal, md, csv."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rxtune.config.configuration import Configuration
from rxtune.report.confirmation import Confirmation, Confirmed
from rxtune.report.tables import (
    ABSENT,
    Table,
    in_order,
    markdown,
    mixed_language_table,
    parameter_text,
    points,
)
from rxtune.report.verdict import (
    claim_of,
    failure_notes,
    interval,
    optimism_of_search,
    p_digits,
    verdict,
)
from rxtune.results import ZeroShot

Measure = Callable[[ZeroShot], float | None]


def sections(confirmation: Confirmation) -> dict[str, Table]:
    """Return all tables by title, in the order in which they are read."""
    means = "Means over languages in %, cost (default plain = 1), training seconds of a run"
    return {
        "What was retrained": configuration_table(confirmation),
        f"Test {_metric(confirmation)} in %, mean±sd over seeds": language_table(confirmation),
        means: means_table(confirmation),
        "Held-out mean against the best plain one, in points": contrast_table(confirmation),
        **{
            f"Mixed-language pairs, {name}, mean over seeds": table
            for name, table in mixed_language_matrices(confirmation).items()
        },
    }


def configuration_table(confirmation: Confirmation) -> Table:
    """Return what each configuration was in the search, its parameters and its seeds."""
    configurations = confirmation.configurations
    names = _worth_a_column([c.configuration for c in configurations])
    rows = []
    for one in configurations:
        searched = one.configuration.searched()
        values = (_parameter(searched.get(name)) for name in names)
        rows.append((one.label, ", ".join(one.roles), *values, _seeds(one)))
    return Table(("", "in the search", *names, "seeds"), tuple(rows))


def _worth_a_column(configurations: Sequence[Configuration]) -> list[str]:
    """Return what is read and, but for the learning rate, is not at its default."""
    searched = [configuration.searched() for configuration in configurations]
    default = Configuration().to_json()
    return [
        name
        for name in default
        if name in ("method", "learning_rate")
        or any(values.get(name, default[name]) != default[name] for values in searched)
    ]


def _parameter(value: object) -> str:
    return ABSENT if value is None else parameter_text(value)


def _seeds(one: Confirmed) -> str:
    done, asked = len(one.results), len(one.runs)
    return str(done) if done == asked else f"{done} of {asked}"


def language_table(confirmation: Confirmation) -> Table:
    """Return the test score in percent, a column per language; the first row says its kind."""
    first = _first_result(confirmation)
    if first is None:
        return Table(("",), tuple((c.label,) for c in confirmation.configurations))
    languages = in_order(first)
    rows = [
        (one.label, *(_spread(_measured(one, _score_in(lang))) for lang in languages))
        for one in confirmation.configurations
    ]
    return Table(("", *languages), (("", *(_kind(lang, first) for lang in languages)), *rows))


def _kind(language: str, result: ZeroShot) -> str:
    is_dev = language in result.dev_languages
    if language == result.source_language:
        return "source, dev" if is_dev else "source"
    return "dev" if is_dev else "held-out"


def means_table(confirmation: Confirmation) -> Table:
    """Return the means over languages in percent, and what a run cost."""
    measures: dict[str, Measure] = {
        "target mean": lambda result: result.target_mean,
        "held-out mean": lambda result: result.held_out_mean,
    }
    is_mixed = any(
        result.generalized is not None
        for one in confirmation.configurations
        for result in one.results.values()
    )
    rows = []
    for one in confirmation.configurations:
        cells = [_spread(_measured(one, measure)) for measure in measures.values()]
        cells += [_worst(one), _spread(_measured(one, _transfer_gap))]
        cells += [_spread(_measured(one, _mixed_pairs))] if is_mixed else []
        rows.append((one.label, *cells, _cost(one, confirmation), _seconds(one)))
    mixed = ("mixed pairs",) if is_mixed else ()
    header = ("", *measures, "worst language", "transfer gap", *mixed, "cost", "seconds")
    return Table(header, tuple(rows))


def contrast_table(confirmation: Confirmation) -> Table:
    """Return every configuration against the best plain one, in the held-out mean, in points."""
    rows = []
    for contrast in confirmation.contrasts:
        label = f"{contrast.candidate.label} − {contrast.plain.label}"
        gain = contrast.gain
        if gain is None:
            rows.append((label, *[ABSENT] * 6))
            continue
        is_tested = contrast.p is not None
        p_values = (p_digits(gain.p), p_digits(contrast.p or 0.0)) if is_tested else (ABSENT,) * 2
        basis = (str(gain.seeds), ABSENT if gain.items is None else str(gain.items))
        rows.append((label, points(gain.mean), interval(gain), *p_values, *basis))
    return Table(("", "difference", "95 % CI", "p", "p (Holm)", "seeds", "items"), tuple(rows))


def mixed_language_matrices(confirmation: Confirmation) -> dict[str, Table]:
    """Return the score on mixed-language pairs in percent, by name of the configuration.

    Of the claim's two sides alone, each the mean over its seeds; those that were not measured are
    left out. Rows are the language of the first sentence, columns that of the second.
    """
    claim = claim_of(confirmation)
    sides = (claim.candidate, claim.plain) if claim else ()
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


def confirmation_report(confirmation: Confirmation, run: str) -> str:
    """Return the whole confirmation as Markdown."""
    tables = (f"## {title}\n\n{markdown(t)}" for title, t in sections(confirmation).items())
    notes = [*failure_notes(confirmation), *confirmation.problems]
    parts = [f"# Confirmation of `{run}`", f"**{verdict(confirmation)}**", *tables]
    parts += [optimism] if (optimism := optimism_of_search(confirmation)) else []
    parts += ["\n".join(f"- note: {note}" for note in notes)] if notes else []
    return "\n\n".join([*parts, EXPLANATION]) + "\n"


EXPLANATION = (
    "Held-out languages took no part in the search's choice. Transfer gap: source minus target"
    " mean. Cost is counted in forward passes. Intervals and p values:"
    " hierarchical bootstrap over seeds and test items; p (Holm) is adjusted for all rows that"
    " have one."
)
"""What stands below the tables."""


def confirmation_csv(confirmation: Confirmation) -> str:
    """Return a line per configuration with all figures as numbers, scores in percent."""
    first = _first_result(confirmation)
    languages = [] if first is None else in_order(first)
    records = [_record(one, confirmation, languages) for one in confirmation.configurations]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _record(
    one: Confirmed, confirmation: Confirmation, languages: Sequence[str]
) -> dict[str, object]:
    names = _worth_a_column([c.configuration for c in confirmation.configurations])
    searched = one.configuration.searched()
    measures: dict[str, Measure] = {
        **{language: _score_in(language) for language in languages},
        "target_mean": lambda result: result.target_mean,
        "held_out_mean": lambda result: result.held_out_mean,
        "transfer_gap": _transfer_gap,
        "mixed_pairs": _mixed_pairs,
    }
    worst = _worst_language(one)
    return {
        "configuration": one.label,
        "trial": "" if one.trial is None else one.trial,
        "roles": " + ".join(one.roles),
        **{name: searched.get(name, "") for name in names},
        "seeds": len(one.results),
        **_mean_and_sd({name: _measured(one, m) for name, m in measures.items()}),
        "worst_language": worst or "",
        **_mean_and_sd({"worst": _measured(one, _score_in(worst)) if worst else []}),
        **_difference(one, confirmation),
        "cost": _number(_relative_cost(one, confirmation), 1.0),
        "seconds": _number(_mean(_seconds_of(one)), 1.0),
    }


def _mean_and_sd(values: Mapping[str, list[float]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, numbers in values.items():
        found[name] = _number(_mean(numbers))
        found[f"{name}_sd"] = _number(statistics.stdev(numbers) if len(numbers) > 1 else None)
    return found


def _difference(one: Confirmed, confirmation: Confirmation) -> dict[str, object]:
    contrast = next((c for c in confirmation.contrasts if c.candidate is one), None)
    gain = contrast.gain if contrast else None
    return {
        "difference": _number(gain.mean if gain else None),
        "ci_low": _number(gain.low if gain else None),
        "ci_high": _number(gain.high if gain else None),
        "p": _number(gain.p if gain and contrast and contrast.is_tested else None, 1.0),
        "p_holm": _number(contrast.p if contrast else None, 1.0),
        "error": "" if gain is None else "t test" if gain.items is None else "bootstrap",
    }


def _number(value: float | None, factor: float = 100.0) -> object:
    """Return a number for a file: four decimals of a percentage are more than any test gives."""
    if value is None or not math.isfinite(value):
        return ""
    return round(factor * value, 6 if factor == 1.0 else 4)


def _metric(confirmation: Confirmation) -> str:
    first = _first_result(confirmation)
    return "macro-F1" if first is not None and first.metric == "macro_f1" else "accuracy"


def _first_result(confirmation: Confirmation) -> ZeroShot | None:
    results = (r for one in confirmation.configurations for r in one.results.values())
    return next(results, None)


def _measured(one: Confirmed, measure: Measure) -> list[float]:
    """Return a measure by seed, without the seeds in which it is not known."""
    values = (measure(result) for result in one.results.values())
    return [value for value in values if value is not None and math.isfinite(value)]


def _score_in(language: str) -> Measure:
    return lambda result: result.scores.get(language)


def _mixed_pairs(result: ZeroShot) -> float | None:
    return result.generalized_mean


def _transfer_gap(result: ZeroShot) -> float:
    return result.source_score - result.target_mean


def _worst_language(one: Confirmed) -> str | None:
    """Return the language that is worst in the mean over seeds: seed by seed it may be another."""
    targets = next((result.target_languages for result in one.results.values()), ())
    return min(targets, key=lambda lang: _measured(one, _score_in(lang)), default=None)


def _worst(one: Confirmed) -> str:
    language = _worst_language(one)
    if language is None:
        return ABSENT
    return f"{language} {_spread(_measured(one, _score_in(language)))}"


def _relative_cost(one: Confirmed, confirmation: Confirmation) -> float | None:
    default = next((c for c in confirmation.configurations if "default plain" in c.roles), None)
    costs = _mean(_costs_of(one)), _mean(_costs_of(default)) if default else None
    return costs[0] / costs[1] if costs[0] is not None and costs[1] else None


def _cost(one: Confirmed, confirmation: Confirmation) -> str:
    cost = _relative_cost(one, confirmation)
    return ABSENT if cost is None else f"{cost:.2f}"


def _seconds(one: Confirmed) -> str:
    seconds = _mean(_seconds_of(one))
    return ABSENT if seconds is None else f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"


def _costs_of(one: Confirmed) -> list[float]:
    return [r.forward_equivalents for r in one.runs if r.forward_equivalents is not None]


def _seconds_of(one: Confirmed) -> list[float]:
    return [run.seconds for run in one.runs if run.seconds is not None]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation over seeds in percent: `81.4±1.1`."""
    if not values:
        return ABSENT
    text = f"{100 * statistics.fmean(values):.1f}".replace("-", "−")
    return f"{text}±{100 * statistics.stdev(values):.1f}" if len(values) > 1 else text
