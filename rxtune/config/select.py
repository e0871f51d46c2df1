"""By what trials are compared: languages, metric and objectives."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator

from rxtune.config.fields import AtLeastOne, Section, printable
from rxtune.config.names import did_you_mean, show

Metric = Literal["accuracy", "macro_f1"]
Objective = Literal["mean", "worst", "source", "compute"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


def _as_languages(value: Any) -> Any:
    if value == "auto":
        return value
    codes = [value] if isinstance(value, str) else value
    if not isinstance(codes, list | tuple) or not all(isinstance(code, str) for code in codes):
        raise ValueError(
            f"auto or language codes are required, got {show(value)}; write [sw, ur], with "
            "quotes around what is no text"
        )
    if not codes:
        raise ValueError("at least one dev language is required, got []; name one or write auto")
    for position, code in enumerate(codes):
        if code in codes[:position]:
            raise ValueError(f"every language must stand once, got {show(code)} twice; delete one")
        if code == "auto":
            raise ValueError("auto must stand alone, got it in a list; write languages: auto")
        printable(code)
    return tuple(codes)


def _as_objectives(value: Any) -> Any:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        known = ", ".join(OBJECTIVES)
        raise ValueError(f"one or several of {known} are required, got {show(value)}")
    for position, name in enumerate(names):
        if name not in OBJECTIVES:
            hint = did_you_mean(str(name), OBJECTIVES)
            raise ValueError(
                f"must be one or several of {', '.join(OBJECTIVES)}, got {show(name)}; {hint}"
            )
        if name in names[:position]:
            raise ValueError(f"every objective must stand once, got {name} twice; delete one")
    if tuple(names) == ("compute",):
        raise ValueError("compute alone would choose the cheapest trial; write [mean, compute]")
    if names[0] == "compute":
        raise ValueError("the first objective names the winner; write [mean, compute]")
    return tuple(names)


Languages = Annotated[
    Literal["auto"] | tuple[str, ...],
    BeforeValidator(_as_languages, json_schema_input_type=str | AtLeastOne[str]),
]
Objectives = Annotated[
    tuple[Objective, ...],
    BeforeValidator(_as_objectives, json_schema_input_type=Objective | AtLeastOne[Objective]),
]


class Select(Section):
    """By what trials are compared."""

    languages: Languages = "auto"
    """Dev languages, by code; auto: the task's low-resource dev language."""
    metric: Metric = "accuracy"
    """What is measured in a language: accuracy, or the unweighted mean F1 of the classes."""
    objective: Objectives = ("mean",)
    """What a search maximises: the mean over the dev languages, the worst of them, or the source
    language alone. Several make a Pareto front, with `compute` (forward passes, to be low) maybe
    among them; the first one then names the winner."""

    @property
    def is_multiple(self) -> bool:
        """Whether the search has a Pareto front in place of a single best value."""
        return len(self.objective) > 1
