"""Options that several commands have: where the runs lie and on what they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WHERE = "Where to run"
"""Panel of the help text for what has to do with machines."""

Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Trials at a time (default: what fits).", rich_help_panel=WHERE),
]
CpusPerTrial = Annotated[float, typer.Option(min=0, rich_help_panel=WHERE)]
GpusPerTrial = Annotated[
    float | None,
    typer.Option(
        min=0, help="May be a fraction (default: 1 where there is a GPU).", rich_help_panel=WHERE
    ),
]
Address = Annotated[
    str | None,
    typer.Option(help="Ray cluster, or auto (default: this machine).", rich_help_panel=WHERE),
]
Runs = Annotated[Path, typer.Option(help="Folder of all runs.")]
