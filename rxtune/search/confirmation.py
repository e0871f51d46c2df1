"""The confirmation: what a search chose is retrained on fresh seeds and tested once."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rxtune.config import Configuration
from rxtune.errors import AllTrialsFailedError, StudyError
from rxtune.results import ConfirmedRun, Role, TrialRecord, TrialState
from rxtune.search.confirmed_runs import ConfirmedRuns
from rxtune.search.decisions import SearchStudy
from rxtune.search.plan import Plan

if TYPE_CHECKING:
    from rxtune.search.retraining import Retrained

OnResult = Callable[[ConfirmedRun, int, int], None]
"""Called with a run that has just ended, how many have ended, and how many there are in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration to be retrained: frozen, whatever the test split will say."""

    trial: int
    configuration: Configuration
    roles: tuple[Role, ...]

    def run(self, seed: int) -> ConfirmedRun:
        """Return the run that is to be made with a seed."""
        return ConfirmedRun(
            trial=self.trial, configuration=self.configuration, roles=self.roles, seed=seed
        )


def choose(records: Sequence[TrialRecord], top: int) -> list[Candidate]:
    """Return what to retrain: the best robust trials, the best first, then the plain ones.

    Only trials that ran to their end can be best. Plain fine-tuning at default parameters is taken
    however its trial ended: no result is needed to know it. Equal configurations are one.

    Args:
        records: All trials of the search.
        top: How many robust configurations.
    """
    finished = [r for r in records if r.state is TrialState.FINISHED]
    finished.sort(key=lambda r: (-_value(r), r.number))
    robust: dict[Configuration, TrialRecord] = {}
    for record in finished:
        if record.configuration.method != "standard":
            robust.setdefault(record.configuration, record)
    plain = [r for r in finished if r.configuration.method == "standard"]
    baselines = [r for r in (*plain, *records) if r.is_baseline]
    wanted: list[tuple[Role, TrialRecord]] = [
        *(("robust", r) for r in list(robust.values())[:top]),
        *(("best plain", r) for r in plain[:1]),
        *(("default plain", r) for r in baselines[:1]),
    ]
    chosen: dict[Configuration, Candidate] = {}
    for role, record in wanted:
        known = chosen.get(record.configuration)
        chosen[record.configuration] = Candidate(
            trial=known.trial if known else record.number,
            configuration=record.configuration,
            roles=(*known.roles, role) if known else (role,),
        )
    return list(chosen.values())


def _value(record: TrialRecord) -> float:
    return -math.inf if record.value is None else record.value


def fresh_seeds(search_seed: int, count: int) -> list[int]:
    """Return distinct seeds that the search did not train with.

    They follow from the search's seed alone, so that a confirmation can be repeated, and more
    seeds begin with the same ones, so that it can be extended.
    """
    draw = random.Random(f"rxtune confirm {search_seed}")
    seeds: list[int] = []
    while len(seeds) < count:
        seed = draw.getrandbits(31)
        if seed != search_seed and seed not in seeds:
            seeds.append(seed)
    return seeds


def run_confirmation(
    plan: Plan, *, seeds: int = 5, top: int = 1, on_result: OnResult
) -> list[ConfirmedRun]:
    """Retrain what the search chose, test each once, and return all runs, candidate by candidate.

    What ends is written to `confirm.jsonl` at once and never repeated. A run that diverged is such
    an end; one that the machine failed (out of memory, worker lost) is tried again next time.

    Args:
        plan: from `make_plan`, of a run that exists; its search may still be running.
        seeds: Retrainings of each configuration; all configurations share the seeds.
        top: How many of the best robust trials to confirm.
        on_result: Told of every run that is made now.

    Raises:
        StudyError: There is nothing to confirm, a number is too small, or a file is damaged.
        DataError: malformed data.
        ModelError: the encoder does not load.
        ClusterError: Ray or the resources are not there.
        AllTrialsFailedError: no run gave a result.
    """
    _require_enough(seeds, top)
    with SearchStudy.open(plan.folder.journal, read_only=True) as decisions:
        plan = replace(plan, study=decisions.study)
        candidates = choose(decisions.records(), top)
    _require_robust(candidates, plan)
    # Seed by seed: an interrupted confirmation then has whole pairs.
    wanted = [
        candidate.run(seed)
        for seed in fresh_seeds(plan.study.search.seed, seeds)
        for candidate in candidates
    ]
    with ConfirmedRuns(plan.folder.confirmation) as file:
        ended = _ended_before(file.runs, wanted)
        missing = [run for run in wanted if _key(run) not in ended]
        with closing(_retrain(plan, missing)) as retrained:
            for result in retrained:
                if result.is_final:
                    file.append(result.run)
                _keep_traceback(plan, result)
                ended[_key(result.run)] = result.run
                on_result(result.run, len(ended), len(wanted))
    runs = [ended[_key(run)] for run in wanted]
    _require_a_result(runs, plan)
    order = {candidate.trial: place for place, candidate in enumerate(candidates)}
    return sorted(runs, key=lambda run: order[run.trial])


def _retrain(plan: Plan, missing: list[ConfirmedRun]) -> Generator[Retrained]:
    if missing:
        # Only now: torch and Ray take seconds to import, and neither a refusal nor a second look
        # at a confirmation should.
        from rxtune.search.retraining import retrain_all

        yield from retrain_all(plan, missing)


def _key(run: ConfirmedRun) -> tuple[Configuration, int]:
    return run.configuration, run.seed


def _ended_before(
    kept: Sequence[ConfirmedRun], wanted: Sequence[ConfirmedRun]
) -> dict[tuple[Configuration, int], ConfirmedRun]:
    """Return the wanted runs that there are, with the roles that they have now."""
    results = {_key(run): run for run in kept}
    return {
        _key(run): replace(run, zero_shot=found.zero_shot, reason=found.reason)
        for run in wanted
        if (found := results.get(_key(run)))
    }


def _require_enough(seeds: int, top: int) -> None:
    for flag, least, value, why in (
        ("--seeds", 2, seeds, "a paired test needs a spread"),
        ("--top", 1, top, "something must be confirmed"),
    ):
        if value < least:
            raise StudyError(f"{flag}: must be at least {least} ({why}), got {value}")


def _require_robust(candidates: Sequence[Candidate], plan: Plan) -> None:
    if not any("robust" in candidate.roles for candidate in candidates):
        raise StudyError(
            f"{plan.folder.path}: no robust trial of this search ran to its end, so there is"
            " nothing to confirm; search on with"
            f" `rxtune search --name {plan.options.name} --resume --trials N`"
        )


def _keep_traceback(plan: Plan, result: Retrained) -> None:
    if result.traceback:
        plan.folder.failures.mkdir(exist_ok=True)
        name = f"confirm-trial-{result.run.trial:04d}-seed-{result.run.seed}.txt"
        (plan.folder.failures / name).write_text(result.traceback, encoding="utf-8")


def _require_a_result(runs: Sequence[ConfirmedRun], plan: Plan) -> None:
    if not any(run.zero_shot for run in runs):
        raise AllTrialsFailedError(
            f"{plan.options.name}: none of the {len(runs)} runs gave a result; the last:"
            f" {runs[-1].reason}; tracebacks of errors lie in {plan.folder.failures}"
        )
