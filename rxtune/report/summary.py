"""What a search found, and what to doubt about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rxtune.config.parameter import RULES, Parameter
from rxtune.config.select import Metric, Objective
from rxtune.config.space import Choice, Constant, Domain, Space
from rxtune.report.statistics import binomial_standard_error
from rxtune.results import Failure, TrialRecord, TrialState, continued

EDGE = 0.05
"""A winner within this share of a domain's width from its end is at the edge."""
FAILED_SHARE = 1 / 3
"""From this share on, failed trials are a finding about the search and not about luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The outcome of a search. Only trials that ran to their end can be best."""

    default_plain: TrialRecord | None
    """Plain fine-tuning at default parameters, if it finished."""
    best_plain: TrialRecord | None
    """The best trial of plain fine-tuning."""
    best_robust: TrialRecord | None
    """The best trial of any other method."""
    winner: TrialRecord | None
    """The better of the two; plain fine-tuning on a tie."""
    by_state: Mapping[TrialState, int]
    """Number of trials in every state, without those that were cut off."""
    cut_off: int
    """Trials that ended only because the search did: a resume starts them again."""
    dev_languages: tuple[str, ...]
    """The languages that chose the winner: the source alone, where the study says so."""
    objective: Objective
    """What was maximised over them."""
    metric: Metric
    """What was measured in them."""
    spent: float
    """Training cost of all trials, in forward passes of one example."""
    saved_share: float | None
    """What early stopping saved, as a share of the cost without it; None if it cannot be told."""
    warnings: tuple[str, ...]

    @property
    def trials(self) -> int:
        """Number of trials in any state, without those that were cut off."""
        return sum(self.by_state.values())

    @property
    def score_name(self) -> str:
        """What a trial's value is, such as `dev score (worst of qaf, qag)`."""
        kind = "macro-F1" if self.metric == "macro_f1" else "score"
        languages = ", ".join(self.dev_languages) or "–"
        is_worst = self.objective == "worst" and len(self.dev_languages) > 1
        return f"dev {kind} ({'worst of ' if is_worst else ''}{languages})"

    @property
    def gain(self) -> float | None:
        """Dev score of the best robust trial above that of the best plain one."""
        if self.best_robust is None or self.best_plain is None:
            return None
        return score(self.best_robust) - score(self.best_plain)


def summarise(
    records: Sequence[TrialRecord],
    *,
    evaluations: int | None = None,
    space: Space | None = None,
    examples: int | None = None,
    objective: Objective = "mean",
) -> Summary:
    """Return what the trials of a search found.

    Args:
        records: All trials, in any order.
        evaluations: Number of evaluations of a trial that runs to its end, for `saved_share`.
        space: The space searched, to notice a winner at its edge.
        examples: Number of dev examples behind a dev score, to notice a gain within the noise.
        objective: What the search maximised, its first objective.
    """
    records = sorted(records, key=lambda record: record.number)
    finished = [r for r in records if r.state is TrialState.FINISHED and math.isfinite(score(r))]
    best_plain = _best(r for r in finished if r.configuration.method == "standard")
    best_robust = _best(r for r in finished if r.configuration.method != "standard")
    winner = _best(r for r in (best_plain, best_robust) if r is not None)
    by_state = Counter(r.state for r in records if r.failure is not Failure.INTERRUPTED)
    summary = Summary(
        default_plain=_best(r for r in finished if r.is_baseline),
        best_plain=best_plain,
        best_robust=best_robust,
        winner=winner,
        by_state={state: by_state[state] for state in TrialState},
        cut_off=len(records) - by_state.total(),
        dev_languages=_dev_languages(finished, records, objective),
        objective=objective,
        metric=next((e.metric for r in records for e in r.evaluations), "accuracy"),
        spent=_spent(records),
        saved_share=saved_share(records, evaluations),
        warnings=(),
    )
    warnings = (*_warnings(summary, records, examples), *_edges(winner, space))
    return replace(summary, warnings=warnings)


def score(record: TrialRecord) -> float:
    """Return a trial's dev score, NaN before its first evaluation."""
    return math.nan if record.value is None else record.value


def saved_share(records: Iterable[TrialRecord], evaluations: int | None) -> float | None:
    """Return the share of the cost that early stopping saved, in [0, 1).

    A trial stopped after e of E evaluations at cost c would have cost c · E / e, because the
    evaluations of a trial are equally spaced and its updates cost the same throughout. So it saved
    s = c (E / e - 1), and the share is Σ s / (Σ s + Σ cost of all trials). What failed or was
    interrupted counts with what it cost, and saves nothing. Evaluations on the way and at the end
    are not counted, which makes the share a little too small.

    Args:
        records: All trials.
        evaluations: E; without it the answer is None.
    """
    records = list(records)
    spent = _spent(records)
    if evaluations is None or spent <= 0:
        return None
    saved = 0.0
    for record in records:
        if record.state is TrialState.STOPPED and record.evaluations:
            done = record.evaluations[-1].number
            saved += record.forward_equivalents * max(evaluations / done - 1.0, 0.0)
    return saved / (saved + spent)


