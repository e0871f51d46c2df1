"""One point of the search space: the parameters a single trial trains with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

Method = Literal["standard", "rs_rp", "adv", "smooth_adv"]
Norm = Literal["l2", "l2_sequence", "linf"]

METHODS: tuple[Method, ...] = get_args(Method)
NORMS: tuple[Norm, ...] = get_args(Norm)

READ_BY: Mapping[str, frozenset[Method]] = {
    "sigma": frozenset({"rs_rp", "smooth_adv"}),
    "radius": frozenset({"adv", "smooth_adv"}),
    "pgd_steps": frozenset({"adv", "smooth_adv"}),
    "norm": frozenset({"adv", "smooth_adv"}),
    "step_size": frozenset({"adv", "smooth_adv"}),
    "perturbed_weight": frozenset({"rs_rp", "adv", "smooth_adv"}),
}
"""Which methods read a parameter; a parameter not named here is read by all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Parameters of one trial, in the units of the study (relative by default).

    What a method does not read keeps its neutral value, so that two configurations that train the
    same model are equal.
    """

    method: Method = "standard"
    learning_rate: float = 1.0
    """Factor on the encoder's default learning rate (absolute: the learning rate itself)."""
    sigma: float = 0.0
    """Standard deviation of the noise: expected noise norm per token in units of m."""
    radius: float = 0.0
    """Bound of the adversarial perturbation, in units of m (see `norm`)."""
    pgd_steps: int = 0
    """Number K of projected gradient steps."""
    norm: Norm = "l2"
    """`l2`: per token; `l2_sequence`: over all tokens of a sequence; `linf`: per coordinate."""
    step_size: float = 2.0
    """c in the step a = c ε / K."""
    perturbed_weight: float = 1.0
    """w in (1 - w) · clean loss + w · perturbed loss."""
    epochs: float | None = None
    """Passes over the training data; None: the task's default."""
    batch_size: int | None = None
    """Examples per update; None: the task's default."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the configuration that `to_json` wrote."""
        return cls(**record)

    def searched(self) -> dict[str, Any]:
        """Return the parameters that this configuration's method reads, without unset ones."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None
            and self.method in READ_BY.get(item.name, frozenset(METHODS))
        }
