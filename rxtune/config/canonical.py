"""When two configurations train the same model: a corner of a method is the simpler method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rxtune.config.configuration import READ_BY, Configuration

DIGITS = 4
"""Significant digits to which two real numbers must agree to be the same."""


def canonical(configuration: Configuration) -> Configuration:
    """Return the simplest configuration that trains the same model in as many updates.

    Noise of sigma 0, a ball of radius 0 and no steps are left out, with all that only they read;
    real numbers are rounded to four significant digits. Two configurations with the same result
    need not both be run.
    """
    simple = _rounded(_without_corners(configuration))
    return Configuration(**simple.searched())


def _without_corners(c: Configuration) -> Configuration:
    if c.clean_weight == 1 and c.method in READ_BY["clean_weight"]:
        return replace(c, method="standard")
    match c.method:
        case "rs_rp" if c.sigma == 0:
            return replace(c, method="standard")
        case "adv" if not _climbs(c):
            return replace(c, method="standard")
        case "smooth_adv" if not _climbs(c):
            return _without_corners(replace(c, method="rs_rp"))
        case "smooth_adv" if c.sigma == 0 and not c.random_start:
            return _without_corners(replace(c, method="adv"))
        case "freelb" if c.radius == 0 or c.pgd_steps == 0:
            return replace(c, method="standard")
        case "freelb" if c.pgd_steps == 1:  # its only pass is at the start
            return _any_step(c) if c.random_start else replace(c, method="standard")
        case "r3f" if c.sigma == 0 or c.consistency_weight == 0:
            return replace(c, method="standard")
        case "rs_da" | "code_switch" if c.replace_probability == 0 and _is_fresh(c):
            return replace(c, method="standard")
    # One step of the ball's radius or more, from its centre, ends on its surface all the same.
    if c.pgd_steps == 1 and not c.random_start and c.step_size >= 1:
        return _any_step(c)
    return c


def _any_step(c: Configuration) -> Configuration:
    return replace(c, step_size=Configuration().step_size)


def _climbs(c: Configuration) -> bool:
    """Return whether there is a perturbation of the ball: a random start is one without steps."""
    return c.radius > 0 and (c.pgd_steps > 0 or c.random_start)


def _is_fresh(c: Configuration) -> bool:
    # Copies that are made once mean more updates, even if they are equal to the original.
    return c.substitution == "on_the_fly"


def _rounded(c: Configuration) -> Configuration:
    changes: dict[str, Any] = {
        name: float(f"{value:.{DIGITS}g}")
        for name, value in c.to_json().items()
        if isinstance(value, float)
    }
    return replace(c, **changes)
