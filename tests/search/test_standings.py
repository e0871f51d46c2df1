"""Records and ranking as they are kept up to date, against those made anew."""

from __future__ import annotations

import random
from pathlib import Path

from rxtune.results import TrialRecord, TrialState
from rxtune.search.decisions import SearchStudy
from rxtune.search.standings import Standings
from tests.search.test_decisions import RESULT, ask, create, evaluation


def anew(search: SearchStudy) -> Standings:
    found = Standings()
    found.update(search._ledger.trials())
    return found


def ranked(records: list[TrialRecord]) -> list[TrialRecord]:
    finished = [record for record in records if record.state is TrialState.FINISHED]
    return sorted(
        finished,
        key=lambda r: (r.value, r.configuration.method == "standard", -r.number),
        reverse=True,
    )


def test_after_every_event_records_and_ranking_are_those_of_the_journal(tmp_path: Path) -> None:
    search = create(tmp_path / "journal.log", trials=30, startup_trials=99)
    draw, kept, running = random.Random(3), Standings(), list[int]()
    while len(running) > 0 or len(kept.records) < 30:
        if len(running) < 3 and len(kept.records) < 30:
            running.append(ask(search).number)
        number = draw.choice(running)
        reached = len(search.record(number).evaluations)
        if reached == 6:
            search.finish(number, RESULT)
        elif draw.random() < 0.05:
            search.fail(number, "out of memory")
        else:
            search.report(number, evaluation(reached + 1, draw.randrange(4) / 4))
        running = [n for n in running if search.record(n).state is TrialState.RUNNING]
        kept.update(search._ledger.trials())
        fresh = anew(search)
        assert kept.records == fresh.records
        assert kept.ranking == fresh.ranking == ranked(kept.records)
        assert [record.number for record in kept.running] == sorted(running)
    assert len(kept.ranking) > 5
    assert {record.state for record in kept.records} == set(TrialState) - {TrialState.RUNNING}
