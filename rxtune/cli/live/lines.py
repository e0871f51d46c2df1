"""A search where there is no terminal: one line for everything that happens."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rxtune.api.progress import Progress
from rxtune.cli.live import words
from rxtune.cli.live.sight import Sight
from rxtune.cli.wording import duration, has_ended, is_cut_off, percent
from rxtune.results import Failure, TrialRecord, TrialState
from rxtune.search.changes import Changes

_LOSSES = (Failure.WORKER_LOST, Failure.NODE_LOST, Failure.OUT_OF_MEMORY)
_IF_IT_HANGS = "if its worker hangs, end the search with Ctrl-C and go on with --resume"


class Teller:
    """Tells everything once: what has ended, what goes on elsewhere, what may hang.

    Args:
        before: What has happened already and is not told.
    """

    def __init__(self, before: Progress) -> None:
        self._changes: Changes[TrialRecord] = Changes(
            lambda record: record.state is not TrialState.RUNNING
        )
        self._changes.since(before.records)
        self._losses = {record.number: record.losses for record in before.running}
        self._silent: set[int] = set()

    def news(self, sight: Sight) -> Iterator[str]:
        """Yield a line for everything that has happened since the last call."""
        progress = sight.progress
        changed = self._changes.since(progress.records)
        ends = sorted((r for r in changed if r.state is not TrialState.RUNNING), key=_end_of)
        for record in changed:
            if record.losses > self._losses.get(record.number, 0):
                self._losses[record.number] = record.losses
                if record.failure in _LOSSES:  # it does not go on; its end is told below
                    continue
                yield _line(sight, progress.ended, record, words.loss(record))
        # How many had ended by then: as many as now, less those that have come later.
        count = progress.ended - sum(map(has_ended, ends))
        for record in ends:
            count += has_ended(record)
            yield _line(sight, count, record, _end_text(progress, record))
        for record, seconds in progress.silent:
            if record.number not in self._silent:
                self._silent.add(record.number)
                what = f"nothing heard of it for {duration(seconds)}; {_IF_IT_HANGS}"
                yield _line(sight, progress.ended, record, what)


def _end_of(record: TrialRecord) -> tuple[float, int]:
    return (math.inf if record.ended is None else record.ended, record.number)


def _line(sight: Sight, count: int, record: TrialRecord, what: str) -> str:
    return (
        f"{sight.elapsed:5.0f} s  {count}/{sight.progress.asked}"
        f"  trial {record.number} {words.describe(record)}: {what}"
    )


def _end_text(progress: Progress, record: TrialRecord) -> str:
    state = "cut off" if is_cut_off(record) else record.state.value
    reached = f"after {words.evaluations(record, progress.study)}, dev {words.dev_score(record)}"
    if record.state is TrialState.FAILED:
        ending = f"{state} ({record.reason}) {reached}" if record.reason else f"{state} {reached}"
    else:
        why = words.reason(record)
        ending = f"{state} {reached}, {why}" if why else f"{state} {reached}"
    return f"{ending}{_standing(progress)}"


def _standing(progress: Progress) -> str:
    best, baseline = progress.best, progress.baseline
    if best is None:
        return ""
    text = f"; best {percent(best.value)} (trial {best.number})"
    if baseline is None or best.is_baseline or baseline.state is not TrialState.FINISHED:
        return text
    return f"{text}, baseline {percent(baseline.value)}"
