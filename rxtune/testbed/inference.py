"""Natural-language inference over meanings: from a premise to a hypothesis with a known label."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rxtune.testbed.grammar import Meaning, NounPhrase, adjectives_for, draw_meaning, draw_place
from rxtune.testbed.lexicon import (
    ADVERBS,
    CLASS_OF,
    CLASSES,
    OPPOSITES_OF,
    PREPOSITIONS,
    SYNONYMS_OF,
)

LABELS = ("entailment", "neutral", "contradiction")
"""The order of XNLI: 0, 1, 2."""

Change = Callable[[Meaning, random.Random], Meaning | None]
"""Returns the changed meaning, or None where the change does not apply."""


@dataclass(frozen=True, slots=True)
class MeaningPair:
    """A premise, a hypothesis and the index of their label in `LABELS`."""

    premise: Meaning
    hypothesis: Meaning
    label: int


def draw_pair(generator: random.Random) -> MeaningPair:
    """Return a random pair; the three labels are equally likely."""
    label = generator.randrange(len(LABELS))
    while True:
        premise = draw_meaning(generator)
        hypothesis = _draw_hypothesis(premise, label, generator)
        if hypothesis is not None and hypothesis != premise:
            return MeaningPair(premise, hypothesis, label)


def _draw_hypothesis(
    premise: Meaning, label: int, generator: random.Random
) -> Meaning | None:
    if premise.negated:
        return _draw_from_negated(premise, label, generator)
    if label == 0:
        return _entailed(premise, generator, generator.choice((1, 1, 2)))
    changes = NEUTRAL if label == 1 else CONTRADICTING
    changed = _apply_one(premise, changes, generator)
    # A negated or a more general hypothesis would change the label, so weaken only positive ones.
    if changed is None or changed.negated or generator.random() < 0.5:
        return changed
    return _weaken_elsewhere(premise, changed, generator)


def _draw_from_negated(premise: Meaning, label: int, generator: random.Random) -> Meaning | None:
    """"never" turns the direction of entailment round: only synonyms keep it."""
    if label == 0:
        return _apply_one(premise, (_synonym,), generator)
    if label == 2:
        return replace(premise, negated=False)
    return _apply_one(premise, (_other_noun, _drop_adverb, _drop_place), generator)


def _entailed(premise: Meaning, generator: random.Random, count: int) -> Meaning | None:
    meaning: Meaning | None = premise
    for _ in range(count):
        if meaning is not None:
            meaning = _apply_one(meaning, ENTAILING, generator) or meaning
    return meaning


def _weaken_elsewhere(
    premise: Meaning, changed: Meaning, generator: random.Random
) -> Meaning:
    """Return `changed` with one part left out that it still shares with the premise."""
    weaker = _apply_one(premise, (_drop_adjective, _drop_adverb, _drop_place), generator)
    if weaker is None:
        return changed
    merged = changed
    for name in ("subject", "object", "adverb", "preposition", "place"):
        if getattr(changed, name) == getattr(premise, name):
            merged = replace(merged, **{name: getattr(weaker, name)})
    return merged if (merged.place is None) == (merged.preposition is None) else changed


def _apply_one(
    meaning: Meaning, changes: Sequence[Change], generator: random.Random
) -> Meaning | None:
    for change in generator.sample(changes, len(changes)):
        changed = change(meaning, generator)
        if changed is not None:
            return changed
    return None


def _parts(meaning: Meaning, generator: random.Random) -> list[tuple[str, NounPhrase]]:
    parts = [("subject", meaning.subject), ("object", meaning.object)]
    generator.shuffle(parts)
    return parts


def _drop_adjective(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.adjective is not None:
            return replace(meaning, **{name: replace(phrase, adjective=None)})
    return None


def _drop_adverb(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return None if meaning.adverb is None else replace(meaning, adverb=None)


def _drop_place(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return None if meaning.place is None else replace(meaning, place=None, preposition=None)


def _class_word(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.noun in CLASS_OF:
            return replace(meaning, **{name: replace(phrase, noun=CLASS_OF[phrase.noun])})
    return None


def _synonym(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return _swap_word(meaning, SYNONYMS_OF, ("verb", "preposition"), generator)


def _opposite(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return _swap_word(meaning, OPPOSITES_OF, ("verb", "preposition", "adverb"), generator)


def _swap_word(
    meaning: Meaning,
    partners: dict[str, tuple[str, ...]] | object,
    slots: tuple[str, ...],
    generator: random.Random,
) -> Meaning | None:
    for slot in generator.sample(slots, len(slots)):
        word = getattr(meaning, slot)
        if word in partners:  # type: ignore[operator]
            return replace(meaning, **{slot: generator.choice(partners[word])})  # type: ignore[index]
    return None


def _opposite_adjective(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.adjective in OPPOSITES_OF:
            opposite = generator.choice(OPPOSITES_OF[phrase.adjective])
            return replace(meaning, **{name: replace(phrase, adjective=opposite)})
    return None


def _negate(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return replace(meaning, negated=True)


def _add_adjective(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.adjective is None and phrase.noun in CLASS_OF:
            adjective = generator.choice(adjectives_for(CLASS_OF[phrase.noun]))
            return replace(meaning, **{name: replace(phrase, adjective=adjective)})
    return None


def _add_adverb(meaning: Meaning, generator: random.Random) -> Meaning | None:
    if meaning.adverb is not None:
        return None
    return replace(meaning, adverb=generator.choice(ADVERBS))


def _add_place(meaning: Meaning, generator: random.Random) -> Meaning | None:
    if meaning.place is not None:
        return None
    preposition = generator.choice(PREPOSITIONS)
    return replace(meaning, preposition=preposition, place=draw_place(generator))


def _other_noun(meaning: Meaning, generator: random.Random) -> Meaning | None:
    name, phrase = _parts(meaning, generator)[0]
    others = [noun for noun in CLASSES[CLASS_OF[phrase.noun]] if noun != phrase.noun]
    return replace(meaning, **{name: replace(phrase, noun=generator.choice(others))})


def _swap_roles(meaning: Meaning, generator: random.Random) -> Meaning | None:
    if CLASS_OF[meaning.object.noun] != "person" or meaning.object == meaning.subject:
        return None
    return replace(meaning, subject=meaning.object, object=meaning.subject)


ENTAILING: tuple[Change, ...] = (
    _drop_adjective, _drop_adverb, _drop_place, _class_word, _synonym,
)  # fmt: skip
NEUTRAL: tuple[Change, ...] = (
    _add_adjective, _add_adverb, _add_place, _other_noun, _other_noun, _swap_roles,
)  # fmt: skip
CONTRADICTING: tuple[Change, ...] = (
    _opposite, _opposite, _opposite_adjective, _opposite_adjective, _negate,
)  # fmt: skip
