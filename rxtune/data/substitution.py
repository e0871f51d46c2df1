"""Words replaced by neighbours before tokenising: synonyms (RS-DA) or translations."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from rxtune.errors import DataError

_EXAMPLE = 'write {"big": ["large", "huge"]} as .json, or big<TAB>large,huge per line as .tsv'


class SubstitutionTable:
    """Neighbours of words: what each may be replaced by.

    Args:
        neighbours: Word -> what may stand in its place; the word itself is dropped from it.
    """

    def __init__(self, neighbours: Mapping[str, Iterable[str]]) -> None:
        distinct = {
            word: tuple(dict.fromkeys(other for other in others if other != word))
            for word, others in neighbours.items()
        }
        self.neighbours = {word: others for word, others in distinct.items() if others}
        # A text repeats its words: each is taken apart and looked up once.
        self._known: dict[str, tuple[str, ...]] = {}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the table in a file.

        JSON holds one object, word -> list of neighbours. TSV holds a word, a tab and its
        neighbours, separated by commas, in each line; a word may stand in several lines.

        Raises:
            DataError: the file cannot be read or is malformed, or no word has a neighbour.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: must be a readable UTF-8 file, but: {error}") from error
        if path.suffix.lower() == ".json":
            found = _from_json(text, path)
        elif path.suffix.lower() in (".tsv", ".txt"):
            found = _from_lines(text, path)
        else:
            raise DataError(f"{path}: must end with .json, .tsv or .txt; {_EXAMPLE}")
        table = cls(found)
        if not table.neighbours:
            raise DataError(f"{path}: no word has a neighbour other than itself; {_EXAMPLE}")
        return table

    @classmethod
    def merged(cls, tables: Iterable[SubstitutionTable]) -> Self:
        """Return one table in which a word has the neighbours that it has in any of them."""
        together: dict[str, list[str]] = {}
        for table in tables:
            for word, others in table.neighbours.items():
                together.setdefault(word, []).extend(others)
        return cls(together)

    def options(self, piece: str) -> tuple[str, ...]:
        """Return what may stand for a piece of text without space: itself, then the others.

        Punctuation around the word stays, and so does its case: Title and UPPER. The word is
        looked up as it is written, then in lower case.
        """
        if piece not in self._known:
            before, word, after = _core(piece)
            others = self.neighbours.get(word) or self.neighbours.get(word.lower(), ())
            replaced = (f"{before}{_in_case_of(word, other)}{after}" for other in others)
            self._known[piece] = (piece, *replaced)
        return self._known[piece]

    def substitute(self, text: str, probability: float, draw: random.Random) -> str:
        """Return the text with words replaced.

        Every word with neighbours is, with the given probability, replaced by a uniform draw from
        the word and its neighbours. Space between words stays as it is.

        Source: Huang et al. 2021, arXiv 2104.08645 (RS-DA); the probability is ours.
        """
        pieces = re.split(r"(\s+)", text)
        for place in range(0, len(pieces), 2):
            options = self.options(pieces[place])
            if len(options) > 1 and draw.random() < probability:
                pieces[place] = options[draw.randrange(len(options))]
        return "".join(pieces)

    def substitute_all(
        self, table: pa.Table, probability: float, draw: random.Random
    ) -> Iterator[pa.Table]:
        """Yield the table, part by part, with the words of `text` and `text_pair` replaced."""
        for batch in table.to_batches(max_chunksize=8192):
            columns = {name: batch.column(name) for name in batch.schema.names}
            for name in ("text", "text_pair"):
                if name in columns:
                    texts = columns[name].to_pylist()
                    columns[name] = [self.substitute(text, probability, draw) for text in texts]
            yield pa.table(columns)


def _core(piece: str) -> tuple[str, str, str]:
    """Return what stands before a word, the word, and what stands after it."""
    inside = [place for place, sign in enumerate(piece) if unicodedata.category(sign)[0] in "LMN"]
    if not inside:
        return piece, "", ""
    start, end = inside[0], inside[-1] + 1
    return piece[:start], piece[start:end], piece[end:]


def _in_case_of(word: str, other: str) -> str:
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other


def _from_json(text: str, path: Path) -> dict[str, list[str]]:
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: must be JSON, but: {error}; {_EXAMPLE}") from error
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise DataError(f"{path}: must hold one object, but holds a {kind}; {_EXAMPLE}")
    for word, others in found.items():
        if not word.strip():  # it would stand for every space and comma
            raise DataError(f"{path}: {word!r}: a word must stand before its neighbours")
        is_list = isinstance(others, list)
        if not (is_list and all(isinstance(other, str) and other.strip() for other in others)):
            raise DataError(
                f"{path}: {word!r}: a list of words is required, got {json.dumps(others)[:60]};"
                f" {_EXAMPLE}"
            )
    return found


def _from_lines(text: str, path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        word, _, rest = line.partition("\t")
        others = [other.strip() for other in rest.split(",")]
        if not word.strip() or "\t" in rest or not all(others):
            raise DataError(
                f"{path}:{number}: a word, one tab and its neighbours separated by commas are"
                f" required, got {line[:60]!r}; {_EXAMPLE}"
            )
        found.setdefault(word.strip(), []).extend(others)
    return found
