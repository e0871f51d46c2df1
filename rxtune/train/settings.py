"""The settings of one training run, in absolute units, and the way there from a configuration."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar

from rxtune.config.configuration import SITES, Configuration, Method, Site
from rxtune.config.space import Units
from rxtune.data.order import count_updates
from rxtune.errors import StudyError
from rxtune.perturb import Perturbation, Scale, Scales
from rxtune.train.fidelity import updates_at_cost_of_plain

Precision = Literal["fp32", "bf16"]
Objective = Literal["weighted", "freelb", "r3f"]
Number = TypeVar("Number", int, float)

_OBJECTIVES: Mapping[Method, Objective] = {"freelb": "freelb", "r3f": "r3f"}
"""By method, where it is not `weighted`."""

PLAIN_COST = 3.0
"""Of an example of plain fine-tuning: forward 1, backward to inputs 1, to weights 1."""
SMALLEST_BF16_RADIUS = 0.03
"""Relative radius below which bf16 loses the effect of delta on the logits (off by 22 % there)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a model is fine-tuned; every value absolute."""

    learning_rate: float
    """Peak learning rate of AdamW; falls linearly to 0, without warm-up."""
    epochs: float
    """Passes over the training data; a fraction ends inside a pass."""
    batch_size: int
    """Examples per update."""
    updates: int | None = None
    """Optimiser updates of the run, whatever the epochs; None: as many as these make."""
    evaluations: int
    """Evaluations at equal shares of the updates, the last one at the end. All updates of a run
    cost the same, so they are equal shares of its cost, too, up to the rounding of an update."""
    seed: int
    """Seed of order, dropout and noise (the head's is given to `build_model`)."""
    perturbation: Perturbation | None = None
    """None: plain fine-tuning."""
    objective: Objective = "weighted"
    """What is minimised: clean and perturbed loss; FreeLB's mean over the ascent; R3F's clean
    loss and divergence."""
    clean_weight: float = 0.0
    """1 - w in (1 - w) · clean loss + w · perturbed loss."""
    samples: int = 1
    """Number n of draws per step whose perturbed losses are averaged."""
    consistency_weight: float = 1.0
    """λ of the symmetric KL divergence, of `r3f`."""
    site: Site = "word"
    """Where the perturbation enters: word embeddings, or the encoder's contextual output."""
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    """Largest L2 norm of the gradient of all weights."""
    precision: Precision = "fp32"
    """`bf16`: forward passes under autocast; weights and noise stay fp32."""
    gradient_checkpointing: bool = False
    """Whether activations are recomputed in the backward pass, to save memory."""
    accumulation: int = 1
    """Parts in which the examples of an update go through the model, to save memory."""
    tokens_per_pass: int | None = None
    """Most tokens of such a part, padding included: only updates of long texts are divided. None:
    as many as there are."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("learning_rate", "epochs", "batch_size", "evaluations", "clip_norm"):
            _require(name, getattr(self, name), "> 0", getattr(self, name) > 0)
        for name in ("samples", "accumulation", "updates", "tokens_per_pass"):
            value = getattr(self, name)
            if value is not None:
                _require(name, value, ">= 1", value >= 1)
        for name in ("weight_decay", "consistency_weight"):
            _require(name, getattr(self, name), ">= 0", getattr(self, name) >= 0)
        _require("clean_weight", self.clean_weight, "in [0, 1)", 0 <= self.clean_weight < 1)
        if self.site not in SITES:
            raise StudyError(
                f"training: site must be one of {', '.join(SITES)}, but is {self.site!r}"
            )
        if self.precision not in ("fp32", "bf16"):
            raise StudyError(
                f"training: precision must be 'fp32' or 'bf16', but is {self.precision!r}"
            )

    @property
    def is_robust(self) -> bool:
        """Whether a perturbation takes any part in a step."""
        if self.perturbation is None or self.perturbation.is_identity:
            return False
        # FreeLB's passes are its steps of ascent.
        return self.objective != "freelb" or self.perturbation.is_adversarial

    @property
    def forward_equivalents_per_example(self) -> float:
        """Cost of one example in one step: forward 1, backward to inputs 1, to weights 1.

        A plain step is 3, a step of PGD 2, FreeLB's K passes are 3 K and R3F's two passes 6. At
        the context site it is 3 for all: the encoder runs once, and passes of the head alone are
        not counted (two matrices against the encoder's dozens).
        """
        if not self.is_robust or self.perturbation is None or self.site == "context":
            return PLAIN_COST
        if self.objective == "freelb":
            return PLAIN_COST * self.perturbation.pgd_steps
        inner = 2.0 * self.perturbation.pgd_steps if self.perturbation.is_adversarial else 0.0
        if self.objective == "r3f":
            return 6.0 + inner
        return self.samples * (3.0 + inner) + (3.0 if self.clean_weight > 0 else 0.0)

    def parts_of(self, examples: int, longest: int) -> int:
        """Return in how many parts an update goes through the model.

        It stays one update of all its examples, so that trials remain comparable.

        Args:
            examples: Of the update.
            longest: Tokens of its longest text, to which all are padded.
        """
        if self.tokens_per_pass is None:
            return self.accumulation
        at_once = max(1, self.tokens_per_pass // longest)
        return max(self.accumulation, math.ceil(examples / at_once))

    def updates_of(self, examples: int) -> int:
        """Return the number of optimiser updates of the run.

        Args:
            examples: Of an epoch.
        """
        if self.updates is not None:
            return self.updates
        return count_updates(examples, batch_size=self.batch_size, epochs=self.epochs)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, equal for equal settings."""
        return asdict(self)


def resolve(
    configuration: Configuration,
    defaults: TrainSettings,
    scales: Scales,
    *,
    plain_examples: int | None = None,
) -> TrainSettings:
    """Return the absolute settings of a configuration.

    Warns where bf16 is too coarse for the radius: the direction of ascent is right, but the
    logits hardly see the step.

    Args:
        configuration: The trial's parameters, in the units of its study.
        defaults: Those of plain fine-tuning where the study leaves everything as it is; the
            learning rate is the encoder's own, on which a relative one is a factor.
        scales: What the configuration's lengths are in.
        plain_examples: Rows of the training data, where the run is to cost what the defaults
            cost; None: it has the updates that its epochs make.

    Raises:
        StudyError: A value cannot be trained with, or the scale of its site is not known.
    """
    chosen = configuration.searched()
    site: Site = chosen.get("site", "word")
    perturbation = _perturbation(configuration, scales.units, scales.at(site))
    _warn_of_coarse_precision(perturbation, defaults.precision, scales.at(site))
    factor = defaults.learning_rate if scales.units == "relative" else 1.0
    settings = replace(
        defaults,
        learning_rate=configuration.learning_rate * factor,
        epochs=_first_given(configuration.epochs, defaults.epochs),
        batch_size=_first_given(configuration.batch_size, defaults.batch_size),
        perturbation=perturbation,
        objective=_OBJECTIVES.get(configuration.method, "weighted"),
        clean_weight=chosen.get("clean_weight", 0.0),
        samples=chosen.get("samples", 1),
        consistency_weight=configuration.consistency_weight,
        site=site,
    )
    if plain_examples is None:
        return settings
    return _at_cost_of(defaults, settings, plain_examples, chosen.get("copies", 0))


def _at_cost_of(
    plain: TrainSettings, settings: TrainSettings, examples: int, copies: int
) -> TrainSettings:
    """Return the settings with as many updates as cost what plain fine-tuning costs."""
    updates = updates_at_cost_of_plain(
        plain_examples=examples,
        plain_batch_size=plain.batch_size,
        epochs=plain.epochs,
        examples=examples * (1 + copies),
        batch_size=settings.batch_size,
        cost=settings.forward_equivalents_per_example / PLAIN_COST,
        evaluations=settings.evaluations,
        seed=settings.seed,
    )
    return replace(settings, updates=updates)


def _first_given(value: Number | None, default: Number) -> Number:
    return default if value is None else value


def _perturbation(configuration: Configuration, units: Units, scale: Scale) -> Perturbation | None:
    """Return what the method perturbs with: it reads only its own parameters."""
    chosen = configuration.searched()
    sigma, radius = chosen.get("sigma", 0.0), chosen.get("radius", 0.0)
    if units == "relative":
        sigma, radius = scale.sigma(sigma), scale.radius(radius, configuration.norm)
    perturbation = Perturbation(
        sigma=sigma,
        radius=radius,
        pgd_steps=chosen.get("pgd_steps", 0),
        norm=configuration.norm,
        ball=chosen.get("ball", "token"),
        step_size=configuration.step_size,
        random_start=chosen.get("random_start", False),
    )
    return None if perturbation.is_identity else perturbation


def _warn_of_coarse_precision(
    perturbation: Perturbation | None, precision: Precision, scale: Scale
) -> None:
    if precision != "bf16" or perturbation is None or not perturbation.is_adversarial:
        return
    relative = perturbation.radius / scale.radius(1.0, perturbation.norm)
    if relative < SMALLEST_BF16_RADIUS * (1 - 1e-6):
        warnings.warn(
            f"training: under bf16 a relative radius of {relative:.3g} hardly reaches the logits "
            f"(below {SMALLEST_BF16_RADIUS} their change is off by more than 22 %); use "
            "precision fp32 or a larger radius",
            stacklevel=3,
        )


def _require(name: str, value: float, rule: str, holds: bool) -> None:
    if not (holds and math.isfinite(value)):
        raise StudyError(f"training: {name} must be a finite number {rule}, but is {value}")
