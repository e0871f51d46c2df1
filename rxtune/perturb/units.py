"""The unit m in which radius and sigma are given, and the way from relative to absolute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rxtune.config.configuration import Norm, Site
from rxtune.config.space import Units
from rxtune.errors import ModelError, StudyError


@dataclass(frozen=True, slots=True)
class Scale:
    """How long the vectors at a site are; relative lengths are multiples of that."""

    unit: float
    """m: their median L2 norm."""
    width: int
    """H: their coordinates."""

    def sigma(self, tau: float) -> float:
        """Return the standard deviation per coordinate of a relative one."""
        return absolute_sigma(tau, self.unit, self.width)

    def radius(self, rho: float, norm: Norm) -> float:
        """Return the radius of a relative one: per token, or per coordinate for `linf`."""
        return absolute_radius(rho, self.unit, self.width, norm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """In which units a study gives lengths, and what they are relative to at each site."""

    units: Units = "relative"
    word: Scale
    context: Scale | None = None
    """None: not measured, so nothing can be perturbed there."""

    def at(self, site: Site) -> Scale:
        """Return the scale at a site.

        Raises:
            StudyError: It was not measured.
        """
        scale = self.word if site == "word" else self.context
        if scale is None:
            raise StudyError(
                "training: site context needs the median norm of the encoder's contextual "
                "vectors, but it was not measured; give scales.context, or use site word"
            )
        return scale


def measure_unit(weight: NDArray[np.floating[Any]], token_ids: ArrayLike) -> float:
    """Return m: the median L2 norm of the word embeddings that occur in the training data.

    Args:
        weight: Word-embedding matrix (V, H).
        token_ids: All token ids of the training data, flat, repetitions allowed (N,).

    Returns:
        m, in the units of `weight`. Every distinct id counts once, however often it occurs.

    Raises:
        ModelError: An id lies outside the vocabulary, there is none, or m is not a positive
            number.
    """
    ids = np.asarray(token_ids).reshape(-1)
    _require_ids_in_vocabulary(ids, len(weight))
    rows = weight[np.bincount(ids, minlength=len(weight)) > 0].astype(np.float64)
    unit = float(np.median(np.linalg.norm(rows, axis=1)))
    if not (math.isfinite(unit) and unit > 0):
        raise ModelError(
            f"word embeddings: their median norm must be a positive number, but is {unit}; "
            "the encoder's file is damaged or was never trained"
        )
    return unit


def absolute_sigma(tau: float, unit: float, width: int) -> float:
    """Return sigma = tau · m / √H: the expected noise norm per token is then about tau · m."""
    return tau * unit / math.sqrt(width)


def absolute_radius(rho: float, unit: float, width: int, norm: Norm) -> float:
    """Return the radius of the ball whose size per token is rho · m.

    For the ball of a sequence this is the radius per token: the projection multiplies it by √L,
    because L differs between sequences. For `linf` it bounds one coordinate.
    """
    return rho * unit / math.sqrt(width) if norm == "linf" else rho * unit


def _require_ids_in_vocabulary(ids: NDArray[Any], vocabulary_size: int) -> None:
    if ids.size == 0:
        raise ModelError(
            "word embeddings: their unit is measured on the training data, but it holds no "
            "token; check the training split"
        )
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocabulary_size:
        raise ModelError(
            f"word embeddings: token ids must lie in [0, {vocabulary_size - 1}], but the "
            f"training data holds ids from {low} to {high}; tokenise it with the tokenizer of "
            "this encoder"
        )
