"""The course of a search: cost adds up, the best so far only rises, every trial has one fate."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rxtune.report.page import Findings
from rxtune.report.page.course import history_plot, survival_plot


def test_the_cost_of_all_trials_adds_up(found: Callable[..., Findings]) -> None:
    findings = found(12)
    plot = history_plot(findings)
    assert plot is not None
    axes = plot.figure.axes[0]
    places = {line.get_gid(): line.get_xdata()[0] for line in axes.lines if line.get_gid()}
    assert findings.plain_cost == 18000.0
    assert max(places.values()) == pytest.approx(findings.summary.spent / 18000)
    assert len(places) == 12
    assert axes.get_xlabel() == "training cost so far, full plain trials"


def test_the_best_so_far_only_rises_and_ends_with_the_winner(
    found: Callable[..., Findings],
) -> None:
    findings = found(12)
    plot = history_plot(findings)
    assert plot is not None
    steps = next(
        line for line in plot.figure.axes[0].lines if line.get_drawstyle() == "steps-post"
    )
    heights = [float(y) for y in steps.get_ydata()]
    assert heights == sorted(heights)
    winner = findings.summary.winner
    assert winner is not None
    assert heights[-1] == pytest.approx(100 * (winner.value or 0))


def test_a_search_without_a_plain_trial_counts_in_passes(found: Callable[..., Findings]) -> None:
    findings = found(5, failed=[0])
    assert findings.plain_cost is None
    plot = history_plot(findings)
    assert plot is not None
    assert plot.figure.axes[0].get_xlabel() == "training cost so far, 10⁶ passes"


def test_a_plain_trial_that_is_not_done_stands_for_a_whole_one(
    found: Callable[..., Findings],
) -> None:
    assert found(1, running=[0]).plain_cost == 18000.0


def test_every_trial_is_counted_once_at_every_evaluation(found: Callable[..., Findings]) -> None:
    findings = found(12, failed=[5], running=[11])
    plot = survival_plot(findings)
    assert plot is not None
    bars = plot.figure.axes[1]
    totals = {
        round(bar.get_x() + bar.get_width() / 2): bar.get_y() + bar.get_height()
        for container in bars.containers
        for bar in container
    }
    expected = {n: sum(len(r.evaluations) >= n for r in findings.records) for n in range(1, 7)}
    assert totals == expected
    assert expected[1] == 11


def test_the_caption_says_what_stopped_trials(found: Callable[..., Findings]) -> None:
    stopped = survival_plot(found(12))
    assert stopped is not None
    assert "ASHA stopped" in stopped.caption
    assert "of the training cost" in stopped.caption


def test_without_a_rule_no_rung_is_drawn(found: Callable[..., Findings]) -> None:
    plot = survival_plot(found(3, {"stopping": "none"}))
    assert plot is not None
    assert plot.caption.startswith("Every trial was to run to its end")


def test_nothing_evaluated_has_no_course(found: Callable[..., Findings]) -> None:
    findings = found(2, failed=range(2))
    assert history_plot(findings) is None
    assert survival_plot(findings) is None
