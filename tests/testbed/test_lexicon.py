"""The concepts of Babel and how they relate."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rxtune.testbed.lexicon import (
    ADJECTIVES,
    ADVERBS,
    CLASS_OF,
    CLASSES,
    CONCEPTS,
    OPPOSITE_OF,
    OPPOSITES,
    PLACES,
    PREPOSITIONS,
    SYNONYM_OF,
    SYNONYMS,
    VERBS,
)

KINDS = {"verb": VERBS, "adjective": ADJECTIVES, "preposition": PREPOSITIONS, "adverb": ADVERBS}


def kind_of(word: str) -> str:
    return next(kind for kind, words in KINDS.items() if word in words)


def test_every_concept_is_one_plain_word_and_stands_once() -> None:
    assert len(set(CONCEPTS)) == len(CONCEPTS)
    assert all(word.isascii() and word.isalpha() and word.islower() for word in CONCEPTS)


def test_every_word_of_the_grammar_is_a_concept() -> None:
    used = {*CLASSES, *CLASS_OF, *PLACES, *SYNONYMS.values()}
    assert used.union(*KINDS.values()) == set(CONCEPTS)


def test_a_noun_has_one_class_and_a_class_word_none() -> None:
    assert len(CLASS_OF) == sum(map(len, CLASSES.values()))
    assert not CLASSES.keys() & CLASS_OF.keys()


def test_a_class_has_another_noun_to_name_instead() -> None:
    assert all(len(nouns) > 1 for nouns in CLASSES.values())


@pytest.mark.parametrize("pair", OPPOSITES, ids="-".join)
def test_opposites_are_words_of_one_kind_each_the_others_only_one(pair: tuple[str, str]) -> None:
    first, second = pair
    assert first != second
    assert kind_of(first) == kind_of(second)
    assert (OPPOSITE_OF[first], OPPOSITE_OF[second]) == (second, first)


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_that_is_no_noun_has_an_opposite(kind: str) -> None:
    assert set(KINDS[kind]) <= OPPOSITE_OF.keys()


@pytest.mark.parametrize("words", [VERBS, ADJECTIVES], ids=["verbs", "adjectives"])
def test_opposites_go_with_the_same_nouns(words: Mapping[str, tuple[str, ...]]) -> None:
    assert all(words[word] == words[OPPOSITE_OF[word]] for word in words)


def test_verbs_and_adjectives_name_classes_that_exist() -> None:
    named = {name for classes in (*VERBS.values(), *ADJECTIVES.values()) for name in classes}
    assert named <= CLASSES.keys()


def test_nouns_verbs_and_adjectives_have_a_synonym_each_and_no_other_word_has_one() -> None:
    assert SYNONYMS.keys() == {*CLASS_OF, *PLACES, *VERBS, *ADJECTIVES}
    assert len(SYNONYM_OF) == 2 * len(SYNONYMS)
    assert all(SYNONYM_OF[SYNONYM_OF[word]] == word for word in SYNONYM_OF)


def test_a_synonym_is_a_word_of_its_own() -> None:
    assert not set(SYNONYMS.values()) & {*CLASSES, *SYNONYMS, *OPPOSITE_OF}
