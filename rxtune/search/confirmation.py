"""The confirmation: what a search chose is retrained on fresh seeds and tested once."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from rxtune.config import Configuration
from rxtune.errors import AllTrialsFailedError, StudyError
from rxtune.results import ConfirmedRun, Role, TrialRecord
from rxtune.search.candidates import NOTHING, Candidate, Named, choose
from rxtune.search.confirmed_runs import ConfirmedRuns, file_stem, predictions_name
from rxtune.search.decisions import SearchStudy
from rxtune.search.plan import Plan

if TYPE_CHECKING:
    from rxtune.search.retraining import Retrained

OnResult = Callable[[ConfirmedRun, int, int], None]
"""Called with a run that has just ended, how many have ended, and how many there are in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshRuns:
    """What a confirmation has found."""

    runs: tuple[ConfirmedRun, ...]
    """Candidate by candidate, seed by seed."""
    dev_scores: Mapping[int, Mapping[str, float]]
    """Of every candidate that ran to its end in the search: its score there by dev language."""


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
    plan: Plan, *, seeds: int = 5, top: int = 1, named: Named = NOTHING, on_result: OnResult
) -> FreshRuns:
    """Retrain what the search chose, test each once, and return all runs.

    What ends is written to `confirm.jsonl` at once and never repeated. A run that diverged is such
    an end; one that the machine failed (out of memory, worker lost) is tried again next time.

    Args:
        plan: from `make_plan`, of a run that exists; its search may still be running.
        seeds: Retrainings of each configuration; all configurations share the seeds.
        top: How many of the best robust trials to confirm.
        named: What else to confirm.
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
        records = decisions.records()
    candidates = choose(records, top, named)
    _require_something(candidates, plan)
    # Seed by seed: an interrupted confirmation then has whole pairs.
    wanted = [
        candidate.run(seed)
        for seed in fresh_seeds(plan.study.search.seed, seeds)
        for candidate in candidates
    ]
    ended, before = _all_of(wanted, plan, on_result)
    runs = [ended[_key(run)] for run in wanted]
    _require_a_result(runs, plan)
    # What was tested before belongs to the same family of comparisons, asked for again or not: to
    # leave it out would make the rest look more certain than it is.
    runs += [run for run in before if _key(run) not in ended]
    order = {run.configuration: place for place, run in reversed([*enumerate(runs)])}
    order |= {candidate.configuration: n for n, candidate in enumerate(candidates, -len(runs))}
    return FreshRuns(
        runs=tuple(sorted(runs, key=lambda run: order[run.configuration])),
        dev_scores=_dev_scores(records, plan.dev_languages),
    )


def _all_of(
    wanted: Sequence[ConfirmedRun], plan: Plan, on_result: OnResult
) -> tuple[_Ended, list[ConfirmedRun]]:
    """Return the wanted runs, those that are missing made now, and all that were made before."""
    with ConfirmedRuns(plan.folder.confirmation) as file:
        before = [replace(run, predictions=_predictions(run)) for run in file.runs]
        ended = _ended_before(file.runs, wanted)
        missing = [run for run in wanted if _key(run) not in ended]
        with closing(_retrain(plan, missing)) as retrained:
            for result in retrained:
                if result.is_final:
                    file.append(result.run)
                _keep_traceback(plan, result)
                ended[_key(result.run)] = result.run
                on_result(result.run, len(ended), len(wanted))
    roles = {run.configuration: (run.trial, run.roles) for run in wanted}
    return ended, [_with_roles(run, *roles.get(run.configuration, ())) for run in before]


def _dev_scores(
    records: Sequence[TrialRecord], dev_languages: Sequence[str]
) -> dict[int, dict[str, float]]:
    """Return what the search went by, by trial: scores at the end, their mean over replicates."""
    found = {}
    for record in records:
        own = [record.zero_shot] if record.zero_shot else []
        ends = [replicate.zero_shot for replicate in record.replicates] or own
        scores = [end.scores for end in ends]
        if scores and all(set(dev_languages) <= one.keys() for one in scores):
            found[record.number] = {
                language: fmean(one[language] for one in scores) for language in dev_languages
            }
    return found


def _retrain(plan: Plan, missing: list[ConfirmedRun]) -> Generator[Retrained]:
    if missing:
        # Only now: torch and Ray take seconds to import, and neither a refusal nor a second look
        # at a confirmation should.
        from rxtune.search.retraining import retrain_all

        yield from retrain_all(plan, missing)


_Ended = dict[tuple[Configuration, int], ConfirmedRun]


def _key(run: ConfirmedRun) -> tuple[Configuration, int]:
    return run.configuration, run.seed


def _ended_before(kept: Sequence[ConfirmedRun], wanted: Sequence[ConfirmedRun]) -> _Ended:
    """Return the wanted runs that there are, with the roles that they have now."""
    results = {_key(run): run for run in kept}
    return {
        _key(run): replace(
            found, trial=run.trial, roles=run.roles, predictions=_predictions(found)
        )
        for run in wanted
        if (found := results.get(_key(run)))
    }


def _predictions(run: ConfirmedRun) -> str | None:
    # Earlier versions named the file of the predictions by the trial and did not say so.
    return run.predictions or (predictions_name(run) if run.zero_shot else None)


def _with_roles(
    run: ConfirmedRun, trial: int | None = None, roles: tuple[Role, ...] = ()
) -> ConfirmedRun:
    """Return a run with what its configuration is now, if it is asked for at all."""
    return replace(run, trial=trial, roles=roles) if roles else run


def _require_enough(seeds: int, top: int) -> None:
    for flag, least, value, why in (
        ("--seeds", 2, seeds, "a difference needs a spread"),
        ("--top", 1, top, "something must be confirmed"),
    ):
        if value < least:
            raise StudyError(f"{flag}: must be at least {least} ({why}), got {value}")


def _require_something(candidates: Sequence[Candidate], plan: Plan) -> None:
    if not any({"robust", "named"} & {*candidate.roles} for candidate in candidates):
        raise StudyError(
            f"{plan.folder.path}: no robust trial of this search ran to its end, so there is"
            " nothing to confirm; search on with"
            f" `rxtune search --name {plan.options.name} --resume --trials N`, or name a trial or"
            " a configuration"
        )


def _keep_traceback(plan: Plan, result: Retrained) -> None:
    if result.traceback:
        plan.folder.failures.mkdir(exist_ok=True)
        name = f"confirm-{file_stem(result.run)}.txt"
        (plan.folder.failures / name).write_text(result.traceback, encoding="utf-8")


def _require_a_result(runs: Sequence[ConfirmedRun], plan: Plan) -> None:
    if not any(run.zero_shot for run in runs):
        raise AllTrialsFailedError(
            f"{plan.options.name}: none of the {len(runs)} runs gave a result; the last:"
            f" {runs[-1].reason}; tracebacks of errors lie in {plan.folder.failures}"
        )
