"""What a model is trained on, epoch by epoch: plain tokens, or words drawn anew."""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rxtune.data.substitution import SubstitutionTable
from rxtune.data.token_cache import tokenise_all

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TrainingData(Protocol):
    """Tokenised training data that may differ from epoch to epoch, but not in size."""

    @property
    def examples(self) -> int:
        """Number of examples of every epoch."""
        ...

    def table(self, epoch: int) -> pa.Table:
        """Return the tokens of an epoch, counted from 0; the same whenever it is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class PlainData:
    """The same tokens in every epoch."""

    tokens: pa.Table

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.tokens.num_rows)

    def table(self, epoch: int) -> pa.Table:
        """Return the tokens."""
        return self.tokens


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """A pickled object as an array: processes share its bytes, and each unpacks it once.

    A tokenizer of 250,000 pieces takes a second to unpack: too long for every trial.
    """

    content: NDArray[np.uint8]
    digest: str

    @classmethod
    def of(cls, value: object) -> Parcel:
        """Return an object, packed; only the program that made a parcel opens it."""
        packed = pickle.dumps(value)
        return cls(np.frombuffer(packed, np.uint8), hashlib.sha256(packed).hexdigest())

    def open(self) -> Any:
        """Return the object; the same one at every call in this process."""
        if self.digest not in _OPENED:
            _OPENED[self.digest] = pickle.loads(self.content.data)
        return _OPENED[self.digest]


_OPENED: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingText:
    """Training data before the tokenizer, with all that makes tokens of it on a worker."""

    texts: pa.Table
    """`text`, `label` and, for pairs, `text_pair`."""
    fingerprint: str
    """Of `texts`."""
    tokenizer: Parcel
    max_length: int

    @classmethod
    def of(
        cls,
        texts: pa.Table,
        fingerprint: str,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> TrainingText:
        """Return the text of a split that can travel to workers."""
        names = [name for name in ("text", "text_pair", "label") if name in texts.column_names]
        return cls(
            texts=texts.select(names),
            fingerprint=fingerprint,
            tokenizer=Parcel.of(tokenizer),
            max_length=max_length,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstitutedData:
    """Training data with words replaced by neighbours.

    Fresh draws (`copies` is None): every epoch replaces other words, and has as many examples as
    plain data, so that a comparison is between equal numbers of updates. Static copies: so many
    copies are made once, and every epoch is the original and all of them.

    Source: Huang et al. 2021, arXiv 2104.08645 (RS-DA), whose release makes static copies.
    """

    text: TrainingText
    neighbours: Parcel
    """A `SubstitutionTable`."""
    probability: float
    """Chance of a word with neighbours to be drawn, from the neighbours and itself."""
    seed: int
    copies: int | None = None

    @property
    def examples(self) -> int:
        """Number of examples of every epoch."""
        return int(self.text.texts.num_rows) * (1 + (self.copies or 0))

    def table(self, epoch: int) -> pa.Table:
        """Return the tokens of an epoch, made in this process or kept from its last trial."""
        key = (
            self.text.fingerprint, self.text.tokenizer.digest, self.text.max_length,
            self.neighbours.digest, self.probability, self.seed, self.copies,
            epoch if self.copies is None else None,
        )  # fmt: skip
        if key not in _LAST.made:
            # Before the new one is made: the two together would need twice the room.
            _LAST.made.clear()
            tokenizer = self.text.tokenizer.open()
            drawn = self._fresh(epoch) if self.copies is None else self._original_and_copies()
            _LAST.made[key] = tokenise_all(drawn, tokenizer, self.text.max_length)
        return _LAST.made[key]

    def _fresh(self, epoch: int) -> Iterator[pa.Table]:
        return self._substituted(f"epoch {epoch}")

    def _original_and_copies(self) -> Iterator[pa.Table]:
        yield self.text.texts
        for number in range(self.copies or 0):
            yield from self._substituted(f"copy {number}")

    def _substituted(self, name: str) -> Iterator[pa.Table]:
        table: SubstitutionTable = self.neighbours.open()
        # A text as seed, not a sum: no two epochs and seeds can share their draws.
        draw = random.Random(f"rxtune substitution {self.seed} {name}")
        return table.substitute_all(self.text.texts, self.probability, draw)


@dataclass(slots=True)
class _Last:
    """The epoch that this process made last: a trial that runs again may begin with it."""

    made: dict[tuple[Any, ...], pa.Table] = field(default_factory=dict)


_LAST = _Last()
