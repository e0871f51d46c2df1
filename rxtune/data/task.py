"""What a task is: labels, languages, defaults, and a way to read its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
Parallel = Literal["id", "row"]
DROPPED = b"rxtune.dropped"
"""Key of a table's metadata: how many rows the data set has that the table leaves out."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A classification task with training data in one language and others to transfer to."""

    name: str
    title: str
    """One line for people."""
    labels: tuple[str, ...]
    """Label names; a label's index is its class id, the same in every language."""
    source_language: str
    target_languages: tuple[str, ...]
    dev_languages: tuple[str, ...]
    """Default for selection: the languages `select: {languages: auto}` stands for."""
    default_model: str
    epochs: float
    """Default number of passes over the training data."""
    batch_size: int
    """Default number of examples per update."""
    max_length: int
    """Default limit in tokens, special tokens included; longer input is cut at its end."""
    read: Callable[[str, Split], pa.Table]
    """`read(language, split)`: columns `id`, `text`, `label` (class id); `text_pair` of pairs.

    Raises `DataError` with all faults of the split. Two calls return equal tables.
    """
    is_pair: bool = False
    """Whether an example is a pair of texts."""
    parallel: Parallel | None = None
    """How items match across languages, and None: not at all. Either way equal `id`s are the same
    item; "row" says that the ids are row numbers, which a data set need not keep aligned."""
    with_dev: tuple[str, ...] | None = None
    """The languages that have a dev split; None: all."""
    origin: str = "embedded"
    """Where the data comes from, for people."""
    identify: Callable[[str, Split], str] | None = None
    """Tells what is behind a split without reading it; None: its text is hashed."""
    is_local: Callable[[], bool] = _always
    """Whether the data can be read without network."""
    substitutes: Callable[[str], Mapping[str, Sequence[str]]] | None = None
    """`substitutes(kind)`: words and what may stand in their place, for `kind` "synonyms" or the
    code of a target language (translations); None: the task brings no such tables."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The source language, then the targets."""
        return (self.source_language, *self.target_languages)

    def languages_with(self, split: Split) -> tuple[str, ...]:
        """Return the languages that have a split, the source first."""
        if split == "train":
            return (self.source_language,)
        if split == "test" or self.with_dev is None:
            return self.languages
        return tuple(language for language in self.languages if language in self.with_dev)

    @property
    def splits(self) -> Mapping[Split, tuple[str, ...]]:
        """The languages of every split."""
        return {split: self.languages_with(split) for split in SPLITS}

    def fingerprint(self, language: str, split: Split) -> str:
        """Return what identifies the content of a split: equal prints mean equal tables."""
        if self.identify is not None:
            return self.identify(language, split)
        table = self.read(language, split)
        digest = hashlib.sha256(repr((table.schema.names, self.labels)).encode())
        for name in table.schema.names:
            digest.update(repr(table.column(name).to_pylist()).encode())
        return digest.hexdigest()

    def dropped(self, language: str, split: Split) -> int:
        """Return how many rows of the data set are no examples and left out; reads the split."""
        return dropped_rows(self.read(language, split))


def dropped_rows(table: pa.Table) -> int:
    """Return how many rows the reader of `table` left out."""
    return int((table.schema.metadata or {}).get(DROPPED, b"0"))
