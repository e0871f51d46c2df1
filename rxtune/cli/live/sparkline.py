"""A trial's evaluations as a curve of one line."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"
LONGEST = 12
"""Characters of a curve; of more evaluations each character shows the last of several."""


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """Return values as bars, one character each.

    Args:
        values: In their order; one that is not finite is left blank.
        low: Value of the lowest bar.
        high: Value of the highest bar; all bars are in the middle if it is not above `low`.
    """
    return "".join(_bar(value, low, high) for value in values)


def sampled(values: Sequence[float], total: int) -> list[float]:
    """Return as many of the values as have room.

    Args:
        values: Those that are there so far.
        total: How many there will be in the end.
    """
    if total <= LONGEST:
        return list(values)
    ends = [round((place + 1) * total / LONGEST) for place in range(LONGEST)]
    return [values[end - 1] for end in ends if end <= len(values)]


def _bar(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return " "
    if high <= low:
        return LEVELS[len(LEVELS) // 2]
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return LEVELS[min(int(share * len(LEVELS)), len(LEVELS) - 1)]
