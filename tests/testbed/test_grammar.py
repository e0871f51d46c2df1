"""How a language says a meaning."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.testbed.grammar import Meaning, NounPhrase, adjectives_for, draw_meaning, say
from rxtune.testbed.languages import LANGUAGES, lexicons
from rxtune.testbed.lexicon import ADJECTIVES, CLASS_OF, PLACES, VERBS

FULL = Meaning(
    subject=NounPhrase("kings", "old"),
    verb="praised",
    object=NounPhrase("painters", "rich"),
    adverb="slowly",
    preposition="behind",
    place=NounPhrase("rivers"),
)

GLOSSES = {
    "eng": "old kings praised rich painters behind rivers slowly",
    "qaa": "kings old praised painters rich behind rivers slowly",
    "qab": "old kings rich painters praised behind rivers slowly",
    "qac": "old kings rich painters-ka praised behind rivers slowly",
    "qad": "kings old painters rich praised-ta behind rivers slowly",
    "qae": "old kings rich painters-mo praised rivers behind slowly",
    "qaf": "old kings rich painters-ru praised rivers behind slowly",
    "qag": "kings old painters rich praised-si behind rivers slowly",
}
"""Concepts in the order of the language, endings after a hyphen."""

seeds = st.integers(0, 2**32)


def from_gloss(gloss: str, code: str) -> str:
    pieces = [token.partition("-") for token in gloss.split()]
    return " ".join(lexicons()[code][concept] + ending for concept, _, ending in pieces)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_its_word_order_and_endings(code: str) -> None:
    assert say(FULL, code) == from_gloss(GLOSSES[code], code)


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_a_meaning_leaves_out_is_not_said(code: str) -> None:
    bare = Meaning(NounPhrase("kings"), "praised", NounPhrase("painters"))
    left_out = {"old", "rich", "behind", "rivers", "slowly"}
    gloss = [word for word in GLOSSES[code].split() if word not in left_out]
    assert say(bare, code) == from_gloss(" ".join(gloss), code)


@given(seeds, st.sampled_from(list(LANGUAGES)))
def test_all_languages_say_as_many_words(seed: int, code: str) -> None:
    meaning = draw_meaning(random.Random(seed))
    assert len(say(meaning, code).split()) == len(say(meaning, "eng").split())


@given(seeds, seeds, st.sampled_from(list(LANGUAGES)))
def test_a_language_says_two_meanings_differently(seed: int, other: int, code: str) -> None:
    first, second = draw_meaning(random.Random(seed)), draw_meaning(random.Random(other))
    assert (say(first, code) == say(second, code)) == (first == second)


@given(seeds, st.sampled_from(list(LANGUAGES)))
def test_who_does_it_to_whom_is_never_ambiguous(seed: int, code: str) -> None:
    meaning = replace(draw_meaning(random.Random(seed)), subject=FULL.subject, object=FULL.object)
    turned = replace(meaning, subject=meaning.object, object=meaning.subject)
    assert say(meaning, code) != say(turned, code)


@given(seeds)
def test_a_drawn_meaning_puts_words_only_where_they_fit(seed: int) -> None:
    meaning = draw_meaning(random.Random(seed))
    assert CLASS_OF[meaning.subject.noun] == "people"
    assert CLASS_OF[meaning.object.noun] in VERBS[meaning.verb]
    for phrase in (meaning.subject, meaning.object):
        assert phrase.adjective in (None, *adjectives_for(CLASS_OF[phrase.noun]))
    assert (meaning.place is None) == (meaning.preposition is None)
    assert meaning.place is None or meaning.place.noun in PLACES


def test_adjectives_for_a_class_are_those_that_describe_it() -> None:
    assert adjectives_for("foods") == ("hot", "cold", "fresh", "stale")
    assert all(ADJECTIVES[word] for word in adjectives_for("people"))
    assert adjectives_for("building") == ()
