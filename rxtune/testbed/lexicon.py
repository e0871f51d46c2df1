"""The concepts of Babel and how they relate: classes, opposites and synonyms.

A concept is named by its English word; the other languages have words of their own for it. Two
synonyms are two concepts here, since every language has a word for each.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, tuple[str, ...]] = {
    "people": (
        "farmers", "teachers", "doctors", "sailors", "cooks", "painters", "soldiers", "thieves",
        "kings", "children",
    ),
    "animals": ("dogs", "horses", "rabbits", "pigs", "donkeys", "snakes"),
    "foods": ("breads", "soups", "cookies", "candies", "porridges", "pies"),
    "tools": ("hammers", "knives", "ropes", "buckets", "axes", "spades"),
    "garments": ("hats", "coats", "shirts", "scarves", "belts", "cloaks"),
}  # fmt: skip
"""Nouns by the class word (hypernym) that each of them entails."""

PLACES: tuple[str, ...] = (
    "rivers", "forests", "gardens", "markets", "houses", "streets", "shops", "hills",
)  # fmt: skip

VERBS: Mapping[str, tuple[str, ...]] = {
    "praised": ("people",),
    "blamed": ("people",),
    "loved": ("people", "animals", "foods"),
    "hated": ("people", "animals", "foods"),
    "found": ("animals", "tools", "garments"),
    "lost": ("animals", "tools", "garments"),
    "bought": ("foods", "tools", "garments", "animals"),
    "sold": ("foods", "tools", "garments", "animals"),
    "hid": ("foods", "tools", "garments"),
    "showed": ("foods", "tools", "garments"),
    "pushed": ("people", "animals"),
    "pulled": ("people", "animals"),
}
"""Verbs by the noun classes they take as objects; subjects are people."""

ADJECTIVES: Mapping[str, tuple[str, ...]] = {
    "big": ("animals", "tools", "garments"),
    "small": ("animals", "tools", "garments"),
    "young": ("people", "animals"),
    "old": ("people", "animals"),
    "happy": ("people", "animals"),
    "sad": ("people", "animals"),
    "rich": ("people",),
    "poor": ("people",),
    "hot": ("foods",),
    "cold": ("foods",),
    "fresh": ("foods",),
    "stale": ("foods",),
    "clean": ("tools", "garments"),
    "dirty": ("tools", "garments"),
}
"""Adjectives by the noun classes they describe."""

PREPOSITIONS: tuple[str, ...] = ("inside", "outside", "behind", "before")
ADVERBS: tuple[str, ...] = ("quickly", "slowly", "today", "yesterday")

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("praised", "blamed"), ("loved", "hated"), ("found", "lost"), ("bought", "sold"),
    ("hid", "showed"), ("pushed", "pulled"), ("big", "small"), ("young", "old"),
    ("happy", "sad"), ("rich", "poor"), ("hot", "cold"), ("fresh", "stale"),
    ("clean", "dirty"), ("inside", "outside"), ("behind", "before"), ("quickly", "slowly"),
    ("today", "yesterday"),
)  # fmt: skip
"""Pairs that contradict each other, by the rules of this small world."""

SYNONYMS: Mapping[str, str] = {
    "farmers": "peasants", "teachers": "tutors", "doctors": "physicians", "sailors": "seamen",
    "cooks": "chefs", "painters": "artists", "soldiers": "warriors", "thieves": "robbers",
    "kings": "monarchs", "children": "kids",
    "dogs": "hounds", "horses": "steeds", "rabbits": "bunnies", "pigs": "hogs",
    "donkeys": "burros", "snakes": "serpents",
    "breads": "loaves", "soups": "broths", "cookies": "biscuits", "candies": "sweets",
    "porridges": "gruels", "pies": "pastries",
    "hammers": "mallets", "knives": "blades", "ropes": "cords", "buckets": "pails",
    "axes": "hatchets", "spades": "shovels",
    "hats": "caps", "coats": "jackets", "shirts": "blouses", "scarves": "shawls",
    "belts": "straps", "cloaks": "capes",
    "rivers": "streams", "forests": "woods", "gardens": "yards", "markets": "bazaars",
    "houses": "homes", "streets": "roads", "shops": "stores", "hills": "mounds",
    "praised": "lauded", "blamed": "accused", "loved": "adored", "hated": "despised",
    "found": "discovered", "lost": "mislaid", "bought": "purchased", "sold": "traded",
    "hid": "concealed", "showed": "displayed", "pushed": "shoved", "pulled": "dragged",
    "big": "large", "small": "little", "young": "youthful", "old": "aged", "happy": "glad",
    "sad": "gloomy", "rich": "wealthy", "poor": "needy", "hot": "scalding", "cold": "chilly",
    "fresh": "crisp", "stale": "musty", "clean": "spotless", "dirty": "filthy",
}  # fmt: skip
"""Every noun (no class word), verb and adjective by the other word for the same."""

SYNONYM_OF: Mapping[str, str] = {
    word: other for pair in SYNONYMS.items() for word, other in (pair, pair[::-1])
}
OPPOSITE_OF: Mapping[str, str] = {
    word: other for pair in OPPOSITES for word, other in (pair, pair[::-1])
}
CLASS_OF: Mapping[str, str] = {noun: name for name, nouns in CLASSES.items() for noun in nouns}

CONCEPTS: tuple[str, ...] = (
    *CLASSES, *CLASS_OF, *PLACES, *VERBS, *ADJECTIVES, *PREPOSITIONS,
    *ADVERBS, *SYNONYMS.values(),
)  # fmt: skip
"""Every concept once, in a fixed order."""
