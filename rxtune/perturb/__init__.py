"""Perturbations of embeddings: noise and projected gradient ascent. Sees losses, never models."""

from rxtune.perturb.perturbation import Perturbation
from rxtune.perturb.units import Scale, Scales, absolute_radius, absolute_sigma, measure_unit

__all__ = [
    "Perturbation",
    "Scale",
    "Scales",
    "absolute_radius",
    "absolute_sigma",
    "measure_unit",
]
