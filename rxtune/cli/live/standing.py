"""How a search stands, in parts: the best beside the baseline, the counts, time and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rxtune.api.progress import Progress
from rxtune.cli.wording import duration, failed_kinds, percent
from rxtune.config.names import short
from rxtune.results import TrialState


def standing(
    progress: Progress, clock: Sequence[str], *, is_alive: bool = True
) -> list[list[str]]:
    """Return what is said below the table: groups that begin a line each, none of them empty."""
    groups = [
        list(_scores(progress)),
        list(_counts(progress, is_alive=is_alive)),
        [*clock, *_cost(progress)],
        [
            f"nothing heard of trial {record.number} for {duration(seconds)}"
            for record, seconds in progress.silent
            if is_alive
        ],
    ]
    return [group for group in groups if group]


def _scores(progress: Progress) -> Iterator[str]:
    best, baseline = progress.best, progress.baseline
    if best is not None:
        yield f"best {percent(best.value)} (trial {best.number}, {best.configuration.method})"
    if baseline is not None and baseline.value is not None:
        so_far = "" if baseline.state is TrialState.FINISHED else " so far"
        yield f"baseline {percent(baseline.value)}{so_far}"
    if best is not None and not best.is_baseline and progress.gain is not None:
        yield f"{100 * progress.gain:+.1f} points".replace("-", "−")


def _counts(progress: Progress, *, is_alive: bool) -> Iterator[str]:
    yield f"{progress.ended}/{progress.asked} trials ended"
    for count, what in (
        (progress.finished, "finished"),
        (progress.stopped, "stopped early"),
        (progress.cut_off, "cut off"),
    ):
        if count:
            yield f"{count} {what}"
    if progress.failed:
        yield f"{sum(progress.failed.values())} failed: {failed_kinds(progress.failed)}"
    running = len(progress.running)
    if is_alive and progress.workers is not None:
        yield f"{running} of {progress.workers} workers busy"
    elif running:
        yield f"{running} {'running' if is_alive else 'broken off'}"


def _cost(progress: Progress) -> Iterator[str]:
    """Yield what training has cost; evaluations are not counted."""
    spent, share = progress.forward_equivalents, progress.compute_share
    if not spent:
        return
    passes = f"{short(float(f'{spent:.2g}'))} forward passes"
    plain = progress.plain_trainings
    trainings = "" if plain is None else f"{plain:.1f} plain trainings, "
    yield f"cost {trainings}{passes}"
    if share is not None:
        budget = progress.study.search.compute_budget
        yield f"{100 * share:.0f} % of compute {budget}"
