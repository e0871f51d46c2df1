"""The unit m of a search, from what its trials have noted."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rxtune.results import TrialRecord


def unit_of(records: Iterable[TrialRecord], width: int) -> float | None:
    """Return m, the median norm of the word embeddings; None: no trial tells it.

    A trial has noted its sigma or radius in both units. The inverse of `perturb.units`.

    Args:
        records: Of a search in relative units.
        width: Width H of the word embeddings.
    """
    for record in records:
        own, absolute = record.configuration, record.absolute
        if own.site != "word":
            continue
        if own.sigma > 0 and "sigma" in absolute:
            return absolute["sigma"] * math.sqrt(width) / own.sigma
        if own.radius > 0 and "radius" in absolute:
            factor = math.sqrt(width) if own.norm == "linf" else 1.0
            return absolute["radius"] * factor / own.radius
    return None
