"""`rxtune report`: a search as one page that opens from disk, and its plots as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rxtune.cli.console import for_people, output
from rxtune.cli.options import AsJson, RunName, Runs, split


def report(
    run: RunName,
    runs: Runs = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to (default: the run's).", metavar="FOLDER"),
    ] = None,
    formats: Annotated[
        str, typer.Option(help="Formats of the plots: png, svg, pdf.", metavar="NAME[,NAME]")
    ] = "png,svg",
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Show them on the search's page in MLflow, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write what a search found, with plots, tables and a methods paragraph, as one HTML page.

    The page needs no network; the same plots lie in figures/ beside it. The search may be running,
    interrupted or failed, and need not be confirmed: the page shows what there is.

    Example: rxtune report rs-1122-0931

    Example: rxtune report rs-1122-0931 --out paper --formats pdf
    """
    from rxtune import api
    from rxtune.cli.as_json import print_json, report_document

    with for_people(as_json):  # a plotting library may have something to say
        written = api.report(run, runs, out=out, formats=split(formats))
        if mlflow:
            api.publish_report(run, written, runs)
    if as_json:
        print_json(report_document(run, written))
        return
    size = written.page.stat().st_size / 1e6
    output.print(f"Report: {written.page} ({size:.1f} MB)", soft_wrap=True, markup=False)
    if written.figures:
        folder = written.figures[0].parent
        output.print(
            f"Figures: {len(written.figures)} files in {folder}", soft_wrap=True, markup=False
        )
