"""The generalized setting: pairs whose two sentences are in different languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rxtune.data.task import Parallel
from rxtune.errors import DataError

ALIGNED = 0.9
"""Rows that are shifted against each other agree in the label of about one in two or three."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParallelItems:
    """The items that are valid in all languages."""

    rows: Mapping[str, NDArray[np.int64]]
    """Language -> row of every item, items in the same order in all languages."""
    missing: int
    """Items left out because some language does not have them."""
    contradicting: int
    """Items left out because their label is not the same in all languages."""

    def __len__(self) -> int:
        """Return the number of items."""
        return len(next(iter(self.rows.values())))

    def sample(self, count: int, seed: int) -> ParallelItems:
        """Return at most so many of the items, the same for the same seed."""
        if count >= len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        rows = {language: rows[chosen] for language, rows in self.rows.items()}
        return ParallelItems(rows=rows, missing=self.missing, contradicting=self.contradicting)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedPairs:
    """Tokenised pairs: all items in all ordered pairs of languages, pair after pair."""

    languages: tuple[str, ...]
    items: int
    tokens: pa.Table
    """`items` rows for every pair of `language_pairs`."""

    @property
    def language_pairs(self) -> list[tuple[str, str]]:
        """All (language of the first sentence, language of the second), equal ones included."""
        return [(first, second) for first in self.languages for second in self.languages]


def parallel_items(tables: Mapping[str, pa.Table], parallel: Parallel) -> ParallelItems:
    """Return the items that every language has, with the same label.

    Args:
        tables: Language -> `id` and `label`; equal ids are the same item.
        parallel: Where the ids come from. Row numbers need not be aligned, so labels that differ
            often are refused; ids of the data set are trusted, and such items left out.

    Raises:
        DataError: no item is left, or the rows of the languages are not parallel.
    """
    rows, missing = _by_id(tables)
    labels = np.stack([_labels(table)[rows[language]] for language, table in tables.items()])
    agree = (labels == labels[0]).all(axis=0)
    if not agree.any():
        raise DataError(
            f"mixed-language pairs: no item is in all of {', '.join(tables)} with one label"
            f" ({missing} are missing somewhere, {len(agree)} differ in label); check the ids, or"
            " write evaluate: {generalized: never}"
        )
    if parallel == "row" and not agree.mean() >= ALIGNED:
        raise DataError(
            f"mixed-language pairs: rows must be parallel in {', '.join(tables)}, but"
            f" {int((~agree).sum())} of {len(agree)} differ in label; give the rows ids, or write"
            " evaluate: {generalized: never}"
        )
    return ParallelItems(
        rows={language: found[agree] for language, found in rows.items()},
        missing=missing,
        contradicting=int((~agree).sum()),
    )


def mixed_texts(tables: Mapping[str, pa.Table], items: ParallelItems) -> Iterator[pa.Table]:
    """Yield `text`, `text_pair` and `label` for every ordered pair of languages.

    The first sentence is in the one language, the second in the other; the label is the item's.
    """
    chosen = {language: table.take(items.rows[language]) for language, table in tables.items()}
    for first in chosen.values():
        for second in chosen.values():
            yield pa.table(
                {
                    "text": first.column("text"),
                    "text_pair": second.column("text_pair"),
                    "label": first.column("label"),
                }
            )


def _by_id(tables: Mapping[str, pa.Table]) -> tuple[dict[str, NDArray[np.int64]], int]:
    """Return the rows of the ids that all have, ordered by the first table, and who is missing."""
    places: dict[str, dict[Any, int]] = {}
    for language, table in tables.items():
        ids = table.column("id").to_pylist()
        places[language] = {name: row for row, name in enumerate(ids)}
    everywhere = set.intersection(*(set(found) for found in places.values()))
    anywhere = set.union(*(set(found) for found in places.values()))
    ordered = [name for name in next(iter(places.values())) if name in everywhere]
    rows = {
        language: np.array([found[name] for name in ordered], dtype=np.int64)
        for language, found in places.items()
    }
    return rows, len(anywhere) - len(everywhere)


def _labels(table: pa.Table) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = table.column("label").to_numpy()
    return labels
