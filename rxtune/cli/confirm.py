"""`rxtune confirm`: settle on fresh seeds and the test split what a search found."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxtune.cli.console import output, rich_table
from rxtune.cli.options import Address, CpusPerTrial, GpusPerTrial, Runs, Workers, place_flags

if TYPE_CHECKING:
    from rxtune.report import Confirmation
    from rxtune.results import ConfirmedRun

_WHAT = "What to confirm"


def confirm(
    run: Annotated[str, typer.Argument(help="Name of the run.", metavar="RUN")],
    seeds: Annotated[
        int, typer.Option(min=2, help="Fresh seeds per configuration.", rich_help_panel=_WHAT)
    ] = 5,
    top: Annotated[
        int, typer.Option(min=1, help="How many of the best robust trials.", rich_help_panel=_WHAT)
    ] = 1,
    runs: Runs = Path("runs"),
    workers: Workers = None,
    cpus_per_trial: CpusPerTrial = 1.0,
    gpus_per_trial: GpusPerTrial = None,
    address: Address = None,
) -> None:  # fmt: skip
    """Retrain a search's best robust and plain configurations on fresh seeds, and test each once.

    What is tested is kept and never repeated; the same line goes on, more --seeds or --top extend.

    Example: rxtune confirm rs-1122-0931 --seeds 5
    """
    from rxtune import api
    from rxtune.search.run_folder import RunFolder

    RunFolder.existing(runs, run)  # so that a wrong name is refused before anything is said
    options = api.SearchOptions(
        name=run,
        root=runs,
        workers=workers,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        address=address,
    )
    output.print(
        f"Confirming [bold]{run}[/]: the best robust configurations (at most {top}) and plain"
        f" fine-tuning, {seeds} fresh seeds each, on the test split",
        soft_wrap=True,
    )
    try:
        result = api.confirm(options, seeds=seeds, top=top, on_result=_Progress())
    except KeyboardInterrupt:
        output.print("Interrupted: what is finished is kept. To go on:", soft_wrap=True)
        line = f"  rxtune confirm {run} --seeds {seeds} --top {top}{place_flags(runs, options)}"
        output.print(line, style="bold", soft_wrap=True, markup=False)
        raise typer.Exit(130) from None
    _show(result)
    kept = RunFolder.existing(runs, run).path / "predictions"
    if kept.is_dir():
        output.print(f"Predictions: {kept}", soft_wrap=True, markup=False)


class _Progress:
    """Prints one line for each run that ends."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, run: ConfirmedRun, done: int, total: int) -> None:
        """Print the line of a run."""
        ending = f"failed ({run.reason})"
        if run.zero_shot is not None:
            ending = f"held-out mean {100 * run.zero_shot.held_out_mean:.1f}"
        output.print(
            f"{time.monotonic() - self._began:5.0f} s  {done}/{total}"
            f"  trial {run.trial} {run.configuration.method} ({', '.join(run.roles)})"
            f" seed {run.seed}: {ending}",
            soft_wrap=True,
            markup=False,
        )


def _show(result: Confirmation) -> None:
    from rxtune.report import (
        confirmation_table,
        contrast_table,
        failure_notes,
        mixed_language_matrices,
        verdict,
    )

    for table in (confirmation_table(result), contrast_table(result)):
        output.print()
        output.print(rich_table(table, bold="held-out mean"))
    for name, matrix in mixed_language_matrices(result).items():
        output.print(f"\nmixed-language pairs, {name}, mean over seeds:", markup=False)
        output.print(rich_table(matrix))
    output.print()
    for note in failure_notes(result):
        output.print(f"note: {note}", soft_wrap=True, markup=False)
    output.print(verdict(result), style="bold", soft_wrap=not output.is_terminal)
