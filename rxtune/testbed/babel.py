"""The task `babel`: language inference in eight languages, parallel by item id."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from rxtune.testbed.grammar import say
from rxtune.testbed.inference import LABELS, MeaningPair, draw_pair
from rxtune.testbed.languages import LANGUAGES, SOURCE

__all__ = ["LABELS", "SPLITS", "Item", "evaluation_pairs", "items", "pairs"]

SPLITS: Mapping[str, int] = {"dev": 1000, "test": 1000, "train": 6000}
"""Number of items per split, in the order they are drawn; `train` is in the source only."""

DATA_SEED = 8645


class Item(NamedTuple):
    """One labelled pair of sentences."""

    id: str
    premise: str
    hypothesis: str
    label: str


def items(language: str, split: str) -> list[Item]:
    """Return a split in one language; the same id is the same meaning in every language.

    Raises:
        KeyError: no such language or split, or `train` in another language than the source.
    """
    known = language in LANGUAGES and split in SPLITS
    if not known or (split == "train" and language != SOURCE):
        raise KeyError(f"Babel has no split {split!r} in {language!r}")
    return [
        Item(
            f"{split}-{number:04d}",
            say(pair.premise, language),
            say(pair.hypothesis, language),
            LABELS[pair.label],
        )
        for number, pair in enumerate(pairs()[split])
    ]


@cache
def pairs() -> Mapping[str, tuple[MeaningPair, ...]]:
    """Return the meaning pairs of every split; no pair stands in two of them."""
    generator = random.Random(DATA_SEED)
    seen: set[MeaningPair] = set()
    return {split: _draw_new(count, generator, seen) for split, count in SPLITS.items()}


@cache
def evaluation_pairs() -> frozenset[MeaningPair]:
    """Return what dev and test say, so that pre-training text can leave it out."""
    return frozenset((*pairs()["dev"], *pairs()["test"]))


def _draw_new(
    count: int, generator: random.Random, seen: set[MeaningPair]
) -> tuple[MeaningPair, ...]:
    drawn: list[MeaningPair] = []
    while len(drawn) < count:
        pair = draw_pair(generator)
        if pair not in seen:
            seen.add(pair)
            drawn.append(pair)
    return tuple(drawn)
