"""Plots of one section each: languages, gains, signals, matrices, front, parallel coordinates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from rxtune.report.audit import audit_signals
from rxtune.report.page import Findings
from rxtune.report.page.forest import audit_plot, gain_plot
from rxtune.report.page.front import front_plot
from rxtune.report.page.languages import confirmed_plot, searched_plot
from rxtune.report.page.matrix import matrix_plot
from rxtune.report.page.parallel import parallel_plot
from rxtune.report.page.plot import Plot
from rxtune.report.page.style import new_figure, styled
from rxtune.report.pareto import pareto_front
from rxtune.report.tables import Table
from tests.report.page.simulated import BABEL


def labels(plot: Plot) -> list[str]:
    return [tick.get_text() for tick in plot.figure.axes[0].get_yticklabels()]


def test_languages_stand_from_the_source_to_the_held_out_ones(
    found: Callable[..., Findings],
) -> None:
    plot = searched_plot(found(8))
    assert plot is not None
    assert labels(plot)[:3] == ["eng  (source)", "qaf  (dev)", "qaa  (held-out)"]
    assert len(labels(plot)) == len(BABEL)
    assert "95 % Wilson intervals from 1,000 items per language" in plot.caption
    assert any("(winner), qaf: " in text and " to " in text for text in plot.tooltips.values())


def test_one_trial_that_is_best_and_default_plain_is_drawn_once(
    found: Callable[..., Findings],
) -> None:
    plot = searched_plot(found(1))
    assert plot is not None
    assert {text.split(":")[0] for text in plot.tooltips.values()} == {
        "best plain and default plain"
    }


def test_macro_f1_has_no_interval_and_says_why(found: Callable[..., Findings]) -> None:
    plot = searched_plot(found(4, {"select.metric": "macro_f1"}))
    assert plot is not None
    assert "Without intervals: macro-F1 is no proportion" in plot.caption


def test_a_search_without_a_result_has_no_languages(found: Callable[..., Findings]) -> None:
    assert searched_plot(found(2, failed=range(2))) is None


@pytest.mark.parametrize(
    ("changes", "caption"),
    [
        ({}, "other seeds and other test items (hierarchical bootstrap)"),
        ({"keeps_predictions": False}, "other seeds alone (t test)"),
        ({"seeds": (1,)}, "Without intervals: they need two seeds."),
    ],
)
def test_the_intervals_of_a_confirmation_are_named(
    changes: dict[str, object], caption: str, confirmed: Callable[..., Findings]
) -> None:
    findings = confirmed(**changes)
    assert findings.confirmed is not None
    plot = confirmed_plot(findings.confirmed)
    assert plot is not None
    assert caption in plot.caption


def test_the_gain_is_drawn_as_the_table_has_it(confirmed: Callable[..., Findings]) -> None:
    findings = confirmed()
    assert findings.confirmed is not None
    (contrast,) = findings.confirmed.confirmation.contrasts
    plot = gain_plot(findings.confirmed.confirmation)
    assert plot is not None
    assert contrast.gain is not None
    bar = plot.figure.axes[0].lines[0]
    ends = [100 * contrast.gain.low, 100 * contrast.gain.high]
    assert list(bar.get_xdata()) == pytest.approx(ends)


def test_without_two_seeds_there_is_no_gain_to_draw(confirmed: Callable[..., Findings]) -> None:
    findings = confirmed(seeds=(1,))
    assert findings.confirmed is not None
    assert gain_plot(findings.confirmed.confirmation) is None


def test_the_audit_draws_every_signal_that_has_a_correlation(
    found: Callable[..., Findings],
) -> None:
    audit = audit_signals(found(12, {"stopping": "none"}).records, first_rung=2)
    plot = audit_plot(audit)
    assert plot is not None
    assert "qaf (dev) *" in labels(plot)
    assert len(labels(plot)) == sum(s.correlation == s.correlation for s in audit.signals)


def test_a_matrix_has_its_rows_and_columns_where_the_table_has_them() -> None:
    table = Table(("first \\ second", "a", "b"), (("a", "90.0", "70.0"), ("b", "60.0", "80.0")))
    plot = matrix_plot("m", {"one": table, "two": table}, split="test", metric="accuracy")
    assert plot is not None
    axes = plot.figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["90", "70", "60", "80"]
    assert [(t.get_position()[0], t.get_position()[1]) for t in axes.texts[:2]] == [
        (0.5, 0.5),
        (1.5, 0.5),
    ]
    assert axes.yaxis_inverted()
    assert matrix_plot("m", {}, split="test", metric="accuracy") is None


def test_the_front_is_ringed_in_every_objective(found: Callable[..., Findings]) -> None:
    objectives = ["mean", "worst", "compute"]
    findings = found(
        10,
        {"select.objective": objectives, "select.languages": ["qaf", "qag"]},
        dev=("qaf", "qag"),
    )
    plot = front_plot(findings)
    assert plot is not None
    front = pareto_front(findings.records, findings.study.select.objective)
    rings = [line for line in plot.figure.axes[1].lines if not line.get_gid()]
    assert len(rings) == len(front) > 0
    assert plot.figure.axes[1].get_xlabel() == "cost, full plain trials"
    assert front_plot(found(2, name="single")) is None


def test_a_parallel_line_ends_at_the_score_and_dips_where_nothing_is_read(
    found: Callable[..., Findings],
) -> None:
    findings = found(12)
    plot = parallel_plot(findings)
    assert plot is not None
    lines = {line.get_gid(): line for line in plot.figure.axes[0].lines if line.get_gid()}
    assert lines.keys() == {f"t{r.number}" for r in findings.evaluated}
    winner = findings.summary.winner
    assert winner is not None
    assert lines[f"t{winner.number}"].get_ydata()[-1] == pytest.approx(1.0)
    columns = [tick.get_text() for tick in plot.figure.axes[0].get_xticklabels()]
    assert lines["t0"].get_ydata()[columns.index("sigma")] < 0  # plain fine-tuning reads none


def test_a_name_in_a_plot_is_no_formula() -> None:
    with styled():
        figure = new_figure(2, 1)
        figure.text(0.1, 0.5, "$x_1$ & <b>")
        svg = Plot(name="p", title='a "b"', caption="", figure=figure).svg
    assert "$x_1$ &amp; &lt;b&gt;" in svg
    assert "aria-label='a \"b\"'" in svg


def test_two_plots_of_a_page_share_no_id(found: Callable[..., Findings]) -> None:
    findings = found(4)
    with styled():
        plots = [searched_plot(findings), parallel_plot(findings)]
        first, second = (plot.svg for plot in plots if plot is not None)
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', second)) <= ids[1]


def test_tooltips_hang_at_their_marks(found: Callable[..., Findings]) -> None:
    plot = parallel_plot(found(3))
    assert plot is not None
    named = replace(plot, tooltips={"t0": "a < b"})
    assert '<g id="parallel-coordinates--t0"><title>a &lt; b</title>' in named.svg
