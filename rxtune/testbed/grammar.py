"""Sentences as meanings, and how a language says them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from rxtune.testbed.languages import LANGUAGES, Language, lexicons
from rxtune.testbed.lexicon import (
    ADJECTIVES,
    ADVERBS,
    CLASSES,
    PLACES,
    PREPOSITIONS,
    VERBS,
)


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A noun, always in the plural, and perhaps one adjective."""

    noun: str
    adjective: str | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence says, in concepts; the same in every language."""

    subject: NounPhrase
    verb: str
    object: NounPhrase
    adverb: str | None = None
    preposition: str | None = None
    place: NounPhrase | None = None


def draw_meaning(generator: random.Random) -> Meaning:
    """Return a random meaning that respects which nouns a verb or an adjective takes."""
    verb = generator.choice(tuple(VERBS))
    object_class = generator.choice(VERBS[verb])
    has_place = generator.random() < 0.4
    return Meaning(
        subject=_draw_phrase(generator, "people"),
        verb=verb,
        object=_draw_phrase(generator, object_class),
        adverb=generator.choice(ADVERBS) if generator.random() < 0.3 else None,
        preposition=generator.choice(PREPOSITIONS) if has_place else None,
        place=draw_place(generator) if has_place else None,
    )


def draw_place(generator: random.Random) -> NounPhrase:
    """Return a random place."""
    return NounPhrase(generator.choice(PLACES))


def adjectives_for(noun_class: str) -> tuple[str, ...]:
    """Return the adjectives that describe nouns of a class."""
    return tuple(word for word, classes in ADJECTIVES.items() if noun_class in classes)


def _draw_phrase(generator: random.Random, noun_class: str) -> NounPhrase:
    adjective = None
    if generator.random() < 0.45:
        adjective = generator.choice(adjectives_for(noun_class))
    return NounPhrase(generator.choice(CLASSES[noun_class]), adjective)


def say(meaning: Meaning, code: str) -> str:
    """Return the sentence of a language that says `meaning`, in lower case without a full stop."""
    language, words = LANGUAGES[code], lexicons()[code]
    verb = words[meaning.verb] + language.verb_suffix
    objects = _say_phrase(meaning.object, language, words, language.object_suffix)
    core = [*objects, verb] if language.verb_last else [verb, *objects]
    sentence = [*_say_phrase(meaning.subject, language, words), *core]
    if meaning.place is not None and meaning.preposition is not None:
        sentence += _say_place(meaning.preposition, meaning.place, language, words)
    if meaning.adverb is not None:
        sentence.append(words[meaning.adverb])
    return " ".join(sentence)


def _say_phrase(
    phrase: NounPhrase, language: Language, words: Mapping[str, str], suffix: str = ""
) -> list[str]:
    noun = [words[phrase.noun] + suffix]
    adjective = [] if phrase.adjective is None else [words[phrase.adjective]]
    if language.adjective_last:
        return [*noun, *adjective]
    return [*adjective, *noun]


def _say_place(
    preposition: str, place: NounPhrase, language: Language, words: Mapping[str, str]
) -> list[str]:
    noun = _say_phrase(place, language, words)
    adposition = [words[preposition]]
    return [*noun, *adposition] if language.postpositions else [*adposition, *noun]
