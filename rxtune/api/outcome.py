"""What a search that has ended has found: for its summary, and for MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rxtune.config import Study
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
    from rxtune.report import languages_csv, winner_metrics, winner_tags
    from rxtune.search.models import ModelStore
    from rxtune.search.views import Conclusion

    summary, view = summary_of(result), result.view
    disk = {
        "disk_peak_bytes": float(result.disk_peak),
        "disk_forecast_bytes": float(view.disk_forecast),
    }
    return Conclusion(
        metrics=winner_metrics(summary) | disk,
        tags=winner_tags(summary),
        description=_page(result, summary),
        artifacts={**_tables(result, summary), "languages.csv": languages_csv(summary)},
        best_trial=ModelStore(str(view.folder), view.folder / "best").crowned,
    )


def _tables(result: SearchResult, summary: Summary) -> dict[str, str]:
    from rxtune.report import comparison_table, markdown

    tables = {"summary.md": markdown(comparison_table(summary))}
    if front := front_of(result):
        tables["pareto_front.md"] = markdown(front)
    return tables


def _page(result: SearchResult, summary: Summary) -> str:
    """Return the Markdown of the search's page: on what, the result, the space, and how again."""
    from rxtune.report import describe, markdown

    view = result.view
    parts = [
        f"**rxtune search `{view.name}`** of `{view.encoder}` on `{view.task.name}`, trained in"
        f" {view.task.source_language}, chosen by {', '.join(summary.dev_languages) or '–'}."
        f" {_in_a_sentence(summary)}",
        describe(summary, view.name),
    ]
    if front := front_of(result):
        parts.append(f"Pareto front:\n\n{markdown(front)}")
    parts += [
        f"**Searched** (units: {view.study.units})\n\n```yaml\n{space_text(view.study)}```",
        f"**Reproduce** with the artifact `study.yaml`, seed {view.study.search.seed}; the"
        " versions are among the tags:\n\n```bash\nrxtune search --space study.yaml\n```",
        f"**Trials with columns and plots**: the menu *Views* of *Runs*, or `rxtune ui"
        f" {view.name}`.",
    ]
    return "\n\n".join(parts)


def _in_a_sentence(summary: Summary) -> str:
    """Return the result: what MLflow shows of a page before one asks for more."""
    from rxtune.report.tables import points

    best = summary.winner
    if best is None or best.value is None or best.zero_shot is None:
        return "No trial has a result."
    gain = ""
    if summary.gain is not None and best is summary.best_robust:
        gain = f", {points(summary.gain)} points over the best plain"
    held_out = ""
    if best.zero_shot.held_out_languages:
        held_out = f"; held-out mean {100 * best.zero_shot.held_out_mean:.1f} %"
    return (
        f"Best: trial {best.number}, `{best.configuration.method}`, dev {100 * best.value:.1f} %"
        f"{gain}{held_out}."
    )


def space_text(study: Study) -> str:
    """Return the space as its file has it, a line per parameter."""
    import yaml

    lines = []
    for name, domain in study.space.to_plain().items():
        text = yaml.safe_dump(domain, default_flow_style=True, width=200).strip()
        lines.append(f"{name}: {text.removesuffix('...').strip()}\n")
    return "".join(lines)
