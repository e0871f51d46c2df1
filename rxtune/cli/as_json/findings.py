"""What is found out about a search that has ended, as JSON: audit, confirmation, report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.cli.as_json.document import Document
from rxtune.cli.as_json.search import zero_shot_document

if TYPE_CHECKING:
    from rxtune.report import Audit, Confirmation
    from rxtune.report.confirmation import Confirmed, Contrast
    from rxtune.report.page import Written


def audit_document(run: str, audit: Audit) -> Document:
    """Return how well each signal ranked the trials; `chosen` is a trial's number."""
    return {
        "run": run,
        "metric": audit.metric,
        "trials": audit.trials,
        "started": audit.started,
        "held_out_languages": audit.held_out,
        "signals": [
            {
                "signal": signal.name,
                "has_chosen": signal.has_chosen,
                "trials": signal.trials,
                "correlation": signal.correlation,
                "low": signal.low,
                "high": signal.high,
                "chosen": None if signal.chosen is None else signal.chosen.number,
                "regret": signal.regret,
            }
            for signal in audit.signals
        ],
    }


def confirm_document(run: str, found: Confirmation, files: Mapping[str, Path | None]) -> Document:
    """Return what a confirmation settled; the first contrast that is tested is the claim.

    `difference` is in the held-out mean on test, against the best plain configuration; `p` is
    before any correction, `p_holm` after it; both are null where nothing can be said.
    """
    from rxtune.report import verdict

    optimism = found.optimism
    return {
        "run": run,
        "verdict": verdict(found),
        "configurations": [_confirmed(one) for one in found.configurations],
        "contrasts": [_contrast(one) for one in found.contrasts],
        "optimism": None
        if optimism is None
        else {
            "configuration": optimism.winner.label,
            "languages": optimism.languages,
            "dev": optimism.dev,
            "test": optimism.test,
            "mean": optimism.mean,
        },
        "problems": found.problems,
        "files": dict(files),
    }


def _confirmed(one: Confirmed) -> Document:
    return {
        "name": one.label,
        "trial": one.trial,
        "roles": one.roles,
        "parameters": one.configuration.searched(),
        "runs": [
            {
                "seed": run.seed,
                "reason": run.reason,
                "zero_shot": zero_shot_document(run.zero_shot),
                "forward_equivalents": run.forward_equivalents,
                "seconds": run.seconds,
            }
            for run in one.runs
        ],
    }


def _contrast(one: Contrast) -> Document:
    gain = one.gain
    return {
        "candidate": one.candidate.label,
        "against": one.plain.label,
        "is_tested": one.is_tested,
        "is_confirmed": one.is_confirmed,
        "difference": None if gain is None else gain.mean,
        "low": None if gain is None else gain.low,
        "high": None if gain is None else gain.high,
        "p": None if gain is None else gain.p,
        "p_holm": one.p,
        "seeds": None if gain is None else gain.seeds,
        "items": None if gain is None else gain.items,
    }


def report_document(run: str, written: Written) -> Document:
    """Return where a report lies."""
    return {
        "run": run,
        "page": written.page,
        "bytes": written.page.stat().st_size,
        "figures": written.figures,
    }
