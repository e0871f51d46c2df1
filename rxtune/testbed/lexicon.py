"""The concepts of Babel and how they relate: classes and opposites.

A concept is named by its English word; the other languages have words of their own for it.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, tuple[str, ...]] = {
    "person": (
        "farmer", "teacher", "doctor", "sailor", "baker", "painter", "soldier", "hunter", "king",
        "queen",
    ),
    "animal": ("dog", "cat", "horse", "cow", "goat", "wolf", "bear", "rabbit"),
    "food": ("bread", "cheese", "soup", "rice", "cake", "honey"),
    "tool": ("hammer", "knife", "rope", "ladder", "needle", "bucket"),
    "garment": ("hat", "coat", "shirt", "scarf", "belt", "cloak"),
}  # fmt: skip
"""Nouns by the class word (hypernym) that each of them entails."""

PLACES: tuple[str, ...] = (
    "river",
    "forest",
    "garden",
    "market",
    "bridge",
    "field",
    "house",
    "mill",
)

VERBS: Mapping[str, tuple[str, ...]] = {
    "praised": ("person",),
    "blamed": ("person",),
    "loved": ("person", "animal", "food"),
    "hated": ("person", "animal", "food"),
    "found": ("animal", "tool", "garment"),
    "lost": ("animal", "tool", "garment"),
    "bought": ("food", "tool", "garment", "animal"),
    "sold": ("food", "tool", "garment", "animal"),
    "hid": ("food", "tool", "garment"),
    "showed": ("food", "tool", "garment"),
    "pushed": ("person", "animal"),
    "pulled": ("person", "animal"),
}
"""Verbs by the noun classes they take as objects; subjects are persons."""

ADJECTIVES: Mapping[str, tuple[str, ...]] = {
    "big": ("animal", "tool", "garment"),
    "small": ("animal", "tool", "garment"),
    "young": ("person", "animal"),
    "old": ("person", "animal"),
    "happy": ("person", "animal"),
    "sad": ("person", "animal"),
    "rich": ("person",),
    "poor": ("person",),
    "hot": ("food",),
    "cold": ("food",),
    "fresh": ("food",),
    "stale": ("food",),
    "clean": ("tool", "garment"),
    "dirty": ("tool", "garment"),
}
"""Adjectives by the noun classes they describe."""

PREPOSITIONS: tuple[str, ...] = ("inside", "outside", "behind", "before")
ADVERBS: tuple[str, ...] = ("quickly", "slowly", "today", "yesterday")
DETERMINERS: tuple[str, ...] = ("the", "this")

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("praised", "blamed"), ("loved", "hated"), ("found", "lost"), ("bought", "sold"),
    ("hid", "showed"), ("pushed", "pulled"), ("big", "small"), ("young", "old"),
    ("happy", "sad"), ("rich", "poor"), ("hot", "cold"), ("fresh", "stale"),
    ("clean", "dirty"), ("inside", "outside"), ("behind", "before"), ("quickly", "slowly"),
    ("today", "yesterday"),
)  # fmt: skip
"""Pairs that contradict each other, by the rules of this small world."""

OPPOSITE_OF: Mapping[str, str] = {
    word: other for pair in OPPOSITES for word, other in (pair, pair[::-1])
}
CLASS_OF: Mapping[str, str] = {noun: name for name, nouns in CLASSES.items() for noun in nouns}

CONCEPTS: tuple[str, ...] = (
    *DETERMINERS, *CLASSES, *CLASS_OF, *PLACES, *VERBS, *ADJECTIVES, *PREPOSITIONS,
    *ADVERBS,
)  # fmt: skip
"""Every concept once, in a fixed order."""
