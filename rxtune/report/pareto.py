"""The Pareto front of a search with several objectives: what nothing else beats on all counts."""

from __future__ import annotations

from collections.abc import Sequence

from rxtune.config.select import Objective
from rxtune.report.tables import Table, parameter_text
from rxtune.results import TrialRecord, TrialState

_NAMES = {
    "mean": "mean dev score",
    "worst": "worst dev language",
    "source": "source dev score",
    "compute": "cost",
}


def pareto_front(
    records: Sequence[TrialRecord], objectives: tuple[Objective, ...]
) -> list[TrialRecord]:
    """Return the finished trials that no other one dominates, the first objective's best first.

    A trial dominates another if it is at least as good in every objective and better in one; of
    trials that are equal in all of them, each stands on the front.

    Args:
        records: All trials of a search.
        objectives: The search's; `compute` is to be low, the others high.
    """
    finished = [r for r in records if r.state is TrialState.FINISHED and r.objectives]
    scores = {r.number: _to_be_high(r, objectives) for r in finished}
    front = [
        r
        for r in finished
        if not any(_dominates(scores[other.number], scores[r.number]) for other in finished)
    ]
    return sorted(front, key=lambda r: ([-score for score in scores[r.number]], r.number))


def front_table(
    front: Sequence[TrialRecord], objectives: tuple[Objective, ...], plain_cost: float
) -> Table:
    """Return a row per trial of the front: its objectives, method and parameters.

    Args:
        front: from `pareto_front`.
        objectives: The search's.
        plain_cost: Of a full trial of plain fine-tuning, in forward-equivalents: the unit of cost.
    """
    header = ("trial", *(_NAMES[name] for name in objectives), "method", "parameters")
    rows = tuple(
        (
            str(record.number),
            *(
                _cell(name, value, plain_cost)
                for name, value in zip(objectives, record.objectives, strict=True)
            ),
            record.configuration.method,
            _parameters(record),
        )
        for record in front
    )
    return Table(header, rows)


def _to_be_high(record: TrialRecord, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    return tuple(
        -value if name == "compute" else value
        for name, value in zip(objectives, record.objectives, strict=True)
    )


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def _cell(objective: Objective, value: float, plain_cost: float) -> str:
    return f"{value / plain_cost:.2f} ×" if objective == "compute" else f"{100 * value:.1f}"


def _parameters(record: TrialRecord) -> str:
    searched = record.configuration.searched()
    shown = {"learning_rate": "lr", "sigma": "sigma", "radius": "radius", "pgd_steps": "K"}
    return " ".join(
        f"{short} {parameter_text(searched[name])}"
        for name, short in shown.items()
        if name in searched
    )
