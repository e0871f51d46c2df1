"""What a task is: labels, languages, defaults, and a way to read its splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Split = Literal["train", "dev", "test"]


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
    """`read(language, split)`: columns `id`, `text`, `label` (class id); `text_pair` of pairs."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The source language, then the targets."""
        return (self.source_language, *self.target_languages)
