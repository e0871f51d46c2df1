"""The table of all trials: what each was, how it ended, what it reached and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rxtune.report.page.findings import Findings
from rxtune.report.page.words import parameters_text, state_text
from rxtune.report.tables import ABSENT, Table
from rxtune.results import TrialRecord

MOST_ROWS = 8000
"""Trials of a table: more would not fit a page of a few megabytes."""


def trials_table(findings: Findings) -> Table:
    """Return a row per trial, those included that others go on with.

    Of more than `MOST_ROWS` the best, and those that ended last.
    """
    header = (
        "trial", "method", "parameters", "state", "dev score", "held-out mean", "worst language",
        "cost", "why it ended",
    )  # fmt: skip
    return Table(header, tuple(_row(record, findings) for record in _listed(findings.records)))


def _listed(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    if len(records) <= MOST_ROWS:
        return list(records)
    best = sorted(records, key=lambda r: r.value if r.value is not None else -math.inf)
    kept = {record.number for record in best[-MOST_ROWS // 2 :]}
    rest = [record for record in records if record.number not in kept]
    kept |= {record.number for record in rest[-(MOST_ROWS - len(kept)) :]}
    return [record for record in records if record.number in kept]


def _row(record: TrialRecord, findings: Findings) -> tuple[str, ...]:
    result, last = record.zero_shot, record.evaluations[-1].number if record.evaluations else 0
    worst = result.worst_language if result else None
    unit = findings.plain_cost
    return (
        str(record.number),
        record.configuration.method,
        parameters_text(record.configuration),
        f"{state_text(record)} {last}/{findings.study.stopping.evaluations}",
        _percent(record.value),
        _percent(result.held_out_mean if result else None),
        f"{worst} {_percent(result.scores[worst])}" if result and worst else ABSENT,
        f"{record.forward_equivalents / unit:.2f}" if unit else ABSENT,
        _reason(record),
    )


def _reason(record: TrialRecord) -> str:
    notes = [] if record.retry_of is None else [f"goes on with trial {record.retry_of}"]
    if len(record.replicates) > 1:
        notes.append(f"mean of {len(record.replicates)} seeds")
    _, _, told = (record.reason or "").partition("stopped at evaluation")
    reason = told.partition(": ")[2] if told else record.reason  # when, the state says
    return "; ".join([*notes, *([reason] if reason else [])])


def _percent(value: float | None) -> str:
    return ABSENT if value is None or value != value else f"{100 * value:.1f}"
