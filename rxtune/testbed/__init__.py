"""Babel: constructed languages, a language-inference task and a small encoder, made from seeds.

The testbed shows the real effect (zero-shot transfer that falls with the distance of the language)
on a machine without network or GPU. It knows nothing of the other rooms: it hands out plain lists.
"""

from rxtune.testbed.babel import LABELS, SPLITS, Item, items
from rxtune.testbed.languages import LANGUAGES, SOURCE, TARGETS, Language
from rxtune.testbed.tokenizer import encoder_folder

__all__ = [
    "LABELS",
    "LANGUAGES",
    "SOURCE",
    "SPLITS",
    "TARGETS",
    "Item",
    "Language",
    "encoder_folder",
    "items",
]
