"""What a search that has ended has found: for its summary, and for MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rxtune.report import Summary, Table
    from rxtune.search.views import Conclusion, SearchResult


def summary_of(result: SearchResult) -> Summary:
    """Return what a search found, and what to doubt about it."""
    from rxtune.report import summarise

    view = result.view
    return summarise(
        result.records,
        evaluations=view.study.stopping.evaluations,
        space=view.study.space,
        examples=view.dev_examples,
        objective=view.study.select.objective[0],
    )


def front_of(result: SearchResult) -> Table | None:
    """Return the Pareto front of a search as a table; None: it had one objective, or no result."""
    from rxtune.report import front_table, pareto_front

    objectives = result.view.study.select.objective
    front = pareto_front(result.records, objectives) if len(objectives) > 1 else []
    plain = next((r.forward_equivalents for r in result.records if r.is_baseline), 0.0)
    return front_table(front, objectives, plain or result.view.forecast) if front else None


def conclude(result: SearchResult) -> Conclusion:
    """Return what MLflow shows of the whole search: the winner's figures and the comparison."""
    from rxtune.report import comparison_table, describe, markdown, winner_metrics, winner_tags
    from rxtune.search.views import Conclusion

    summary = summary_of(result)
    head = (
        f"**rxtune search `{result.view.name}`** of `{result.view.encoder}` on"
        f" `{result.view.task.name}`. Reproduce: `rxtune search --space study.yaml` with the"
        " artifact `study.yaml`."
    )
    text, artifacts = describe(summary, result.view.name), {}
    artifacts["summary.md"] = markdown(comparison_table(summary))
    if front := front_of(result):
        artifacts["pareto_front.md"] = markdown(front)
        text = f"{text}\n\nPareto front:\n\n{markdown(front)}"
    disk = {
        "disk_peak_bytes": float(result.disk_peak),
        "disk_forecast_bytes": float(result.view.disk_forecast),
    }
    return Conclusion(
        metrics=winner_metrics(summary) | disk,
        tags=winner_tags(summary),
        description=f"{head}\n\n{text}",
        artifacts=artifacts,
    )
