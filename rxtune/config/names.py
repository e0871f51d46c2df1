"""Nearest valid names and readable values, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

_SHOWN = 60  # characters of a value that an error message repeats


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that `name` was probably meant to be, or None."""
    folded = {_fold(item): item for item in valid}
    matches = get_close_matches(_fold(name), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return a hint: the nearest valid name, or all of them if none is near."""
    valid = tuple(valid)
    near = nearest(name, valid)
    return f"did you mean '{near}'?" if near else f"valid: {', '.join(valid)}"


def show(value: Any) -> str:
    """Return `value` as a user would write it in YAML, cut to a readable length."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    is_list = isinstance(value, list | tuple)
    text = f"[{', '.join(map(show, value))}]" if is_list else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def short(number: float) -> str:
    """Return a finite number in all its digits as a person writes it: 3e9, 1500, 0.25."""
    if abs(number) < 1e6:
        return repr(number).removesuffix(".0")
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    first, *rest = map(str, digits)
    point = f".{''.join(rest)}" if rest else ""
    return f"{'-' * sign}{first}{point}e{int(exponent) + len(rest)}"


def _fold(name: str) -> str:
    return name.casefold().replace("-", "_")