def _spent(records: Sequence[TrialRecord]) -> float:
    reported_again = continued(records)
    return sum(r.forward_equivalents for r in records if r.number not in reported_again)


def _best(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the trial with the highest score; of equal ones a plain one, then the first."""
    return min(
        records,
        key=lambda r: (-score(r), r.configuration.method != "standard", r.number),
        default=None,
    )


def _dev_languages(
    finished: Sequence[TrialRecord], records: Sequence[TrialRecord], objective: Objective
) -> tuple[str, ...]:
    for record in finished:
        if (result := record.zero_shot) is not None:
            return (result.source_language,) if objective == "source" else result.dev_languages
    # Nothing ran to its end: an evaluation names the dev languages, and seldom more.
    evaluated = [record.evaluations[-1] for record in records if record.evaluations]
    return tuple(evaluated[0].accuracy) if evaluated else ()


def _warnings(
    summary: Summary, records: Sequence[TrialRecord], examples: int | None
) -> Iterator[str]:
    yield from _missing(summary, records)
    yield from _failures(summary, records)
    if summary.gain is None or summary.best_plain is None:
        return
    if summary.gain <= 0:
        yield "no robust trial is better than the best plain one on the dev languages"
    elif examples is not None:
        error = _error_of_difference(summary, examples)
        if summary.gain < 2 * error:
            yield (
                f"the best robust trial is {100 * summary.gain:.1f} points above the best plain "
                f"one, less than two standard errors ({200 * error:.1f} points on {examples} dev "
                "examples): it may be chance"
            )


def _missing(summary: Summary, records: Sequence[TrialRecord]) -> Iterator[str]:
    if summary.winner is None:
        yield "no trial ran to its end: there is no result"
        return
    if summary.best_robust is None:
        yield "no robust trial ran to its end: there is nothing to compare plain fine-tuning with"
    if summary.best_plain is None:
        yield "no trial of plain fine-tuning ran to its end: a gain cannot be told"
    elif summary.default_plain is None:
        reason = next((r.reason for r in records if r.is_baseline and r.reason), "not run")
        yield f"plain fine-tuning at default parameters has no result: {reason}"


def _failures(summary: Summary, records: Sequence[TrialRecord]) -> Iterator[str]:
    own = [r for r in records if r.failure is not Failure.INTERRUPTED]
    failures = [r for r in own if r.state is TrialState.FAILED]
    failed = len(failures)
    if failed and failed >= FAILED_SHARE * len(own):
        reasons = Counter(r.reason for r in failures if r.reason)
        most = reasons.most_common(1)
        why = f"; most often: {most[0][0]}" if most else ""
        yield f"{failed} of {len(own)} trials failed{why}"


def _error_of_difference(summary: Summary, examples: int) -> float:
    """Return the standard error of the gain as if the two were measured on different examples.

    They are measured on the same ones, so the true error is smaller; how much, only `confirm` can
    tell.
    """
    both = (summary.best_robust, summary.best_plain)
    errors = [
        binomial_standard_error(min(max(score(record), 0.0), 1.0), examples)
        for record in both
        if record is not None
    ]
    return math.hypot(*errors)


def _edges(winner: TrialRecord | None, space: Space | None) -> Iterator[str]:
    if winner is None or space is None:
        return
    for name, value in winner.configuration.searched().items():
        parameter = space.parameters.get(name)
        end = None if parameter is None else _edge(parameter.domain, value)
        if end is not None and parameter is not None and _can_be_wider(parameter, end):
            yield (
                f"the winner's {name} = {value:.4g} is at the {end} end of what was searched; "
                f"widen the domain of {name} to see whether more is to be had"
            )


def _can_be_wider(parameter: Parameter, end: str) -> bool:
    """Return whether a range could reach further: a probability ends at 1, a size at 0."""
    domain = parameter.domain
    if isinstance(domain, Choice | Constant):
        return False
    most = RULES[parameter.name].at_most
    return domain.low > 0 if end == "lower" else most is None or domain.high < most


def _edge(domain: Domain, value: object) -> str | None:
    """Return `lower` or `upper` if `value` is at that end of a range, else None."""
    if isinstance(domain, Choice | Constant) or not isinstance(value, int | float):
        return None
    if not domain.contains(value):  # the baseline need not lie in the space
        return None
    if domain.is_int:
        # A count cannot go below 1: only what could be widened is worth a word.
        at_low = value == domain.low and domain.low > 1
        return "lower" if at_low else "upper" if value == domain.high else None
    low, high, at = (
        math.log(x) if domain.is_log else float(x) for x in (domain.low, domain.high, value)
    )
    share = (at - low) / (high - low)
    return "lower" if share < EDGE else "upper" if share > 1 - EDGE else None
