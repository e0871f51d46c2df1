"""Whether a trial goes on: asked of the rungs after an evaluation, of its rivals after a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from optuna.trial import FrozenTrial

from rxtune.config import SearchSettings
from rxtune.results import Evaluation, TrialRecord, TrialState
from rxtune.search.ledger import Ledger
from rxtune.search.replicates import is_contender
from rxtune.search.rungs import pareto_stop_reason, stop_reason
from rxtune.search.trial_attributes import has_evaluation

_ENOUGH_FAILURES = 4


def reason_to_stop(
    ledger: Ledger, records: Sequence[TrialRecord], trial: FrozenTrial, evaluation: Evaluation
) -> str | None:
    """Enter an evaluation that the journal holds into the rungs, and return why it is the last.

    None: the trial goes on. The baseline always does, and so does a trial at its last evaluation,
    or at one that an interrupted trial had passed with which this one goes on.

    Args:
        ledger: The search.
        records: All of its trials as they are now.
        trial: The one that was evaluated.
        evaluation: Its newest.
    """
    reason = _asked_of_the_rungs(ledger, records, trial.number, evaluation)
    is_last = evaluation.number >= ledger.study.stopping.evaluations
    is_safe = "baseline" in trial.user_attrs or _has_passed(ledger, trial, evaluation.number)
    return None if is_last or is_safe else reason


def _asked_of_the_rungs(
    ledger: Ledger, records: Sequence[TrialRecord], number: int, evaluation: Evaluation
) -> str | None:
    """Return what the rule says; every trial must ask, as the others are compared with it."""
    stopping, select = ledger.study.stopping, ledger.study.select
    if select.is_multiple:  # Optuna has no rungs for several objectives
        reached = {record.number: record.evaluations for record in _trainings(records)}
        bracket = ledger.in_rungs.bracket
        return pareto_stop_reason(stopping, select.objective, number, reached, bracket)
    running = ledger.handle(number)
    running.report(evaluation.value, step=evaluation.number)
    if not running.should_prune():
        return None
    stopped = ledger.trial(number)
    return stop_reason(stopping, evaluation, stopped, ledger.trials(), ledger.in_rungs)


def _has_passed(ledger: Ledger, trial: FrozenTrial, evaluation: int) -> bool:
    """Return whether what this trial goes on with went on after an evaluation, at that time."""
    while (lost := trial.user_attrs.get("retry_of")) is not None:
        trial = ledger.trial(lost)
        if has_evaluation(trial, evaluation):
            return True
    return False


def gets_another_seed(
    search: SearchSettings, records: Sequence[TrialRecord], trial: TrialRecord
) -> bool:
    """Return whether a trial with results on some seeds is trained on one more.

    Only a contender is; the baseline always, as all others are measured against it.
    """
    done = len(trial.replicates)
    if done >= search.replicates:
        return False
    if trial.is_baseline:
        return True
    rivals = [record for record in _trainings(records) if len(record.replicates) >= done]
    return is_contender(trial.number, {r.number: r.replicates[:done] for r in rivals})


def _trainings(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return all trials but those that another one goes on with: each training once."""
    lost = {record.retry_of for record in records}
    return [record for record in records if record.number not in lost]


def why_hopeless(trials: Sequence[TrialRecord], start_points: int) -> str | None:
    """Return why going on is hopeless, or None.

    Hopeless: at least four trials, and as many as there are start points, have failed, and no
    other has an evaluation.

    Args:
        trials: All but interrupted ones.
        start_points: How many there are.
    """
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    alive = any(trial.state is not TrialState.FAILED and trial.evaluations for trial in trials)
    if alive or len(failed) < max(_ENOUGH_FAILURES, start_points):
        return None
    reasons = Counter(trial.reason for trial in failed).most_common(2)
    named = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return f"all of the first {len(failed)} trials failed: {named}"
