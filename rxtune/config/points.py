"""Points of the space that a study starts from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rxtune.config.configuration import Configuration
from rxtune.config.faults import Fault, refuse
from rxtune.config.names import did_you_mean, show
from rxtune.config.space import Space

KEY = ("search", "points")


def points_of(space: Space, points: Sequence[Mapping[str, Any]]) -> list[Configuration]:
    """Return the configurations of `points`, each completed by typical values.

    Raises:
        StudyError: a point is not of the space; the message names every fault.
    """
    refuse(point_faults(space, points))
    return [space.typical(_complete(space, point)) for point in points]


def point_faults(space: Space, points: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """Yield what is wrong with the points; the keys are those of a study file."""
    for index, point in enumerate(points):
        key = (*KEY, index)
        if "method" not in point and len(space.methods) > 1:
            methods = ", ".join(space.methods)
            yield Fault(key, f"method is required in a point; one of {methods}")
            continue
        yield from _value_faults(space, point, key)


def _value_faults(
    space: Space, point: Mapping[str, Any], key: tuple[str | int, ...]
) -> Iterator[Fault]:
    faults = [*_outside(space, point, key)]
    yield from faults
    if faults:
        return
    chosen = space.filled(_complete(space, point))
    for name in point:
        if not space.is_active(name, chosen):
            text = f"is not read with method {chosen['method']} and the other values; delete it"
            yield Fault((*key, name), text)


def _outside(
    space: Space, point: Mapping[str, Any], key: tuple[str | int, ...]
) -> Iterator[Fault]:
    for name, value in point.items():
        if name not in space.parameters:
            hint = did_you_mean(str(name), space.parameters)
            yield Fault((*key, name), f"the space has no such parameter; {hint}")
            continue
        domain = space.parameters[name].domain
        if not domain.contains(value):
            limits = f"{domain.kind} {show(domain.argument)}"
            text = f"must lie in the space ({limits}), got {show(value)}; change one of the two"
            yield Fault((*key, name), text)


def _complete(space: Space, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the point with its method, which may go without saying."""
    return dict(point) if "method" in point else {"method": space.methods[0], **point}
