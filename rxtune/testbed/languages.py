"""The languages of Babel: what makes each of them distant from the source, and its words.

Constructed languages as an instrument: K et al. 2020 (ICLR), Dufter and Schütze 2020 (EMNLP).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from rxtune.testbed.lexicon import CONCEPTS

LEXICON_SEED = 2104


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language, defined by its distance from the source along five axes."""

    code: str
    """`eng`, or a code that ISO 639-2 reserves for local use (`qaa` to `qtz`)."""
    name: str
    group: Literal["source", "near", "middle", "far"]
    shared_words: float
    """Share of concepts whose word is the source's word."""
    verb_last: bool = False
    """Subject-object-verb instead of subject-verb-object."""
    adjective_last: bool = False
    """Adjective after its noun."""
    postpositions: bool = False
    """The adposition follows its noun."""
    object_suffix: str = ""
    """Case ending of the object noun; none if empty."""
    verb_suffix: str = ""
    """Ending of every verb; none if empty."""
    pretraining_share: float = 1.0
    """Amount of pre-training text, in units of the source's."""

    @property
    def differences(self) -> tuple[str, ...]:
        """What sets the grammar apart from the source's, in words; the order of verbs left out."""
        traits = (
            (self.adjective_last, "adjective after noun"),
            (self.postpositions, "postpositions"),
            (bool(self.object_suffix), f"object in -{self.object_suffix}"),
            (bool(self.verb_suffix), f"verb in -{self.verb_suffix}"),
        )
        return tuple(words for holds, words in traits if holds)


LANGUAGES: Mapping[str, Language] = {
    language.code: language
    for language in (
        Language(code="eng", name="English", group="source", shared_words=1.0),
        Language(
            code="qaa", name="Anglo", group="near", shared_words=0.55, adjective_last=True,
            pretraining_share=0.6,
        ),
        Language(
            code="qab", name="Betan", group="near", shared_words=0.45, verb_last=True,
            pretraining_share=0.6,
        ),
        Language(
            code="qac", name="Corvin", group="middle", shared_words=0.35, verb_last=True,
            object_suffix="ka", pretraining_share=0.4,
        ),
        Language(
            code="qad", name="Dalmi", group="middle", shared_words=0.30, verb_last=True,
            adjective_last=True, verb_suffix="ta", pretraining_share=0.4,
        ),
        Language(
            code="qae", name="Esuan", group="middle", shared_words=0.25, verb_last=True,
            postpositions=True, object_suffix="mo", pretraining_share=0.3,
        ),
        Language(
            code="qaf", name="Fenric", group="far", shared_words=0.15, verb_last=True,
            postpositions=True, object_suffix="ru", pretraining_share=0.08,
        ),
        Language(
            code="qag", name="Gorlu", group="far", shared_words=0.12, verb_last=True,
            adjective_last=True, verb_suffix="si", pretraining_share=0.06,
        ),
    )
}  # fmt: skip

SOURCE = "eng"
TARGETS: tuple[str, ...] = tuple(code for code in LANGUAGES if code != SOURCE)

_ONSETS = (
    "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "sh", "th", "kr", "dr",
    "pl",
)  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "", "", "", "n", "r", "l", "s", "m")  # repeated: open syllables are commoner


@cache
def lexicons() -> Mapping[str, Mapping[str, str]]:
    """Return the word of every concept in every language: `lexicons()["qaf"]["river"]`.

    No two concepts of all languages share a word, except where a language shares the source's.
    """
    used = set(CONCEPTS)
    return {code: _lexicon(language, used) for code, language in LANGUAGES.items()}


def _lexicon(language: Language, used: set[str]) -> dict[str, str]:
    generator = random.Random(f"{LEXICON_SEED} {language.code}")
    n_shared = round(language.shared_words * len(CONCEPTS))
    shared = set(generator.sample(CONCEPTS, n_shared))
    return {
        concept: concept if concept in shared else _new_word(generator, used)
        for concept in CONCEPTS
    }


def _new_word(generator: random.Random, used: set[str]) -> str:
    while True:
        syllables = generator.choice((2, 2, 2, 3))
        word = "".join(
            generator.choice(_ONSETS) + generator.choice(_VOWELS) + generator.choice(_CODAS)
            for _ in range(syllables)
        )
        if word not in used:
            used.add(word)
            return word
