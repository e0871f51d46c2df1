"""Natural-language inference over meanings: from a premise to a hypothesis with a known label."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rxtune.testbed.grammar import Meaning, NounPhrase, adjectives_for, draw_meaning, draw_place
from rxtune.testbed.lexicon import (
    ADVERBS,
    CLASS_OF,
    CLASSES,
    OPPOSITE_OF,
    PREPOSITIONS,
    SYNONYM_OF,
)

LABELS = ("entailment", "neutral", "contradiction")
"""The order of XNLI: 0, 1, 2."""

Change = Callable[[Meaning, random.Random], Meaning | None]
"""Returns the changed meaning, or None where the change does not apply."""

NounSlot = Literal["subject", "object"]
WordSlot = Literal["verb", "preposition", "adverb"]


@dataclass(frozen=True, slots=True)
class MeaningPair:
    """A premise, a hypothesis and the index of their label in `LABELS`."""

    premise: Meaning
    hypothesis: Meaning
    label: int


def draw_pair(generator: random.Random) -> MeaningPair:
    """Return a random pair; the three labels are equally likely.

    Whatever the label, both sentences choose freely between synonyms: that two words are the same
    says little, and that they differ says nothing.
    """
    label = generator.randrange(len(LABELS))
    while True:
        premise = draw_meaning(generator)
        hypothesis = _draw_hypothesis(premise, label, generator)
        if hypothesis is not None and hypothesis != premise:
            return MeaningPair(_reword(premise, generator), _reword(hypothesis, generator), label)


def _draw_hypothesis(premise: Meaning, label: int, generator: random.Random) -> Meaning | None:
    if label == 0:
        return _entailed(premise, generator, generator.choice((1, 1, 2)))
    changed = _apply_one(premise, NEUTRAL if label == 1 else CONTRADICTING, generator)
    if changed is None or generator.random() < 0.5:
        return changed
    return _weaken_elsewhere(premise, changed, generator)


def _reword(meaning: Meaning, generator: random.Random) -> Meaning:
    """Return the same meaning, each word one of its two synonyms at random."""

    def word(concept: str) -> str:
        other = SYNONYM_OF.get(concept, concept)
        return other if generator.random() < 0.5 else concept

    def phrase(content: NounPhrase) -> NounPhrase:
        adjective = content.adjective
        return NounPhrase(word(content.noun), None if adjective is None else word(adjective))

    return replace(
        meaning,
        subject=phrase(meaning.subject),
        verb=word(meaning.verb),
        object=phrase(meaning.object),
        place=None if meaning.place is None else phrase(meaning.place),
    )


def _entailed(premise: Meaning, generator: random.Random, count: int) -> Meaning | None:
    meaning: Meaning | None = premise
    for _ in range(count):
        if meaning is not None:
            meaning = _apply_one(meaning, ENTAILING, generator) or meaning
    return meaning


def _weaken_elsewhere(premise: Meaning, changed: Meaning, generator: random.Random) -> Meaning:
    """Return `changed` saying less where it still agrees with the premise.

    Without this, class words would stand in entailed hypotheses alone and give the label away.
    """
    weaker = _apply_one(premise, ENTAILING, generator)
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


def _parts(meaning: Meaning, generator: random.Random) -> list[tuple[NounSlot, NounPhrase]]:
    """Return subject and object in random order; places take no change but to be left out."""
    parts: list[tuple[NounSlot, NounPhrase]] = [
        ("subject", meaning.subject),
        ("object", meaning.object),
    ]
    generator.shuffle(parts)
    return parts


def _put(meaning: Meaning, slot: NounSlot | WordSlot, content: NounPhrase | str) -> Meaning:
    changed: dict[str, Any] = {slot: content}
    return replace(meaning, **changed)


def _drop_adjective(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.adjective is not None:
            return _put(meaning, name, replace(phrase, adjective=None))
    return None


def _drop_adverb(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return None if meaning.adverb is None else replace(meaning, adverb=None)


def _drop_place(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return None if meaning.place is None else replace(meaning, place=None, preposition=None)


def _class_word(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.noun in CLASS_OF:
            return _put(meaning, name, replace(phrase, noun=CLASS_OF[phrase.noun]))
    return None


def _opposite_verb(meaning: Meaning, generator: random.Random) -> Meaning | None:
    return _put(meaning, "verb", OPPOSITE_OF[meaning.verb])


def _opposite_elsewhere(meaning: Meaning, generator: random.Random) -> Meaning | None:
    slots: list[WordSlot] = ["preposition", "adverb"]
    for slot in generator.sample(slots, len(slots)):
        word = getattr(meaning, slot)
        if word is not None:
            return _put(meaning, slot, OPPOSITE_OF[word])
    return None


def _opposite_adjective(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.adjective is not None:
            return _put(meaning, name, replace(phrase, adjective=OPPOSITE_OF[phrase.adjective]))
    return None


def _add_adjective(meaning: Meaning, generator: random.Random) -> Meaning | None:
    for name, phrase in _parts(meaning, generator):
        if phrase.adjective is None and phrase.noun in CLASS_OF:
            adjective = generator.choice(adjectives_for(CLASS_OF[phrase.noun]))
            return _put(meaning, name, replace(phrase, adjective=adjective))
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
    return _put(meaning, name, replace(phrase, noun=generator.choice(others)))


# A change that stands twice is tried first twice as often.
ENTAILING: tuple[Change, ...] = (
    _drop_adjective, _drop_adverb, _drop_place, _class_word, _class_word,
)  # fmt: skip
NEUTRAL: tuple[Change, ...] = (_add_adjective, _add_adverb, _add_place)
CONTRADICTING: tuple[Change, ...] = (
    _opposite_verb, _opposite_adjective, _opposite_adjective, _opposite_elsewhere, _other_noun,
    _other_noun,
)  # fmt: skip
