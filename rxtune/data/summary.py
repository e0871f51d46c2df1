"""A task's data, read once from end to end before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rxtune.data.faults import FaultyDataError, refuse
from rxtune.data.task import SPLITS, Split, Task, dropped_rows
from rxtune.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

UNCOVERED = 0.2
"""Share of unknown tokens above which a tokenizer does not cover a language's script."""
_SAMPLE = 1000  # texts per language that the share of unknown tokens is counted on

Key = tuple[str, Split]
"""Language and split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary:
    """What a task's data consists of."""

    task: Task
    rows: Mapping[Key, int]
    dropped: Mapping[Key, int]
    """Rows that are no examples; splits without any are left out."""
    labels: Mapping[Key, tuple[int, ...]]
    """Examples of every label, in the order of the task's labels."""
    warnings: tuple[str, ...]
    """What is allowed but odd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownShare:
    """How much of a language a tokenizer does not know."""

    language: str
    share: float
    """Unknown tokens among all tokens, special ones aside."""

    @property
    def is_covered(self) -> bool:
        """Whether the tokenizer covers the language's script."""
        return self.share <= UNCOVERED


def check_task(task: Task) -> DataSummary:
    """Read every split that a search or `confirm` needs, and say what is in them.

    The test splits are read for their form alone: nothing is computed from them.

    Raises:
        DataError: something cannot be read or breaks a rule; the message names all of it.
    """
    rows: dict[Key, int] = {}
    dropped: dict[Key, int] = {}
    labels: dict[Key, tuple[int, ...]] = {}
    ids: dict[Key, list[str]] = {}
    faults: list[str] = []
    for split in SPLITS:
        for language in task.languages_with(split):
            key = (language, split)
            try:
                table = task.read(language, split)
            except FaultyDataError as error:
                faults += error.faults
                continue
            except DataError as error:  # the same for all that is to come: a hub not reached
                refuse([*faults, str(error)])
            rows[key], labels[key] = table.num_rows, _count_labels(table, len(task.labels))
            if dropped_rows(table):
                dropped[key] = dropped_rows(table)
            if task.parallel and split != "train":
                ids[key] = table.column("id").to_pylist()
    refuse(faults)
    warnings = (*_absent_labels(task, labels), *_unmatched(task, ids))
    return DataSummary(task=task, rows=rows, dropped=dropped, labels=labels, warnings=warnings)


def _count_labels(table: pa.Table, labels: int) -> tuple[int, ...]:
    import pyarrow.compute as pc

    counts = pc.value_counts(table.column("label")).to_pylist()
    found = {item["values"]: item["counts"] for item in counts}
    return tuple(found.get(number, 0) for number in range(labels))


def _absent_labels(task: Task, labels: Mapping[Key, tuple[int, ...]]) -> list[str]:
    return [
        f"{split} in {language} has no example of {', '.join(absent)}"
        for (language, split), counts in labels.items()
        if (absent := [name for name, count in zip(task.labels, counts, strict=True) if not count])
    ]


def _unmatched(task: Task, ids: Mapping[Key, list[str]]) -> list[str]:
    """Return a warning for each language whose items hardly match the source's."""
    found = []
    for (language, split), own in ids.items():
        source = set(ids.get((task.source_language, split), ()))
        shared = len(source & set(own))
        if source and shared < 0.5 * min(len(source), len(own)):
            found.append(
                f"{split} in {language} shares {shared} of {len(own)} items with"
                f" {task.source_language}, though the task is said to be parallel by"
                f" {task.parallel}"
            )
    return found


def unknown_shares(task: Task, tokenizer: PreTrainedTokenizerBase) -> tuple[UnknownShare, ...]:
    """Return the share of unknown tokens in every language that has dev data.

    Args:
        task: its dev splits are read, up to 1,000 texts of each.
        tokenizer: of the encoder. One that works on bytes knows everything.

    Raises:
        DataError: data cannot be read.
    """
    shares = []
    for language in task.languages_with("dev"):
        table = task.read(language, "dev").slice(0, _SAMPLE)
        texts = table.column("text").to_pylist()
        if "text_pair" in table.column_names:
            texts += table.column("text_pair").to_pylist()
        # Not verbose: it would warn of texts longer than an encoder takes, which are cut later.
        tokens = tokenizer(
            texts, add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        unknown = total = 0
        for ids in tokens["input_ids"]:
            total += len(ids)
            unknown += sum(number == tokenizer.unk_token_id for number in ids)
        shares.append(UnknownShare(language=language, share=unknown / max(total, 1)))
    return tuple(shares)
