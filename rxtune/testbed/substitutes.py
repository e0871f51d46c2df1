"""Words that may stand for a word of the source: its synonyms, its translations."""

from __future__ import annotations

from collections.abc import Mapping

from rxtune.testbed.languages import LANGUAGES, SOURCE, lexicons
from rxtune.testbed.lexicon import SYNONYM_OF


def synonyms() -> Mapping[str, tuple[str, ...]]:
    """Return the other words for the same, by word of the source."""
    words = lexicons()[SOURCE]
    return {words[concept]: (words[other],) for concept, other in SYNONYM_OF.items()}


def dictionary(language: str) -> Mapping[str, tuple[str, ...]]:
    """Return the translation of every word of the source that has another one in a language.

    Raises:
        KeyError: no such language, or the source itself.
    """
    if language == SOURCE or language not in LANGUAGES:
        raise KeyError(f"Babel has no dictionary from {SOURCE!r} to {language!r}")
    source, target = lexicons()[SOURCE], lexicons()[language]
    return {
        word: (target[concept],) for concept, word in source.items() if target[concept] != word
    }
