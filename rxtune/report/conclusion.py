"""The winner's figures on the search's own run in MLflow."""

from __future__ import annotations

from rxtune.report.summary import Summary


def winner_metrics(summary: Summary) -> dict[str, float]:
    """Return what the winner reached, by MLflow's names; nothing if there is none."""
    winner = summary.winner
    if winner is None or winner.zero_shot is None or winner.value is None:
        return {}
    from rxtune.track.projection import result_metrics  # MLflow takes a second to import

    metrics = {f"dev_{winner.zero_shot.metric}": winner.value, **result_metrics(winner.zero_shot)}
    if summary.gain is not None:
        metrics["gain_over_best_plain"] = summary.gain
    # NaN where there is no such language: MLflow's tables show it as a number. Six decimals are
    # more than any count of examples gives, and a mean of thirds has sixteen.
    return {name: round(value, 6) for name, value in metrics.items() if value == value}


def winner_tags(summary: Summary) -> dict[str, str]:
    """Return which trial won and its parameters, as tags: a longer search may find another."""
    if summary.winner is None:
        return {}
    searched = summary.winner.configuration.searched()
    return {"best.trial": str(summary.winner.number)} | {
        f"best.{name}": _tag(value) for name, value in searched.items()
    }


def _tag(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
