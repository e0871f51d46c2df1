"""The verbs that read a run and change nothing of it; it may still be running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.api.findings import read_findings, read_trials
from rxtune.errors import StudyError
from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    from rxtune.report import Audit
    from rxtune.report.page import Written


def audit(name: str, root: Path = Path("runs")) -> Audit:
    """Return how well each signal would have ranked the trials of a search; chooses nothing.

    Args:
        name: the run, which may still be running: only its journal is read.
        root: folder of all runs.

    Raises:
        StudyError: there is no such run, its journal cannot be read, too few trials have run to
            their end, or every target language is a dev language.
    """
    from rxtune.report.audit import FEWEST, audit_signals

    study, records = read_trials(RunFolder.existing(root, name))
    rule = study.stopping.rule
    found = audit_signals(
        records,
        objective=study.select.objective[0],
        first_rung=rule.first_rung if rule and rule.first_rung < rule.evaluations else None,
    )
    if found.trials < FEWEST:
        raise StudyError(
            f"audit: at least {FEWEST} trials must have run to their end, but of run {name!r}"
            f" {found.trials} of {found.started} have; when it has ended, add some with"
            f" `rxtune search --name {name} --resume --trials {2 * study.search.trials}`"
        )
    if not found.held_out:
        raise StudyError(
            f"audit: a target language that took no part in choosing is needed, but all of run"
            f" {name!r} are dev languages; name fewer with --languages in another search"
        )
    return found


def report(
    name: str,
    root: Path = Path("runs"),
    *,
    out: Path | None = None,
    formats: Sequence[str] = ("png", "svg"),
) -> Written:
    """Write what a search found as one HTML page, with its plots as files; return where they lie.

    Args:
        name: the run, which may still be running: nothing of it is changed.
        root: folder of all runs.
        out: folder to write to; None: the run's own.
        formats: of the plots, some of png, svg and pdf.

    Raises:
        StudyError: there is no such run, its journal cannot be read, a format is unknown, or the
            folder cannot be written.
    """
    from rxtune.report.page import write_report

    folder = RunFolder.existing(root, name)
    return write_report(read_findings(folder, with_points=True), out or folder.path, formats)
