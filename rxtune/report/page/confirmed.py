"""What `rxtune confirm` has tested so far, read without disturbing it, and weighed as it does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rxtune.errors import RxtuneError
from rxtune.report.answers import Answers, RunKey, read_answers
from rxtune.report.confirmation import Confirmation, Evidence, weigh
from rxtune.report.page.data_facts import DataFacts
from rxtune.report.verdict import verdict
from rxtune.results import ConfirmedRun, TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedResults:
    """A confirmation with the answers behind it."""

    confirmation: Confirmation
    answers: Mapping[RunKey, Answers]


def read_confirmed(
    path: Path, predictions: Path, records: Sequence[TrialRecord], data: DataFacts
) -> tuple[ConfirmedResults | None, str | None]:
    """Return what has been confirmed, and what is wrong with the file.

    Args:
        path: `confirm.jsonl`; a last line that is being written is left out.
        predictions: Folder of the runs' predictions.
        records: All trials of the search.
        data: Tells whether the test items are translations of each other.
    """
    try:
        lines = _lines(path)
        runs = [ConfirmedRun.from_json(json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError, KeyError, RxtuneError) as error:
        return None, f"{path.name} cannot be read, so nothing confirmed is shown ({error!r})."
    if not runs:
        return None, None
    runs = in_order(runs, records)
    answers, unread = read_answers(runs, predictions)
    evidence = Evidence(
        answers=answers if data.task else {},
        is_parallel=data.task is not None and data.task.parallel is not None,
        dev_scores=_dev_scores(records),
    )
    found = weigh(runs, evidence)
    found = replace(found, problems=(*unread, *found.problems))
    return ConfirmedResults(confirmation=found, answers=answers), None


def settled(confirmation: Confirmation) -> str:
    """Return the verdict, also of a confirmation that is not far enough to have one."""
    roles = {role for one in confirmation.configurations for role in one.roles}
    if {"robust", "named"} & roles:
        return verdict(confirmation)
    runs = sum(len(one.runs) for one in confirmation.configurations)
    return f"not settled yet: no run of a robust configuration has ended, and {runs} of plain ones"


def _lines(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1].splitlines()


def in_order(runs: Iterable[ConfirmedRun], records: Sequence[TrialRecord]) -> list[ConfirmedRun]:
    """Return the runs as `weigh` needs them: robust ones, the search's best first, plain last."""
    values = {record.number: record.value or 0.0 for record in records}

    def place(run: ConfirmedRun) -> tuple[int, float, int]:
        roles = ("robust", "named", "best plain", "default plain")
        rank = min((roles.index(role) for role in run.roles), default=len(roles))
        number = len(values) if run.trial is None else run.trial
        return rank, -values.get(number, 0.0) if rank == 0 else 0.0, number

    return sorted(runs, key=place)


def _dev_scores(records: Sequence[TrialRecord]) -> dict[int, dict[str, float]]:
    """Return what the search went by, by trial and dev language."""
    return {
        record.number: {lang: result.scores[lang] for lang in result.dev_languages}
        for record in records
        if (result := record.zero_shot) is not None
    }
