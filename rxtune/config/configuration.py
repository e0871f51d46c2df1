"""One point of the search space: the parameters a single trial trains with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from rxtune.config.names import did_you_mean
from rxtune.errors import StudyError

Method = Literal["standard", "rs_rp", "adv", "smooth_adv", "freelb", "r3f", "rs_da", "code_switch"]
Norm = Literal["l2", "linf"]
Ball = Literal["token", "sequence"]
Site = Literal["word", "context"]
Substitution = Literal["on_the_fly", "static"]

METHODS: tuple[Method, ...] = get_args(Method)
NORMS: tuple[Norm, ...] = get_args(Norm)
BALLS: tuple[Ball, ...] = get_args(Ball)
SITES: tuple[Site, ...] = get_args(Site)
SUBSTITUTIONS: tuple[Substitution, ...] = get_args(Substitution)

_NOISY: frozenset[Method] = frozenset({"rs_rp", "smooth_adv", "r3f"})
_ADVERSARIAL: frozenset[Method] = frozenset({"adv", "smooth_adv", "freelb"})
_SUBSTITUTING: frozenset[Method] = frozenset({"rs_da", "code_switch"})

READ_BY: Mapping[str, frozenset[Method]] = {
    "sigma": _NOISY,
    "samples": frozenset({"rs_rp", "smooth_adv"}),
    "radius": _ADVERSARIAL,
    "pgd_steps": _ADVERSARIAL,
    "norm": _ADVERSARIAL,
    "ball": _ADVERSARIAL,
    "step_size": _ADVERSARIAL,
    "random_start": _ADVERSARIAL,
    "clean_weight": frozenset({"rs_rp", "adv", "smooth_adv"}),
    "consistency_weight": frozenset({"r3f"}),
    "site": _NOISY | _ADVERSARIAL,
    "replace_probability": _SUBSTITUTING,
    "substitution": _SUBSTITUTING,
    "copies": _SUBSTITUTING,
}
"""Which methods read a parameter; a parameter not named here is read by all of them."""

READ_WITH: Mapping[str, tuple[str, str]] = {
    "ball": ("norm", "l2"),
    "copies": ("substitution", "static"),
}
"""What a parameter is read with: it says nothing unless another one has this value.

The cube of `linf` is the same per token and per sequence; fresh draws make no copies.
"""


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
    samples: int = 1
    """Number n of noise draws per step; their losses are averaged."""
    radius: float = 0.0
    """Bound of the adversarial perturbation, in units of m (see `norm` and `ball`)."""
    pgd_steps: int = 0
    """Number K of projected gradient steps."""
    norm: Norm = "l2"
    """Of the ball: `l2`, or `linf`: per coordinate."""
    ball: Ball = "token"
    """With `l2`: one ball per token, or one per sequence, its radius times √L."""
    step_size: float = 2.0
    """c in the step a = c ε / K."""
    random_start: bool = False
    """Whether ascent starts at a random point of the ball instead of its centre."""
    clean_weight: float = 0.0
    """1 - w in (1 - w) · clean loss + w · perturbed loss."""
    consistency_weight: float = 1.0
    """λ of the symmetric KL divergence between clean and noisy prediction."""
    site: Site = "word"
    """What is perturbed: the word embeddings, or the encoder's contextual output."""
    replace_probability: float = 0.0
    """Probability q with which a word that has neighbours is replaced."""
    substitution: Substitution = "on_the_fly"
    """Fresh draws in every epoch, or copies of the data that are made once."""
    copies: int = 3
    """Number of `static` copies beside the original."""
    epochs: float | None = None
    """Passes over the training data; None: the task's default."""
    batch_size: int | None = None
    """Examples per update; None: the task's default."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the configuration that `to_json` wrote; what is missing has its default.

        Raises:
            StudyError: the record holds a parameter that this version does not have.
        """
        known = [item.name for item in fields(cls)]
        for name in record:
            if name not in known:
                raise StudyError(
                    f"configuration: unknown parameter {name!r}; {did_you_mean(name, known)} "
                    "Or go on with the version of rxtune that wrote it"
                )
        return cls(**record)

    def searched(self) -> dict[str, Any]:
        """Return the parameters that this configuration reads, without unset ones."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None and self._reads(item.name)
        }

    def _reads(self, name: str) -> bool:
        if self.method not in READ_BY.get(name, METHODS):
            return False
        other, value = READ_WITH.get(name, ("method", self.method))
        return bool(getattr(self, other) == value)
