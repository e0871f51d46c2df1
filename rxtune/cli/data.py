"""The data of a task as a table: rows, labels, and what the encoder's tokenizer knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rxtune.cli.console import errors, output

if TYPE_CHECKING:
    from rxtune.data import DataSummary, UnknownShare
    from rxtune.search.plan import Plan

_LABEL_COLUMNS = 4
"""Labels that have a column each; more would not fit a terminal."""


def show_own_data(plan: Plan) -> None:
    """Print what the checks found in data that is not embedded; nothing of Babel."""
    if plan.data is None:
        return
    from rxtune.data import load_tokenizer, unknown_shares

    shares = unknown_shares(plan.task, load_tokenizer(plan.encoder_folder))
    show_data(plan.data, shares, with_labels=False)


def show_data(
    data: DataSummary, shares: tuple[UnknownShare, ...] = (), *, with_labels: bool = True
) -> None:
    """Print rows by language and split, and what is odd.

    Args:
        data: What the checks found.
        shares: Of unknown tokens, for the tokenizer of an encoder; without: no such column.
        with_labels: Whether to count the labels as well.
    """
    task = data.task
    labels = task.labels if with_labels else ()
    if len(labels) > _LABEL_COLUMNS:
        output.print(f"\nlabels: {escape(', '.join(labels))}", soft_wrap=True)
        labels = ("of each label",)
    columns = ("language", "train", "dev", "test", *(["unknown"] if shares else []), *labels)
    table = plain_table(*map(escape, columns), right=tuple(map(escape, columns[1:])))
    for column in table.columns:
        column.no_wrap = True
    known = {share.language: share for share in shares}
    for language in task.languages:
        mark = " (dev)" if language in task.dev_languages else ""
        unknown = [_unknown(known.get(language))] if shares else []
        counts = _labels(data, language) if with_labels else []
        counts = [" ".join(counts)] if len(counts) > _LABEL_COLUMNS else counts
        table.add_row(f"{escape(language)}{mark}", *_rows(data, language), *unknown, *counts)
    output.print()
    output.print(table)
    if with_labels:
        output.print("[dim]labels: of the training data or, where there is none, of dev[/]")
    if shares:
        output.print("[dim]unknown: tokens of dev that the encoder's tokenizer does not know[/]")
    if data.dropped:
        total = sum(data.dropped.values())
        output.print(f"{total:,} rows of the data set are no examples and left out")
    for note in (*data.warnings, *_uncovered(shares)):
        errors.print(f"[magenta]note:[/] {escape(note)}", soft_wrap=True)


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table without lines.

    Args:
        *columns: Their headers.
        right: Those whose cells stand at the right.
    """
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def _rows(data: DataSummary, language: str) -> list[str]:
    rows = [data.rows.get((language, split), 0) for split in ("train", "dev", "test")]
    return [f"{number:,}" if number else "–" for number in rows]


def _labels(data: DataSummary, language: str) -> list[str]:
    counts = [data.labels.get((language, split)) for split in ("train", "dev")]
    return [f"{number:,}" for number in counts[0] or counts[1] or ()]


def _unknown(share: UnknownShare | None) -> str:
    if share is None:
        return "–"
    text = f"{100 * share.share:.1f} %"
    return text if share.is_covered else f"[magenta]{text}[/]"


def _uncovered(shares: tuple[UnknownShare, ...]) -> list[str]:
    found = [share for share in shares if not share.is_covered]
    if not found:
        return []
    named = ", ".join(f"{share.language} ({100 * share.share:.0f} % unknown)" for share in found)
    return [
        f"the encoder's tokenizer does not cover the script of {named}; nothing can be learnt"
        " for such a language: leave it out, or choose another encoder"
    ]
