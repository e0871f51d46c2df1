"""`rxtune confirm`: settle on fresh seeds and the test split what a search found."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxtune.cli.console import for_people, output
from rxtune.cli.options import (
    Address,
    AsJson,
    CpusPerTrial,
    GpusPerTrial,
    RunName,
    Runs,
    Workers,
    place_flags,
)

if TYPE_CHECKING:
    from rxtune.report import Confirmation
    from rxtune.results import ConfirmedRun
    from rxtune.search.options import SearchOptions
    from rxtune.search.run_folder import RunFolder

_WHAT = "What to confirm"


def confirm(
    run: RunName,
    seeds: Annotated[
        int, typer.Option(min=2, help="Fresh seeds per configuration.", rich_help_panel=_WHAT)
    ] = 5,
    top: Annotated[
        int, typer.Option(min=1, help="How many of the best robust trials.", rich_help_panel=_WHAT)
    ] = 1,
    trial: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A trial to confirm as well; repeatable.", rich_help_panel=_WHAT),
    ] = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            help="Parameters to confirm as well, such as method=rs_rp,sigma=0.5; repeatable.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    runs: Runs = Path("runs"),
    workers: Workers = None,
    cpus_per_trial: CpusPerTrial = 1.0,
    gpus_per_trial: GpusPerTrial = None,
    address: Address = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Retrain a search's best robust and plain configurations on fresh seeds, and test each once.

    What is tested is kept and never repeated; the same line goes on, and more --seeds, --top,
    --trial or --configuration extend it. The tables are kept as confirm.md and confirm.csv.

    Example: rxtune confirm rs-1122-0931 --top 3 --seeds 5

    Example: rxtune confirm rs-1122-0931 --trial 4 --configuration method=rs_rp,sigma=0.5
    """
    from rxtune import api
    from rxtune.cli.as_json import confirm_document, print_json
    from rxtune.search.run_folder import RunFolder

    folder = RunFolder.existing(runs, run)  # a wrong name is refused before anything is said
    options = api.SearchOptions(
        name=run,
        root=runs,
        workers=workers,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        address=address,
    )
    what = _Named(seeds=seeds, top=top, trials=trial or (), configurations=configuration or ())
    with for_people(as_json):
        output.print(what.announcement(run), soft_wrap=True, markup=False)
        found = _retrained(options, what)
        _show(found)
        _show_files(folder)
    if as_json:
        print_json(confirm_document(run, found, _files(folder)))


def _retrained(options: SearchOptions, what: _Named) -> Confirmation:
    """Return what the confirmation says; a Ctrl-C ends with the line that goes on."""
    from rxtune import api

    try:
        return api.confirm(
            options,
            seeds=what.seeds,
            top=what.top,
            trials=what.trials,
            configurations=what.configurations,
            on_result=_Progress(),
        )
    except KeyboardInterrupt:
        output.print("Interrupted: what is finished is kept. To go on:", soft_wrap=True)
        line = f"rxtune confirm {options.name}{what.flags()}{place_flags(options.root, options)}"
        output.print(f"  {line}", style="bold", soft_wrap=True, markup=False)
        raise typer.Exit(130) from None


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What the user asked for."""

    seeds: int
    top: int
    trials: Sequence[int]
    configurations: Sequence[str]

    def announcement(self, run: str) -> str:
        """Return what is about to be done."""
        best = "the best robust trial" if self.top == 1 else f"the {self.top} best robust trials"
        named = [f"trial {number}" for number in self.trials]
        parts = [
            best,
            *named,
            *self.configurations,
            "plain fine-tuning (the best and the default)",
        ]
        return f"Confirming {run}: {', '.join(parts)}; {self.seeds} fresh seeds each, on test"

    def flags(self) -> str:
        """Return the flags that ask for the same again."""
        named = [f" --trial {number}" for number in self.trials]
        named += [f" --configuration {shlex.quote(text)}" for text in self.configurations]
        return f" --seeds {self.seeds} --top {self.top}{''.join(named)}"


class _Progress:
    """Prints one line for each run that ends."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, run: ConfirmedRun, done: int, total: int) -> None:
        """Print the line of a run."""
        ending = f"failed ({run.reason})"
        if run.zero_shot is not None:
            ending = f"held-out mean {100 * run.zero_shot.held_out_mean:.1f}"
        source = "named" if run.trial is None else f"trial {run.trial}"
        roles = ", ".join(role for role in run.roles if role != source)
        output.print(
            f"{time.monotonic() - self._began:5.0f} s  {done}/{total}"
            f"  {source} {run.configuration.method}{f' ({roles})' if roles else ''}"
            f" seed {run.seed}: {ending}",
            soft_wrap=True,
            markup=False,
        )


def _show(result: Confirmation) -> None:
    from rxtune.report import (
        EXPLANATION,
        blocks,
        failure_notes,
        optimism_of_search,
        plain_text,
        sections,
        verdict,
    )

    # Not rich's tables: into a file they would be squeezed into 80 columns.
    for title, table in sections(result).items():
        output.print(f"\n{title}", style="bold", soft_wrap=True, markup=False)
        text = "\n\n".join(plain_text(block) for block in blocks(table))
        output.print(text, soft_wrap=True, markup=False)
    output.print()
    output.print(EXPLANATION, style="dim", soft_wrap=not output.is_terminal, markup=False)
    output.print()
    for note in (*failure_notes(result), *result.problems):
        output.print(f"note: {note}", soft_wrap=True, markup=False)
    if optimism := optimism_of_search(result):
        output.print(optimism, soft_wrap=not output.is_terminal, markup=False)
    wraps = output.is_terminal
    output.print(verdict(result), style="bold", soft_wrap=not wraps, markup=False)


def _files(folder: RunFolder) -> dict[str, Path | None]:
    """Return where the tables and the predictions lie."""
    kept = folder.predictions
    tables = {name: folder.path / f"confirm.{name}" for name in ("md", "csv")}
    return {**tables, "predictions": kept if kept.is_dir() else None}


def _show_files(folder: RunFolder) -> None:
    files = _files(folder)
    output.print(f"Tables: {files['md']} and {files['csv']}", soft_wrap=True, markup=False)
    if files["predictions"] is not None:
        output.print(f"Predictions: {files['predictions']}", soft_wrap=True, markup=False)
