"""The table of all trials: one row each, and what a page has room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rxtune.report.page import Findings
from rxtune.report.page.trials import MOST_ROWS, trials_table


def test_a_row_says_how_a_trial_ended_and_why(found: Callable[..., Findings]) -> None:
    findings = found(8, failed=[6])
    rows = {int(row[0]): row for row in trials_table(findings).rows}
    assert [*rows] == [*range(8)]
    assert rows[0][3] == "finished 6/6"
    assert rows[0][7] == "1.00"
    assert rows[6][3:5] == ("failed 0/6", "–")
    assert rows[6][8].startswith("diverged: loss <nan>")
    stopped = next(row for row in rows.values() if row[3] == "stopped 2/6")
    assert stopped[8].startswith("dev score 0.")


def test_replicates_are_counted(found: Callable[..., Findings]) -> None:
    rows = trials_table(found(3, {"search.replicates": 2, "stopping": "none"})).rows
    assert any("mean of 2 seeds" in row[8] for row in rows)


def test_of_too_many_trials_the_best_and_the_last_are_kept(
    found: Callable[..., Findings],
) -> None:
    few = found(4, {"stopping": "none"})
    worst, *_, best = sorted(few.records, key=lambda record: record.value or 0)
    records = [replace(worst, number=n) for n in range(MOST_ROWS + 500)]
    records[3] = replace(best, number=3)
    rows = trials_table(replace(few, records=tuple(records))).rows
    assert len(rows) == MOST_ROWS
    assert {"3", str(MOST_ROWS + 499)} <= {row[0] for row in rows}
