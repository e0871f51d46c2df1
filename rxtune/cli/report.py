"""`rxtune report`: a search as one page that opens from disk, and its plots as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rxtune.cli.console import output
from rxtune.cli.options import Runs, split


def report(
    run: Annotated[str, typer.Argument(help="Name of the run.", metavar="RUN")],
    runs: Runs = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to (default: the run's).", metavar="FOLDER"),
    ] = None,
    formats: Annotated[
        str, typer.Option(help="Formats of the plots: png, svg, pdf.", metavar="NAME[,NAME]")
    ] = "png,svg",
) -> None:
    """Write what a search found, with plots, tables and a methods paragraph, as one HTML page.

    The page needs no network; the same plots lie in figures/ beside it. The search may be running,
    interrupted or failed, and need not be confirmed: the page shows what there is.

    Example: rxtune report rs-1122-0931

    Example: rxtune report rs-1122-0931 --out paper --formats pdf
    """
    from rxtune import api

    written = api.report(run, runs, out=out, formats=split(formats))
    size = written.page.stat().st_size / 1e6
    output.print(f"Report: {written.page} ({size:.1f} MB)", soft_wrap=True, markup=False)
    if written.figures:
        folder = written.figures[0].parent
        output.print(
            f"Figures: {len(written.figures)} files in {folder}", soft_wrap=True, markup=False
        )
