"""A confirmation as files in the run's folder and as MLflow runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rxtune.errors import TrackingError
from rxtune.report.confirmation import Confirmation
from rxtune.report.confirmation_tables import confirmation_csv, confirmation_report
from rxtune.report.verdict import claim_metrics, claim_tags
from rxtune.results import ConfirmedRun


def publish(
    confirmation: Confirmation,
    runs: Sequence[ConfirmedRun],
    folder: Path,
    *,
    tracking_uri: str,
    experiment: str,
    search_id: str,
) -> list[str]:
    """Write `confirm.md` and `confirm.csv`, and tell MLflow; return what went wrong.

    Nothing is lost by what goes wrong here: all of it follows from `confirm.jsonl`.

    Args:
        confirmation: What the runs say.
        runs: All of them.
        folder: Of the search's run, which has its name.
        tracking_uri: MLflow store of the search.
        experiment: Its MLflow experiment.
        search_id: What tells the search from all others there.
    """
    from rxtune.track import Claim, log_confirmation  # mlflow takes a second to import

    problems = []
    files = {
        "confirm.md": confirmation_report(confirmation, folder.name),
        "confirm.csv": confirmation_csv(confirmation),
    }
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        problems.append(f"{folder}: the tables cannot be written ({error})")
    claim = Claim(
        metrics=claim_metrics(confirmation),
        tags=claim_tags(confirmation),
        description=files["confirm.md"],
        artifacts=files,
    )
    try:
        log_confirmation(
            tracking_uri, experiment=experiment, search_id=search_id, runs=runs, claim=claim
        )
    except TrackingError as error:
        problems.append(
            f"{error}. All results are kept in {folder / 'confirm.jsonl'}; the same"
            " `rxtune confirm` writes them to MLflow later, and trains nothing again"
        )
    return problems
