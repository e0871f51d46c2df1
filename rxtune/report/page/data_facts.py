"""What a report says of a search's data: its task, and how many items are behind a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rxtune.config import Study
from rxtune.data.catalogue import find_task
from rxtune.data.languages import resolve_dev_languages
from rxtune.data.task import Task
from rxtune.errors import RxtuneError
from rxtune.results import TrialRecord, ZeroShot

_CLOSE = 1e-6
"""An accuracy is a count over a count: what is further from one was counted elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """A task as it is found now; a report must not fail because its data has moved."""

    task: Task | None
    dev_items: Mapping[str, int] = field(default_factory=dict)
    """Dev items by language, of those whose number is known to be that of the search."""
    score_examples: int | None = None
    """Dev items behind a trial's score; None: not known."""
    problem: str | None = None
    """Why something is missing here."""


def read_facts(study: Study, records: Sequence[TrialRecord]) -> DataFacts:
    """Return what can be said of the data; reads the dev splits."""
    try:
        task = find_task(study.task)
    except RxtuneError as error:
        return DataFacts(task=None, problem=_without_intervals(error))
    try:
        items = {lang: int(task.read(lang, "dev").num_rows) for lang in task.languages_with("dev")}
        chosen_by = _score_languages(study, task)
    except RxtuneError as error:
        return DataFacts(task=task, problem=_without_intervals(error))
    agreeing = {lang: n for lang, n in items.items() if _are_counts(lang, n, records)}
    problem = None
    if agreeing.keys() != items.keys():
        changed = ", ".join(lang for lang in items if lang not in agreeing)
        problem = (
            f"The dev split of {changed} is not the one that the trials were measured on: their"
            " accuracies are no counts of its items. So they have no intervals here."
        )
    sizes = [agreeing.get(language) for language in chosen_by]
    known = [size for size in sizes if size is not None]
    examples = min(known) if study.select.objective[0] == "worst" and known else sum(known)
    return DataFacts(
        task=task,
        dev_items=agreeing,
        score_examples=examples if known and len(known) == len(sizes) else None,
        problem=problem,
    )


def _without_intervals(error: Exception) -> str:
    return f"The data could not be read, so dev scores have no intervals here: {error}"


def _score_languages(study: Study, task: Task) -> tuple[str, ...]:
    if study.select.objective[0] == "source":
        return (task.source_language,)
    return resolve_dev_languages(task, study.select.languages)


def _are_counts(language: str, items: int, records: Sequence[TrialRecord]) -> bool:
    """Return whether all accuracies in a language can be counts of so many items."""
    right = [
        result.accuracy[language] * items
        for record in records
        for result in _of_single_seeds(record)
        if language in result.accuracy
    ]
    return all(abs(number - round(number)) < _CLOSE * max(1, items) for number in right)


def _of_single_seeds(record: TrialRecord) -> list[ZeroShot]:
    """Return the results of a trial that are no means over seeds."""
    if record.replicates:
        return [replicate.zero_shot for replicate in record.replicates]
    return [record.zero_shot] if record.zero_shot is not None else []
