"""What a spectator sees of a search at one moment, whoever runs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rxtune.api.progress import Progress, Tally
from rxtune.cli.wording import duration

if TYPE_CHECKING:
    from rxtune.search.views import SearchView


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A search at one moment."""

    progress: Progress
    elapsed: float
    """Seconds since it began: in this call, where this process runs it."""
    clock: tuple[str, ...]
    """The same in words."""
    left: tuple[str, ...] = ()
    """What is left, in words; empty where that is not known, and when it is over."""
    is_alive: bool = True
    """Whether somebody runs it."""


Look = Callable[[], Sight]


def own_search(view: SearchView) -> Look:
    """Return what looks at the search that this process runs."""
    began = time.time() - (time.monotonic() - view.began)
    tally = Tally(view.study, plain_cost=view.forecast, devices=view.limits.devices, since=began)

    def look() -> Sight:
        progress = tally.look(view.records(), workers=view.capacity.workers)
        elapsed = time.monotonic() - view.began
        budget = view.limits.search.time_budget
        whole = f" of {duration(budget)}" if budget else ""
        return Sight(
            progress=progress,
            elapsed=elapsed,
            clock=(f"{duration(elapsed)}{whole} gone",),
            left=left(progress, elapsed),
        )

    return look


def left(progress: Progress, elapsed: float | None) -> tuple[str, ...]:
    """Return in words what time the rest takes, if that is known: no more than the budget has.

    Args:
        progress: Of the search.
        elapsed: Seconds since this call began; None: not known.
    """
    seconds, budget = progress.seconds_left, progress.study.search.time_budget
    if seconds is None:
        return ()
    if budget is not None and elapsed is not None:
        seconds = max(0.0, min(seconds, budget - elapsed))
    return (f"about {duration(seconds)} left",)
