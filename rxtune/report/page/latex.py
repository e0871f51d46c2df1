"""Tables for a paper: LaTeX with booktabs, from the same tables that people read."""

from __future__ import annotations

import re

from rxtune.report.confirmation import Confirmation
from rxtune.report.confirmation_tables import contrast_table, language_table, means_table
from rxtune.report.page.findings import Findings
from rxtune.report.page.words import count, metric_name, parameters_text
from rxtune.report.tables import ABSENT, Table, comparison_table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "<": "$<$",
    ">": "$>$",
}
_NARROW = 6
"""Columns that fit a page at their usual size."""
_WIDE = r"  \centering\scriptsize\setlength{\tabcolsep}{2.5pt}"
_SPECIAL_SIGN = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex_escaped(text: str) -> str:
    """Return text that LaTeX sets as it stands."""
    return _SPECIAL_SIGN.sub(lambda match: _SPECIAL[match[0]], text)


def latex_table(table: Table, caption: str, label: str) -> str:
    """Return a table as a LaTeX float; it needs `\\usepackage{booktabs}`."""
    header, *rows = (_row(line) for line in (table.header, *table.rows))
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"  \centering\small" if len(table.header) <= _NARROW else _WIDE,
            rf"  \begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
            r"    \toprule",
            f"    {header}",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            rf"  \caption{{{latex_escaped(caption)}}}",
            rf"  \label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', label)}}}",
            r"\end{table}",
        ]
    )


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(latex_escaped, cells)) + r" \\"


def paper_table(findings: Findings) -> str | None:
    """Return the table of what was confirmed or, until then, of the search; None: no result."""
    confirmed = findings.confirmed
    if confirmed is not None and any(c.results for c in confirmed.confirmation.configurations):
        return _confirmed_table(confirmed.confirmation, findings)
    if findings.summary.winner is None:
        return None
    caption = (
        f"Dev {metric_name(findings.summary)} in % as the search saw it, on one seed: trials were"
        f" chosen by {', '.join(findings.summary.dev_languages)}, so these figures are optimistic"
        " and no test."
    )
    return latex_table(comparison_table(findings.summary), caption, f"search-{findings.name}")


def _confirmed_table(confirmation: Confirmation, findings: Findings) -> str:
    """Return a column per configuration: a page is too narrow for a column per language."""
    languages, means = language_table(confirmation), means_table(confirmation)
    codes, kinds = languages.header[1:], languages.rows[0][1:]
    scores = zip(*(row[1:] for row in languages.rows[1:]), strict=True)
    held_out = means.header.index("held-out mean")
    rows = [
        ("", *(one.configuration.method for one in confirmation.configurations)),
        *(
            (f"{code} ({kind})", *cells)
            for code, kind, cells in zip(codes, kinds, scores, strict=True)
        ),
        ("held-out mean", *(row[held_out] for row in means.rows)),
        *_gain_rows(confirmation),
    ]
    header = ("", *(one.label for one in confirmation.configurations))
    caption = _confirmed_caption(confirmation, findings)
    return latex_table(Table(header, tuple(rows)), caption, f"confirmed-{findings.name}")


def _gain_rows(confirmation: Confirmation) -> list[tuple[str, ...]]:
    table = contrast_table(confirmation)
    found = {
        contrast.candidate.label: dict(zip(table.header, row, strict=True))
        for contrast, row in zip(confirmation.contrasts, table.rows, strict=True)
    }
    names = {"difference": "gain, points", "95 % CI": "95 % interval", "p (Holm)": "p (Holm)"}
    return [
        (
            shown,
            *(found.get(one.label, {}).get(key, ABSENT) for one in confirmation.configurations),
        )
        for key, shown in names.items()
    ]


def _confirmed_caption(confirmation: Confirmation, findings: Findings) -> str:
    seeds = max(len(one.results) for one in confirmation.configurations)
    trained = [
        f"{one.label}: {one.configuration.method}, {parameters_text(one.configuration)}"
        for one in confirmation.configurations
    ]
    return (
        f"Test {metric_name(findings.summary)} in % (mean ± standard deviation over"
        f" {count(seeds, 'seed')} that the search did not use); gain over the best plain"
        " fine-tuning in the held-out mean, with its 95 % interval."
        f" {'; '.join(trained)}."
    )
