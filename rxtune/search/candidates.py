"""What a confirmation retrains: the search's best, plain fine-tuning, and what the user names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rxtune.config import Configuration
from rxtune.config.canonical import canonical
from rxtune.errors import StudyError
from rxtune.results import ConfirmedRun, Role, TrialRecord, TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration to be retrained: frozen, whatever the test split will say."""

    trial: int | None
    """The trial that it comes from; None: it was named by its parameters."""
    configuration: Configuration
    roles: tuple[Role, ...]

    def run(self, seed: int) -> ConfirmedRun:
        """Return the run that is to be made with a seed."""
        return ConfirmedRun(
            trial=self.trial, configuration=self.configuration, roles=self.roles, seed=seed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What is to be confirmed besides what the search found best."""

    trials: tuple[int, ...] = ()
    """Numbers of trials, however they ended."""
    configurations: tuple[Configuration, ...] = ()


NOTHING = Named()


def choose(records: Sequence[TrialRecord], top: int, named: Named = NOTHING) -> list[Candidate]:
    """Return what to retrain: the best robust trials, the best first, named ones, then plain ones.

    Only trials that ran to their end can be best. Plain fine-tuning at default parameters is taken
    however its trial ended, and so is what is named: no result is needed to know it. Equal
    configurations are one.

    Args:
        records: All trials of the search.
        top: How many robust configurations.
        named: What else.

    Raises:
        StudyError: There is no trial of a number that is named.
    """
    finished = [r for r in records if r.state is TrialState.FINISHED]
    finished.sort(key=lambda r: (-_value(r), r.number))
    robust: dict[Configuration, TrialRecord] = {}
    for record in finished:
        if canonical(record.configuration).method != "standard":
            robust.setdefault(canonical(record.configuration), record)
    plain = [r for r in finished if canonical(r.configuration).method == "standard"]
    baselines = [r for r in (*plain, *records) if r.is_baseline]
    best = list(robust.values())[:top]
    return _merged(
        [
            *(("robust", r.number, r.configuration) for r in best),
            *(("named", *one) for one in _find(named, records)),
            *(("best plain", r.number, r.configuration) for r in plain[:1]),
            *(("default plain", r.number, r.configuration) for r in baselines[:1]),
        ]
    )


def _merged(wanted: Iterable[tuple[Role, int | None, Configuration]]) -> list[Candidate]:
    chosen: dict[Configuration, Candidate] = {}
    for role, trial, configuration in wanted:
        known = chosen.get(canonical(configuration))
        if known is None:
            found = Candidate(trial=trial, configuration=configuration, roles=(role,))
        else:
            roles = known.roles if role in known.roles else (*known.roles, role)
            number = trial if known.trial is None else known.trial
            found = Candidate(trial=number, configuration=known.configuration, roles=roles)
        chosen[canonical(configuration)] = found
    return list(chosen.values())


def _find(named: Named, records: Sequence[TrialRecord]) -> list[tuple[int | None, Configuration]]:
    """Return number and configuration of what is named, with the trial's number if it was one."""
    by_number = {record.number: record for record in records}
    unknown = [number for number in named.trials if number not in by_number]
    if unknown:
        raise StudyError(
            f"--trial: there must be such a trial, got {', '.join(map(str, unknown))}; this search"
            f" has {len(by_number)}, from 0 to {max(by_number, default=0)}; one that it has not"
            " tried can be given by --configuration"
        )
    found: list[tuple[int | None, Configuration]] = [
        (number, by_number[number].configuration) for number in named.trials
    ]
    for asked in named.configurations:
        same = [r for r in records if canonical(r.configuration) == canonical(asked)]
        found.append((same[0].number, same[0].configuration) if same else (None, asked))
    return found


def _value(record: TrialRecord) -> float:
    return -math.inf if record.value is None else record.value
