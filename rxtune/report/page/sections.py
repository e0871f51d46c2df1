"""What stands on the page, in which order: sections of text, tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from rxtune.report.audit import FEWEST, audit_notes, audit_signals, audit_table
from rxtune.report.confirmation_tables import EXPLANATION, mixed_language_matrices, sections
from rxtune.report.page.confirmed import settled
from rxtune.report.page.course import history_plot, survival_plot
from rxtune.report.page.findings import Findings
from rxtune.report.page.forest import audit_plot, gain_plot
from rxtune.report.page.front import front_plot
from rxtune.report.page.importance import FEWEST as FEWEST_EVALUATED
from rxtune.report.page.importance import importance_plot
from rxtune.report.page.landscape import landscape_plots
from rxtune.report.page.languages import confirmed_plot, searched_plot
from rxtune.report.page.latex import paper_table
from rxtune.report.page.matrix import matrix_plot
from rxtune.report.page.methods import methods_paragraph
from rxtune.report.page.parallel import parallel_plot
from rxtune.report.page.plot import Plot
from rxtune.report.page.sentences import as_sentence, commands, optimism, outcome, status, terms
from rxtune.report.page.trials import trials_table
from rxtune.report.page.words import count, metric_name
from rxtune.report.pareto import front_table, pareto_front
from rxtune.report.tables import Table, comparison_table, mixed_language_table
from rxtune.report.verdict import failure_notes, optimism_of_search


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph; what stands between backticks is code."""

    text: str
    is_main: bool = False
    """Whether it is set large."""
    kind: ClassVar[str] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Sentences of which each stands alone."""

    items: tuple[str, ...]
    title: str = ""
    kind: ClassVar[str] = "notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table with what it shows."""

    title: str
    table: Table
    kind: ClassVar[str] = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Text to be copied as it stands."""

    title: str
    text: str
    kind: ClassVar[str] = "listing"


Block = Text | Notes | Grid | Listing | Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page under a heading."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def page_sections(findings: Findings) -> list[Section]:
    """Return the sections that have anything to show."""
    parts: list[tuple[str, str, Callable[[Findings], Iterator[Block | None]]]] = [
        ("result", "Result", _result),
        ("confirmed", "Fresh seeds and the test split", _confirmed),
        ("languages", "Language by language", _languages),
        ("landscape", "Where good trials lie", _landscape),
        ("parameters", "Which parameters mattered", _parameters),
        ("course", "How the search went", _course),
        ("front", "Several objectives", _front),
        ("mixed", "Pairs of sentences in two languages", _mixed),
        ("audit", "Did the dev language choose well?", _audit),
        ("paper", "For a paper", _paper),
        ("trials", "All trials", _trials),
        ("reproduce", "How to reproduce it", _reproduce),
    ]
    found = []
    for anchor, title, build in parts:
        blocks = tuple(block for block in build(findings) if block is not None)
        if blocks:
            found.append(Section(anchor=anchor, title=title, blocks=blocks))
    return found


def _result(findings: Findings) -> Iterator[Block | None]:
    summary = findings.summary
    if findings.confirmed is not None:
        yield Text(text=as_sentence(settled(findings.confirmed.confirmation)), is_main=True)
    yield Text(text=outcome(findings), is_main=True)
    yield Text(text=status(findings))
    if summary.winner is not None:
        metric = metric_name(summary)
        title = f"Dev {metric} in %; learning_rate, sigma and radius relative (absolute)"
        if findings.study.units == "absolute":
            title = f"Dev {metric} in %"
        yield Grid(title=title, table=comparison_table(summary))
        yield Text(text=optimism(findings))
    warnings = map(as_sentence, summary.warnings if findings.records else ())
    if notes := (*warnings, *findings.problems):
        yield Notes(title="What to doubt", items=notes)
    if findings.records:
        yield Notes(title="Words", items=tuple(terms(findings)))


def _confirmed(findings: Findings) -> Iterator[Block | None]:
    if findings.confirmed is None:
        if findings.summary.best_robust is not None:
            yield Text(
                text="Not yet: nothing has been retrained on fresh seeds. Until then all figures"
                " here are the search's own, from one seed and the dev split."
                f" `rxtune confirm {findings.name}` settles it."
            )
        return
    found = findings.confirmed.confirmation
    yield Text(text=as_sentence(settled(found)), is_main=True)
    yield gain_plot(found)
    yield confirmed_plot(findings.confirmed)
    for title, table in sections(found).items():
        is_plotted = title.startswith("Mixed-language pairs")
        if table.rows and not is_plotted:
            yield Grid(title=title, table=table)
    yield Text(text=EXPLANATION)
    if sentence := optimism_of_search(found):
        yield Text(text=sentence)
    if notes := (*failure_notes(found), *found.problems):
        yield Notes(title="What is left out or was told otherwise", items=notes)


def _languages(findings: Findings) -> Iterator[Block | None]:
    yield searched_plot(findings)


def _landscape(findings: Findings) -> Iterator[Block | None]:
    yield from landscape_plots(findings)


def _parameters(findings: Findings) -> Iterator[Block | None]:
    if not findings.evaluated:
        return
    importance = importance_plot(findings)
    yield importance
    if importance is None:
        number = len(findings.points)
        yield Text(
            text=f"Importance cannot be told: that needs {FEWEST_EVALUATED} evaluated trials with"
            f" different scores, and {count(number, 'trial')} of this space"
            f" {'has' if number == 1 else 'have'} been evaluated."
        )
    yield parallel_plot(findings)


def _course(findings: Findings) -> Iterator[Block | None]:
    yield history_plot(findings)
    yield survival_plot(findings)


def _front(findings: Findings) -> Iterator[Block | None]:
    objectives = findings.study.select.objective
    if (plot := front_plot(findings)) is None:
        return
    yield plot
    front = pareto_front(findings.records, objectives)
    if front:
        table = front_table(front, objectives, findings.plain_cost or 1.0)
        yield Grid(title="Trials that no other one beats on every objective", table=table)


def _mixed(findings: Findings) -> Iterator[Block | None]:
    metric = metric_name(findings.summary)
    if findings.confirmed is not None:
        tables = mixed_language_matrices(findings.confirmed.confirmation)
        yield matrix_plot("mixed-languages-test", tables, split="test", metric=metric)
    winner = findings.summary.winner
    table = mixed_language_table(winner.zero_shot) if winner and winner.zero_shot else None
    if winner is not None and table is not None:
        title = f"trial {winner.number} {winner.configuration.method} (winner)"
        yield matrix_plot("mixed-languages-dev", {title: table}, split="dev", metric=metric)


def _audit(findings: Findings) -> Iterator[Block | None]:
    if not findings.evaluated:
        return
    rule = findings.study.stopping.rule
    audit = audit_signals(
        findings.records,
        objective=findings.study.select.objective[0],
        first_rung=rule.first_rung if rule and rule.first_rung < rule.evaluations else None,
    )
    if audit.trials < FEWEST or not audit.held_out:
        yield Text(
            text=f"This cannot be told: it needs {FEWEST} trials that ran to their end, and a"
            f" target language that took no part in choosing; here are"
            f" {count(audit.trials, 'such trial')} and"
            f" {count(len(audit.held_out), 'such language')}."
        )
        return
    yield audit_plot(audit)
    yield Grid(title="Signals by which the search could have chosen", table=audit_table(audit))
    yield Notes(items=tuple(audit_notes(audit)))


def _paper(findings: Findings) -> Iterator[Block | None]:
    yield Listing(title="Methods, to be pasted and shortened", text=methods_paragraph(findings))
    if table := paper_table(findings):
        yield Listing(title="LaTeX table (needs booktabs)", text=table)


def _trials(findings: Findings) -> Iterator[Block | None]:
    if not findings.records:
        return
    title, table = "Scores in %; cost in full plain trials", trials_table(findings)
    if len(table.rows) < len(findings.records):
        title += f"; {len(table.rows):,} of {len(findings.records):,}: the best, and the last"
    yield Grid(title=title, table=table)


def _reproduce(findings: Findings) -> Iterator[Block | None]:
    yield Text(
        text="Save the study below as `study.yaml`. With one worker the same machine and versions"
        " give the same trials; with several, the order in which they end decides what is"
        " proposed next."
    )
    yield Listing(title="Commands", text=commands(findings))
    yield Listing(title="study.yaml", text=findings.study.to_yaml())
    rows = tuple(findings.versions.items())
    yield Grid(
        title="Versions installed when this report was written; the search's own are tags of its"
        " MLflow run",
        table=Table(("package", "version"), rows),
    )
