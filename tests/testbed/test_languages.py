"""The languages of Babel and their words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest

from rxtune.testbed.languages import LANGUAGES, SOURCE, TARGETS, lexicons
from rxtune.testbed.lexicon import CONCEPTS

DIFFERENCES = {
    "eng": (),
    "qaa": ("adjective after noun",),
    "qab": (),
    "qac": ("object in -ka",),
    "qad": ("adjective after noun", "verb in -ta"),
    "qae": ("postpositions", "object in -mo"),
    "qaf": ("postpositions", "object in -ru"),
    "qag": ("adjective after noun", "verb in -si"),
}


def test_there_are_two_near_three_middle_and_two_far_languages() -> None:
    groups = Counter(language.group for language in LANGUAGES.values())
    assert groups == {"source": 1, "near": 2, "middle": 3, "far": 2}


def test_target_codes_are_those_iso_reserves_for_local_use() -> None:
    assert SOURCE not in TARGETS
    assert {SOURCE, *TARGETS} == LANGUAGES.keys()
    assert all(re.fullmatch(r"q[a-t][a-z]", code) for code in TARGETS)
    assert all(code == language.code for code, language in LANGUAGES.items())


def test_languages_stand_in_the_order_of_their_distance() -> None:
    shared = [language.shared_words for language in LANGUAGES.values()]
    amounts = [language.pretraining_share for language in LANGUAGES.values()]
    assert shared == sorted(shared, reverse=True)
    assert amounts == sorted(amounts, reverse=True)


def test_far_languages_are_low_resource() -> None:
    for language in LANGUAGES.values():
        assert (language.pretraining_share < 0.1) == (language.group == "far")


@pytest.mark.parametrize("code", LANGUAGES)
def test_differences_name_what_sets_a_grammar_apart(code: str) -> None:
    assert LANGUAGES[code].differences == DIFFERENCES[code]


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_shares_as_many_words_as_it_declares(code: str) -> None:
    words = lexicons()[code]
    assert tuple(words) == CONCEPTS
    shared = sum(word == concept for concept, word in words.items())
    assert shared == round(LANGUAGES[code].shared_words * len(CONCEPTS))


def test_no_two_concepts_share_a_word_but_with_the_source() -> None:
    meanings: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for code, words in lexicons().items():
        for concept, word in words.items():
            meanings[word].add((concept, "shared" if word == concept else code))
    assert [word for word, found in meanings.items() if len(found) > 1] == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_inflected_word_is_no_other_word(code: str) -> None:
    every_word = {word for words in lexicons().values() for word in words.values()}
    for suffix in (LANGUAGES[code].object_suffix, LANGUAGES[code].verb_suffix):
        inflected = {word + suffix for word in lexicons()[code].values() if suffix}
        assert not inflected & every_word


def test_new_words_can_be_read_aloud() -> None:
    syllable = "(?:[bdfgklmnprstvz]|sh|th|kr|dr|pl)[aeiou][nrlsm]?"
    for words in lexicons().values():
        new = [word for concept, word in words.items() if word != concept]
        assert all(re.fullmatch(f"(?:{syllable}){{2,3}}", word) for word in new)
