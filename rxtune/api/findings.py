"""What a run's files say, as every verb reads it that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    from rxtune.config import Study
    from rxtune.report.page import Findings, Point
    from rxtune.results import TrialRecord


def read_trials(folder: RunFolder) -> tuple[Study, list[TrialRecord]]:
    """Return what is searched and all trials by number; the search may be running.

    Raises:
        StudyError: the journal cannot be read.
    """
    from rxtune.search.decisions import SearchStudy

    with SearchStudy.open(folder.journal, read_only=True) as decisions:
        return decisions.study, decisions.records()


def read_findings(folder: RunFolder, *, with_points: bool = False) -> Findings:
    """Return what is known of a search; `with_points` also what only plots of the space need.

    Raises:
        StudyError: the journal cannot be read.
    """
    from rxtune.report.page import gather

    study, records = read_trials(folder)
    return gather(
        name=folder.path.name,
        study=study,
        records=records,
        points=[*_points(study, records)] if with_points else (),
        confirmation=folder.confirmation,
        predictions=folder.predictions,
        is_running=folder.has_driver,
        written=datetime.now(),
    )


def _points(study: Study, records: Sequence[TrialRecord]) -> Iterator[Point]:
    """Yield the trials that have a value and lie in the space."""
    from rxtune.report.page import Point
    from rxtune.search.distributions import params_of
    from rxtune.search.history import distributions_of

    for record in records:
        params = params_of(study.space, record.configuration)
        if record.value is not None and params is not None:
            yield Point(
                number=record.number,
                value=record.value,
                params=params,
                distributions=distributions_of(study.space, params),
            )
