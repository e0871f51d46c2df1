"""The concepts of Babel and how they relate: classes, synonyms and opposites.

A concept is named by its English word; the other languages have words of their own for it.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, tuple[str, ...]] = {
    "person": (
        "farmer", "teacher", "doctor", "sailor", "baker", "painter", "soldier", "singer",
        "writer", "hunter", "king", "queen", "driver", "judge",
    ),
    "animal": (
        "dog", "cat", "horse", "cow", "goat", "wolf", "fox", "bear", "snake", "rabbit",
        "donkey", "lion",
    ),
    "food": (
        "bread", "cheese", "soup", "rice", "cake", "honey", "butter", "meat", "salad", "pie",
    ),
    "vehicle": ("boat", "cart", "train", "ship", "truck", "sledge"),
    "tool": ("hammer", "knife", "rope", "ladder", "shovel", "needle", "saw", "bucket"),
    "garment": ("hat", "coat", "shirt", "scarf", "glove", "belt", "cloak"),
    "building": ("house", "school", "tower", "barn", "church", "mill", "palace", "shop"),
}  # fmt: skip
"""Nouns by the class word (hypernym) that each of them entails."""

LANDSCAPE: tuple[str, ...] = (
    "river", "forest", "garden", "market", "bridge", "field", "hill", "lake", "road", "beach",
)  # fmt: skip
"""Places that belong to no class."""

VERBS: Mapping[str, tuple[str, ...]] = {
    "praised": ("person",),
    "blamed": ("person",),
    "met": ("person",),
    "thanked": ("person",),
    "loved": ("person", "animal", "food"),
    "hated": ("person", "animal", "food"),
    "fed": ("animal",),
    "chased": ("animal", "person"),
    "found": ("animal", "tool", "garment", "vehicle"),
    "lost": ("animal", "tool", "garment", "vehicle"),
    "bought": ("food", "vehicle", "tool", "garment", "animal"),
    "sold": ("food", "vehicle", "tool", "garment", "animal"),
    "purchased": ("food", "vehicle", "tool", "garment", "animal"),
    "repaired": ("vehicle", "tool", "garment"),
    "broke": ("vehicle", "tool"),
    "fixed": ("vehicle", "tool", "garment"),
    "cleaned": ("vehicle", "tool", "garment", "animal"),
    "washed": ("vehicle", "tool", "garment", "animal"),
    "saw": ("person", "animal", "vehicle", "garment", "food", "tool"),
    "noticed": ("person", "animal", "vehicle", "garment", "food", "tool"),
    "hid": ("food", "tool", "garment", "animal"),
    "showed": ("food", "tool", "garment", "animal"),
    "cooked": ("food",),
    "tasted": ("food",),
    "pushed": ("vehicle", "person", "animal"),
    "pulled": ("vehicle", "person", "animal"),
}
"""Verbs by the noun classes they take as objects; subjects are persons."""

ADJECTIVES: Mapping[str, tuple[str, ...]] = {
    "big": ("animal", "vehicle", "tool", "garment"),
    "small": ("animal", "vehicle", "tool", "garment"),
    "young": ("person", "animal"),
    "old": ("person", "animal"),
    "happy": ("person", "animal"),
    "sad": ("person", "animal"),
    "rich": ("person",),
    "poor": ("person",),
    "strong": ("person", "animal"),
    "weak": ("person", "animal"),
    "clean": ("vehicle", "tool", "garment"),
    "dirty": ("vehicle", "tool", "garment"),
    "hot": ("food",),
    "cold": ("food",),
    "fresh": ("food",),
    "stale": ("food",),
    "heavy": ("vehicle", "tool", "garment"),
    "light": ("vehicle", "tool", "garment"),
    "black": ("animal", "vehicle", "garment"),
    "white": ("animal", "vehicle", "garment"),
    "brave": ("person", "animal"),
    "timid": ("person", "animal"),
}
"""Adjectives by the noun classes they describe."""

PREPOSITIONS: tuple[str, ...] = ("near", "beside", "inside", "outside", "behind", "before")
ADVERBS: tuple[str, ...] = ("quickly", "slowly", "gladly", "sadly", "today", "yesterday")
DETERMINERS: tuple[str, ...] = ("the", "this", "one")
NEGATION = "never"

SYNONYMS: tuple[tuple[str, str], ...] = (
    ("bought", "purchased"), ("repaired", "fixed"), ("cleaned", "washed"), ("saw", "noticed"),
    ("near", "beside"),
)  # fmt: skip

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("praised", "blamed"), ("loved", "hated"), ("found", "lost"), ("bought", "sold"),
    ("purchased", "sold"), ("repaired", "broke"), ("fixed", "broke"), ("hid", "showed"),
    ("pushed", "pulled"), ("big", "small"), ("young", "old"), ("happy", "sad"),
    ("rich", "poor"), ("strong", "weak"), ("clean", "dirty"), ("hot", "cold"),
    ("fresh", "stale"), ("heavy", "light"), ("black", "white"), ("brave", "timid"),
    ("inside", "outside"), ("behind", "before"), ("quickly", "slowly"), ("gladly", "sadly"),
    ("today", "yesterday"),
)  # fmt: skip
"""Pairs that contradict each other, by the rules of this small world."""


def _both_ways(pairs: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    partners: dict[str, tuple[str, ...]] = {}
    for first, second in pairs:
        partners[first] = (*partners.get(first, ()), second)
        partners[second] = (*partners.get(second, ()), first)
    return partners


SYNONYMS_OF: Mapping[str, tuple[str, ...]] = _both_ways(SYNONYMS)
OPPOSITES_OF: Mapping[str, tuple[str, ...]] = _both_ways(OPPOSITES)
CLASS_OF: Mapping[str, str] = {noun: name for name, nouns in CLASSES.items() for noun in nouns}
PLACES: tuple[str, ...] = (*LANDSCAPE, *CLASSES["building"])

CONCEPTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *DETERMINERS, NEGATION, *CLASSES, *CLASS_OF, *LANDSCAPE,
            *VERBS, *ADJECTIVES, *PREPOSITIONS, *ADVERBS,
        )
    )
)  # fmt: skip
"""Every concept once, in a fixed order ("saw" is one word with two uses, as in English)."""
