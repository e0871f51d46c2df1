"""The WordPiece tokenizer of `babel-tiny`: a piece per word and per ending, else letters."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.testbed.languages import LANGUAGES, lexicons

if TYPE_CHECKING:
    from transformers import BertTokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def encoder_folder() -> Path:
    """Return the folder of the shipped encoder `babel-tiny`, as `transformers` loads it."""
    return Path(__file__).parent / "assets" / "babel-tiny"


def vocabulary() -> list[str]:
    """Return all tokens in the order of their ids."""
    words = [word for lexicon in lexicons().values() for word in lexicon.values()]
    endings = [
        f"##{suffix}"
        for language in LANGUAGES.values()
        for suffix in (language.object_suffix, language.verb_suffix)
        if suffix
    ]
    letters = list(string.ascii_lowercase)
    continued = [f"##{letter}" for letter in letters]
    return list(dict.fromkeys([*SPECIAL_TOKENS, *letters, *continued, *endings, *words]))


def build_tokenizer() -> BertTokenizer:
    """Return the tokenizer; the same bit for bit at every call."""
    from transformers import BertTokenizer

    ids = {token: number for number, token in enumerate(vocabulary())}
    return BertTokenizer(vocab=ids, do_lower_case=True, model_max_length=64)
