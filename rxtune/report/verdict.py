"""A confirmation in sentences: the verdict, the search's optimism, and what was left out."""

from __future__ import annotations

import statistics

from rxtune.report.confirmation import Confirmation, Contrast, Gain
from rxtune.report.tables import points


def verdict(confirmation: Confirmation) -> str:
    """Return in one sentence whether the search's claim holds on fresh seeds.

    The claim was fixed before the test: the best robust trial of the search against its best plain
    one. What else looks better now is in the table, and would need a confirmation of its own.
    """
    claim = claim_of(confirmation)
    if claim is None:
        return "not settled: there is no plain run to compare with"
    if claim.gain is None or claim.p is None:
        return f"not settled: {_why_unsettled(claim)}"
    figures = (
        f"{points(claim.gain.mean)} points held-out mean, 95 % CI {interval(claim.gain)},"
        f" {_p(claim.p)}{_correction(confirmation)} over {_basis(claim.gain)},"
        f" {claim.candidate.name} against {claim.plain.name}"
    )
    if claim.is_confirmed:
        return f"confirmed: {figures}"
    if claim.gain.mean <= 0:
        kind = "robust" if "robust" in claim.candidate.roles else "named"
        return f"not confirmed: the {kind} one is not better: {figures}"
    return f"not confirmed: the gain may be chance: {figures}"


def claim_of(confirmation: Confirmation) -> Contrast | None:
    """Return the comparison that the verdict is about, or None without a plain configuration."""
    return next((c for c in confirmation.contrasts if c.is_tested), None)


def _why_unsettled(claim: Contrast) -> str:
    results = [*claim.candidate.results.values(), *claim.plain.results.values()]
    if results and not results[0].held_out_languages:
        return "every target language is a dev language, so nothing is held out"
    return (
        f"fewer than two seeds on which both {claim.candidate.name} and {claim.plain.name} have a"
        " result"
    )


def _basis(gain: Gain) -> str:
    if gain.items is None:
        return f"{gain.seeds} seeds (t test; these test items taken as given)"
    return f"{gain.seeds} seeds and {gain.items:,} test items"


def _correction(confirmation: Confirmation) -> str:
    tests = sum(contrast.p is not None for contrast in confirmation.contrasts)
    return f" (Holm, {tests} comparisons)" if tests > 1 else ""


def optimism_of_search(confirmation: Confirmation) -> str | None:
    """Return in one sentence how much better the search saw its winner; None: not known."""
    found = confirmation.optimism
    if found is None:
        return None
    spread = ""
    if len(found.test) > 1:
        spread = f" ± {100 * statistics.stdev(found.test):.1f}"
    seeds = f"{len(found.test)} fresh seed{'s' if len(found.test) > 1 else ''}"
    return (
        f"Optimism of the search: {points(found.mean)}{spread} points: {found.winner.name} had"
        f" dev score {100 * found.dev:.1f} in {', '.join(found.languages)} when it was chosen;"
        f" on {seeds} and the test split it has {100 * statistics.fmean(found.test):.1f} there"
        " (includes the change from dev to test items)."
    )


def claim_metrics(confirmation: Confirmation) -> dict[str, float]:
    """Return the claim's figures by name, as shares; empty where it is not settled."""
    claim = claim_of(confirmation)
    if claim is None or claim.gain is None or claim.p is None:
        return {}
    gain = claim.gain
    figures = {"difference": gain.mean, "low": gain.low, "high": gain.high, "p": claim.p}
    return {name: round(value, 6) for name, value in figures.items()}


def claim_tags(confirmation: Confirmation) -> dict[str, str]:
    """Return what is said of the claim in words, by name."""
    claim = claim_of(confirmation)
    return {
        "verdict": verdict(confirmation),
        "confirmed": str(claim is not None and claim.is_confirmed).lower(),
        "optimism": optimism_of_search(confirmation) or "",
    }


def failure_notes(confirmation: Confirmation) -> list[str]:
    """Return one sentence for every run that is left out."""
    names = {c.configuration: c.label for c in confirmation.configurations}
    return [
        f"{names[run.configuration]} with seed {run.seed} has no result and is left out, with its"
        f" pairs: {run.reason}"
        for run in confirmation.failed
    ]


def interval(gain: Gain) -> str:
    """Return a 95 % interval in points: `3.5 to 12.1`."""
    return f"{100 * gain.low:.1f} to {100 * gain.high:.1f}".replace("-", "−")


def p_digits(p: float) -> str:
    """Return a p value to three digits after the point."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _p(p: float) -> str:
    return f"p {p_digits(p)}" if p < 0.001 else f"p = {p_digits(p)}"
