"""A summary as rows of text, for the terminal and for MLflow's description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rxtune.config.configuration import Configuration
from rxtune.report.summary import Summary, score
from rxtune.results import TrialRecord, TrialState, ZeroShot

ABSENT = "–"
MIXED_PAIRS = "mixed-language pairs (off-diagonal mean)"
_ALWAYS = ("method", "learning_rate", "sigma", "radius", "pgd_steps", "replace_probability")


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of the same length, all text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def comparison_table(summary: Summary) -> Table:
    """Return the best robust trial beside the best plain and the default plain one.

    Scores, of accuracy unless the first cell says macro-F1, are in percent; the last column is
    best robust minus best plain, in points. A trial that does not exist has `–` in every row;
    without any robust one, there is neither its column nor the last.
    """
    trials = (summary.best_robust, summary.best_plain, summary.default_plain)
    rows = [
        ("trial", *(_text(trial, lambda t: str(t.number)) for trial in trials), ""),
        *_parameter_rows(trials),
        *_seed_rows(trials),
        _score_row(summary.score_name, trials, score),
        *_language_rows(trials),
    ]
    measured = "macro-F1, %" if summary.metric == "macro_f1" else ""
    header = (measured, "best robust", "best plain", "default plain", "robust − plain")
    table = Table(header, tuple(rows))
    # A warning of the summary says that there is none, which a column of dashes does not.
    return table if summary.best_robust is not None else _columns_of(table, (0, 2, 3))


def languages_csv(summary: Summary) -> str:
    """Return the scores of every language in percent, a line per language, for spreadsheets."""
    trials = (summary.best_robust, summary.best_plain, summary.default_plain)
    results = [trial.zero_shot if trial is not None else None for trial in trials]
    known = [result for result in results if result is not None]
    lines = ["language,role,best robust,best plain,default plain"]
    for language in in_order(known[0]) if known else ():
        scores = ["" if r is None else f"{100 * r.scores[language]:.1f}" for r in results]
        lines.append(",".join((language, _role(language, known[0]), *scores)))
    return "\n".join(lines) + "\n"


def _role(language: str, result: ZeroShot) -> str:
    if language == result.source_language:
        return "source"
    return "dev" if language in result.dev_languages else "held-out"


def mixed_language_table(result: ZeroShot) -> Table | None:
    """Return the score on mixed-language pairs in percent, None where it was not measured.

    A row per language of the first sentence, a column per language of the second.
    """
    if result.generalized is None:
        return None
    languages = tuple(result.generalized)
    rows = (
        (first, *(f"{100 * row[second]:.1f}" for second in languages))
        for first, row in result.generalized.items()
    )
    return Table(("first \\ second", *languages), tuple(rows))


def markdown(table: Table) -> str:
    """Return a table in Markdown; all columns but the first are right-aligned."""
    rule = ("---", *("---:" for _ in table.header[1:]))
    lines = [table.header, rule, *table.rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def plain_text(table: Table) -> str:
    """Return a table in columns of spaces, for a terminal of any kind or a file."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def blocks(table: Table, width: int = 100) -> list[Table]:
    """Return the table in as few parts as fit a width, each with the first column.

    The other columns are shared out evenly; a single one that is too wide stays as it is.
    """
    columns = list(range(1, len(table.header)))
    for count in range(1, len(columns) + 1):
        share = -(-len(columns) // count)
        parts = [columns[at : at + share] for at in range(0, len(columns), share)]
        found = [_columns_of(table, [0, *part]) for part in parts]
        if all(len(line) <= width for part in found for line in plain_text(part).splitlines()):
            return found
    return [_columns_of(table, [0, column]) for column in columns] or [table]


def _columns_of(table: Table, columns: Sequence[int]) -> Table:
    header, *rows = ([line[column] for column in columns] for line in (table.header, *table.rows))
    return Table(tuple(header), tuple(tuple(row) for row in rows))


def points(difference: float) -> str:
    """Return a difference of accuracies in points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def optimism_note(summary: Summary, run: str) -> str:
    """Return the sentence that must stand beside every search's result."""
    plural = "" if len(summary.dev_languages) == 1 else "s"
    languages = ", ".join(summary.dev_languages)
    note = (
        "A search's own score is optimistic: the winner was chosen on the dev "
        f"language{plural} {languages}."
    )
    if summary.best_robust is None:  # a confirmation sets a robust trial against a plain one
        return note
    return f"{note} Settle it with `rxtune confirm {run}`."


def describe(summary: Summary, run: str) -> str:
    """Return the result of a search as Markdown, for the page of its MLflow run."""
    parts = [_headline(summary)]
    if summary.winner is not None:
        parts += [markdown(comparison_table(summary)), optimism_note(summary, run)]
    if summary.warnings:
        parts.append("\n".join(f"- **Note:** {warning}" for warning in summary.warnings))
    return "\n\n".join(parts)


def _headline(summary: Summary) -> str:
    states = ", ".join(
        f"{summary.by_state[state]} {state.value}"
        for state in TrialState
        if summary.by_state[state]
    )
    text = f"{summary.trials} trials: {states or 'none ran'}"
    if summary.cut_off:
        was = "was" if summary.cut_off == 1 else "were"
        text += f"; {summary.cut_off} more {was} cut off when the search ended"
    text += "."
    if summary.saved_share:
        text += f" Early stopping saved {100 * summary.saved_share:.0f} % of the training cost."
    return text


_Trials = Sequence[TrialRecord | None]
_Row = tuple[str, ...]


def _text(trial: TrialRecord | None, show: Callable[[TrialRecord], str]) -> str:
    return ABSENT if trial is None else show(trial)


def _parameter_rows(trials: _Trials) -> list[_Row]:
    searched = [trial.configuration.searched() if trial is not None else {} for trial in trials]
    names = [name for name in Configuration().to_json() if _is_worth_a_row(name, trials)]
    return [
        (
            name,
            *(
                _parameter(trial, name, values.get(name))
                for trial, values in zip(trials, searched, strict=True)
            ),
            "",
        )
        for name in names
    ]


def _seed_rows(trials: _Trials) -> list[_Row]:
    """Return over how many seeds each column is the mean; nothing where all are of one."""
    seeds = [0 if trial is None else max(1, len(trial.replicates)) for trial in trials]
    if max(seeds) < 2:
        return []
    return [("seeds", *(str(count) if count else ABSENT for count in seeds), "")]


def _is_worth_a_row(name: str, trials: _Trials) -> bool:
    """Leave out what no method here reads, and, but for the main ones, what nobody changed."""
    read = [trial for trial in trials if trial and name in trial.configuration.searched()]
    default = getattr(Configuration(), name)
    changed = any(getattr(trial.configuration, name) != default for trial in read)
    return bool(read) and (name in _ALWAYS or changed)


def _parameter(trial: TrialRecord | None, name: str, value: object) -> str:
    if trial is None or value is None:
        return ABSENT
    text = parameter_text(value)
    absolute = trial.absolute.get(name)
    # In a study in absolute units both are the same number.
    return text if absolute in (None, value) else f"{text} ({absolute:.3g})"


def parameter_text(value: object) -> str:
    """Return a parameter's value as a space file has it, numbers to three digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _score_row(
    label: str, trials: _Trials, value: Callable[[TrialRecord], float | None]
) -> tuple[str, ...]:
    """Return a row of percentages with the difference of the first two trials."""
    values = [None if trial is None else value(trial) for trial in trials]
    shown = [ABSENT if v is None or v != v else f"{100 * v:.1f}" for v in values]
    robust, plain = values[:2]
    if ABSENT in shown[:2] or robust is None or plain is None:
        return (label, *shown, ABSENT)
    return (label, *shown, f"{100 * (robust - plain):+.1f}".replace("-", "−"))


def _language_rows(trials: _Trials) -> list[_Row]:
    measured = [trial.zero_shot for trial in trials if trial is not None and trial.zero_shot]
    if not measured:
        return []
    first = measured[0]
    rows = [
        _score_row(_label(language, first), trials, _score_in(language))
        for language in in_order(first)
    ]
    means: list[tuple[str, Callable[[ZeroShot], float | None]]] = [
        ("target mean", lambda result: result.target_mean),
        ("held-out mean", lambda result: result.held_out_mean),
    ]
    if any(result.generalized_mean is not None for result in measured):
        means.append((MIXED_PAIRS, lambda result: result.generalized_mean))
    return rows + [_score_row(label, trials, _of_zero_shot(mean)) for label, mean in means]


def in_order(result: ZeroShot) -> list[str]:
    """Return the source language, the dev languages, then the held-out ones."""
    dev = [language for language in result.target_languages if language in result.dev_languages]
    return [result.source_language, *dev, *result.held_out_languages]


def _label(language: str, result: ZeroShot) -> str:
    if language == result.source_language:
        # The source can choose as well; it is no target, so nothing is held out by it.
        return (
            f"{language} (source, dev)"
            if language in result.dev_languages
            else (f"{language} (source)")
        )
    return f"{language} (dev)" if language in result.dev_languages else language


def _of_zero_shot(
    value: Callable[[ZeroShot], float | None],
) -> Callable[[TrialRecord], float | None]:
    return lambda trial: None if trial.zero_shot is None else value(trial.zero_shot)


def _score_in(language: str) -> Callable[[TrialRecord], float | None]:
    return lambda trial: None if trial.zero_shot is None else trial.zero_shot.scores.get(language)
