"""Options that several commands have: where the runs lie and on what they run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rxtune.search.options import SearchOptions

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


def place_flags(runs: Path, options: SearchOptions) -> str:
    """Return the flags that a printed command must repeat to find the run and its machines.

    Args:
        runs: Folder of all runs.
        options: Those of the command that has just ended.
    """
    given = {
        "--runs": None if runs.absolute() == Path("runs").absolute() else str(runs),
        "--address": options.address,
        "--workers": options.workers,
        "--cpus-per-trial": None if options.cpus_per_trial == 1 else options.cpus_per_trial,
        "--gpus-per-trial": options.gpus_per_trial,
    }
    return "".join(
        f" {flag} {shlex.quote(value if isinstance(value, str) else f'{value:g}')}"
        for flag, value in given.items()
        if value is not None
    )
