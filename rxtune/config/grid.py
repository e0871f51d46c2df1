"""How many points a grid of a space has, and how many it may have."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from rxtune.config.conditions import reads
from rxtune.config.domains import Choice, Constant, Domain
from rxtune.config.faults import Fault
from rxtune.config.search_settings import SearchSettings
from rxtune.config.space import Space

MOST_POINTS = 20_000
"""Points of a grid; it is written out whole, so that its order can be random."""


def grid_faults(space: Space, search: SearchSettings) -> Iterator[Fault]:
    """Yield that the grid of a space is too large, if it is to be searched."""
    size = grid_size(space, search.grid_points)
    if search.sampler == "grid" and size > MOST_POINTS:
        text = (
            f"the grid has up to {size:,} points and may have {MOST_POINTS:,}; take fewer values"
            " of a range, fix parameters of the space, or use the sampler qmc"
        )
        yield Fault(("search", "grid_points"), text)


def grid_size(space: Space, points: int) -> int:
    """Return how many points a grid has at most.

    Conditions on other values than the method make it smaller.

    Args:
        space: What it covers.
        points: Values of a range.
    """
    return sum(
        prod(
            _count(parameter.domain, points)
            for name, parameter in space.parameters.items()
            if name != "method" and reads(method, name)
        )
        for method in space.methods
    )


def _count(domain: Domain, points: int) -> int:
    if isinstance(domain, Choice):
        return len(domain.values)
    if isinstance(domain, Constant):
        return 1
    return min(points, int(domain.high - domain.low) + 1) if domain.is_int else points
