"""How trials are proposed, how many, and when the search is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field

from rxtune.config.budget import ComputeBudget, Duration
from rxtune.config.fields import Section, Whole

Sampler = Literal["tpe", "gp", "nsga2", "qmc", "random", "grid"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
GROWING = ("trials", "time_budget", "compute_budget", "plateau", "keep")
"""What may be changed when a search is resumed: how long it goes on and what it keeps."""


class SearchSettings(Section):
    """How trials are proposed."""

    sampler: Sampler = "tpe"
    """What proposes trials once the start points are used up: Optuna's TPE, Gaussian process or
    NSGA-II; a quasi-random sequence (Sobol); random draws; or all points of a grid."""
    trials: Whole = Field(default=24, ge=1)
    """Number of trials, the baseline included."""
    seed: Whole = Field(default=0, ge=0)
    """Seed of the proposals and of every trial."""
    startup_trials: Whole = Field(default=8, ge=0)
    """Number of ended trials before the sampler models them; until then it draws at random."""
    points: tuple[Mapping[str, Any], ...] = ()
    """Points of the space to start from, after the baseline; what one leaves out is as typical."""
    grid_points: Whole = Field(default=3, ge=1)
    """Values of a range that a grid has, its ends included; a choice has all of its own."""
    replicates: Whole = Field(default=1, ge=1)
    """Most seeds that a trial is trained on; only contenders get more than one."""
    time_budget: Duration | None = None
    """Time after which the search ends, counted from the start of this call; null: none."""
    compute_budget: ComputeBudget | None = None
    """Training that all trials together may do: hours of a device (40h) or forward passes of one
    example (3e9); null: any."""
    plateau: Whole | None = Field(default=None, ge=1)
    """Number of trials in a row that bring nothing better beyond the noise, after which the search
    ends; null: it goes on."""
    keep: Whole = Field(default=1, ge=1)
    """Number of models that stay on disk, those of the best trials."""
