"""Trials without a training: plausible scores for every configuration of the default space.

The surface is made after the figures of `results/babel_effect.md`: plain fine-tuning is best near
its own learning rate; noise and PGD help up to a point, more together, and destroy beyond it.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

from rxtune.config import Configuration
from rxtune.results import Evaluation, ZeroShot
from rxtune.testbed.languages import LANGUAGES

EVALUATIONS = 6
NOISE = 0.012
"""Standard deviation of a dev score over seeds."""
_CHANCE = 1 / 3


def quality(configuration: Configuration) -> float:
    """Return the dev accuracy that a configuration reaches on average, at most about 0.80."""
    c = configuration
    gain = 0.0
    if c.method in ("rs_rp", "smooth_adv"):
        gain += 0.05 * _bell(c.sigma, 0.8, 0.6) - 0.20 * _beyond(c.sigma, 1.8)
    if c.method in ("adv", "smooth_adv"):
        gain += 0.04 * _bell(c.radius, 0.03, 0.8) - 0.15 * _beyond(c.radius, 0.1)
        gain += 0.005 * (c.pgd_steps - 1)
    best_rate = 1.0 if c.method == "standard" else 0.7
    rate = 0.09 * math.log(c.learning_rate / best_rate) ** 2
    return max(_CHANCE, 0.70 + gain - rate)


def scores(configuration: Configuration, seed: int) -> list[float]:
    """Return the dev accuracy of a trial after each of its evaluations."""
    draw = random.Random(seed)
    end = quality(configuration) + draw.gauss(0.0, NOISE)
    curve = ((1 - math.exp(-k / 1.6)) / (1 - math.exp(-EVALUATIONS / 1.6)) for k in _numbers())
    return [_CHANCE + share * (end - _CHANCE) + draw.gauss(0.0, NOISE / 2) for share in curve]


def messages(number: int, configuration: Configuration) -> Iterator[str]:
    """Yield what a worker reports of a trial, as `rxtune.search.trial.run_trial` sends it."""
    values = scores(configuration, seed=number)
    for step, value in zip(_numbers(), values, strict=True):
        evaluation = _evaluation(number, configuration, step, value)
        yield _message("evaluation", evaluation=evaluation.to_json())
    result = _result(number, values[-1])
    yield _message("finished", zero_shot=result, replicate=1, value=values[-1])


def _evaluation(number: int, c: Configuration, step: int, value: float) -> Evaluation:
    cost = 3.0 + (2.0 * c.pgd_steps if c.method in ("adv", "smooth_adv") else 0.0)
    return Evaluation(
        number=step,
        updates=110 * step,
        value=value,
        accuracy={"qaf": value},
        macro_f1={"qaf": value - 0.01},
        train_loss=1.1 / step,
        forward_equivalents=3500.0 * cost * step,
        seconds=2.0 * step,
        time=1.8e9 + 15.0 * number + 2.0 * step,
    )


def _result(number: int, value: float) -> dict[str, Any]:
    """Return a result in the shape of Babel's: every language, and mixed-language pairs."""
    draw = random.Random(number)
    languages = list(LANGUAGES)
    accuracy = {language: value + draw.gauss(0.0, 0.05) for language in languages}
    return ZeroShot(
        accuracy=accuracy,
        macro_f1={language: score - 0.01 for language, score in accuracy.items()},
        source_language="eng",
        dev_languages=("qaf",),
        noisy_source=value,
        generalized={
            one: {two: (accuracy[one] + accuracy[two]) / 2 for two in languages}
            for one in languages
        },
    ).to_json()


def _message(kind: str, **content: Any) -> str:
    return json.dumps({"kind": kind, "held": 0, **content})


def _numbers() -> range:
    return range(1, EVALUATIONS + 1)


def _bell(value: float, centre: float, width: float) -> float:
    return math.exp(-((math.log(value / centre) / width) ** 2))


def _beyond(value: float, limit: float) -> float:
    return max(0.0, math.log(value / limit))
