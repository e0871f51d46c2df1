"""Points of a space without a model: a quasi-random sequence, a grid, and all there are."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rxtune.config import Choice, Configuration, Constant, Domain, Space, Value
from rxtune.config.canonical import canonical

_LARGEST = 100_000
"""Combinations of values up to which a space is written out."""


def sobol_point(space: Space, seed: int, number: int) -> Configuration:
    """Return point `number` of a scrambled Sobol sequence over the space.

    Every parameter has a dimension of its own, used or not, so that the sequence covers each
    method's parameters evenly (Owen 1998, scrambling).
    """
    from scipy.stats import qmc  # a second, which other samplers need not wait for

    free = [name for name in space.order if not isinstance(_domain(space, name), Constant)]
    if not free:
        return space.configuration({})
    sequence = qmc.Sobol(len(free), scramble=True, rng=np.random.default_rng(seed))
    shares = sequence.fast_forward(number).random(1)[0] if number else sequence.random(1)[0]
    chosen = {
        name: at(_domain(space, name), float(u)) for name, u in zip(free, shares, strict=True)
    }
    return space.configuration(chosen)


def at(domain: Domain, share: float) -> Value:
    """Return the value of a domain at a share in [0, 1) of it."""
    if isinstance(domain, Choice):
        return domain.values[int(share * len(domain.values))]
    if isinstance(domain, Constant):
        return domain.value
    # A whole number takes the width of a number in the range, the ends included.
    slack = 0.5 if domain.is_int else 0.0
    low, high = domain.low - slack, domain.high + slack
    if domain.is_log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    return domain.closest(value)


def grid(space: Space, points: int, seed: int) -> list[Configuration]:
    """Return all points of a grid in a random order, each effectively different one once.

    Args:
        space: What to cover; its conditions are kept.
        points: Number of values of a range, its ends included; a choice has all of its own.
        seed: Of the order: a part of the grid is then a sample of it.
    """
    values = {name: _values(_domain(space, name), points) for name in space.order}
    return _shuffled(space, values, seed)


def everything(space: Space, seed: int) -> list[Configuration] | None:
    """Return all effectively different points in a random order; None: too many to write out."""
    values: dict[str, tuple[Value, ...]] = {}
    for name in space.order:
        domain = _domain(space, name)
        if isinstance(domain, Choice | Constant):
            values[name] = _values(domain, 1)
        elif domain.is_int and domain.high - domain.low < _LARGEST:
            values[name] = tuple(range(int(domain.low), int(domain.high) + 1))
        else:
            return None
    if math.prod(len(some) for some in values.values()) > _LARGEST:
        return None
    return _shuffled(space, values, seed)


def _shuffled(
    space: Space, values: Mapping[str, tuple[Value, ...]], seed: int
) -> list[Configuration]:
    distinct = {canonical(found): found for found in _combinations(space, values, {}, 0)}
    found = list(distinct.values())
    random.Random(f"rxtune grid {seed}").shuffle(found)
    return found


def _combinations(
    space: Space, values: Mapping[str, tuple[Value, ...]], chosen: dict[str, Any], depth: int
) -> Iterator[Configuration]:
    if depth == len(space.order):
        yield space.configuration(chosen)
        return
    name = space.order[depth]
    if not space.is_active(name, chosen):
        yield from _combinations(space, values, chosen, depth + 1)
        return
    for value in values[name]:
        yield from _combinations(space, values, {**chosen, name: value}, depth + 1)


def _values(domain: Domain, points: int) -> tuple[Value, ...]:
    if isinstance(domain, Choice):
        return tuple(domain.values)
    if isinstance(domain, Constant):
        return (domain.value,)
    if points == 1:
        return (domain.middle(),)
    low, high = (math.log(x) if domain.is_log else x for x in (domain.low, domain.high))
    steps = np.linspace(low, high, points).tolist()
    found = [domain.closest(math.exp(step) if domain.is_log else step) for step in steps]
    return tuple(dict.fromkeys(found))


def _domain(space: Space, name: str) -> Domain:
    return space.parameters[name].domain
