"""What is told of radii that 16 bits lose."""

from __future__ import annotations

from typing import Any

import pytest

from rxtune.config import Choice, Constant, LogUniform, Parameter, Space
from rxtune.train.precision import note_on_radii


def space(radius: Any, units: Any = "relative") -> Space:
    domains = {"method": Constant("adv"), "radius": radius, "pgd_steps": Constant(1)}
    if radius is None:
        domains = {"method": Constant("standard")}
    if units == "absolute":
        domains["learning_rate"] = Constant(2e-5)
    return Space({name: Parameter(name, domain) for name, domain in domains.items()}, units=units)


@pytest.mark.parametrize(
    ("radius", "wanted", "device"),
    [
        (LogUniform(0.003, 0.3), "bf16", "cpu"),
        (LogUniform(0.003, 0.3), "auto", "cuda"),
        (Choice((0.1, 0.003)), "auto", "cuda"),
        (Constant(0.003), "bf16", "cuda"),
    ],
)
def test_a_space_with_radii_too_small_for_bf16_is_told(
    radius: Any, wanted: Any, device: Any
) -> None:
    note = note_on_radii(space(radius), wanted, device)
    assert note is not None
    assert "below 0.03 hardly reaches the logits" in note
    assert "space.radius begins at 0.003" in note


@pytest.mark.parametrize(
    ("radius", "wanted", "device", "units"),
    [
        (LogUniform(0.003, 0.3), "auto", "cpu", "relative"),
        (LogUniform(0.003, 0.3), "fp32", "cuda", "relative"),
        (LogUniform(0.03, 0.3), "bf16", "cuda", "relative"),
        (LogUniform(0.003, 0.3), "bf16", "cuda", "absolute"),
        (None, "bf16", "cuda", "relative"),
    ],
)
def test_nothing_is_told_where_it_does_not_matter_or_is_not_known(
    radius: Any, wanted: Any, device: Any, units: Any
) -> None:
    assert note_on_radii(space(radius, units), wanted, device) is None
