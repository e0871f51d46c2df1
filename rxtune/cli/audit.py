"""`rxtune audit`: how well each signal would have ranked a search's trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxtune.cli.console import output, rich_table
from rxtune.cli.options import AsJson, RunName, Runs
from rxtune.errors import StudyError

if TYPE_CHECKING:
    from rxtune.report import Audit


def audit(
    run: RunName,
    runs: Runs = Path("runs"),
    csv: Annotated[
        Path | None, typer.Option(help="File to write the table to as well.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how well the dev language, and every other signal, ranked a search's trials.

    Reads the run's journal and changes nothing; the search may still be running.

    Example: rxtune audit rs-1122-0931
    """
    from rxtune import api
    from rxtune.cli.as_json import audit_document, print_json
    from rxtune.report.audit import audit_csv

    found = api.audit(run, runs)
    if csv is not None:
        _write(csv, audit_csv(found))
    if as_json:
        print_json(audit_document(run, found))
    else:
        _show(run, found)


def _show(run: str, found: Audit) -> None:
    from rxtune.report.audit import audit_notes, audit_table, row_name

    own = next((row_name(signal) for signal in found.signals if signal.has_chosen), "")
    output.print(f"How well each signal would have ranked the trials of [bold]{run}[/]:\n")
    output.print(rich_table(audit_table(found), bold=own))
    output.print()
    for note in audit_notes(found):
        output.print(note, soft_wrap=not output.is_terminal, markup=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"--csv: {path} must be a file that can be written, but is not ({error.strerror});"
            " give another path"
        ) from error
