"""What the shell offers when Tab is pressed: runs and space files, read from folders alone."""

from __future__ import annotations

from glob import escape, glob
from pathlib import Path

import typer


def run_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the runs in the folder that `--runs` names, if it was typed before, or in `runs/`."""
    root = Path(context.params.get("runs") or "runs")
    names = {path.parent.name for path in root.glob(f"{escape(incomplete)}*/journal.log")}
    return sorted(names)


def space_files(incomplete: str) -> list[str]:
    """Return the YAML files that begin so, here and in `search_spaces/`; none: the shell's own."""
    begun = escape(incomplete)
    return sorted({*glob(f"{begun}*.yaml"), *glob(f"{begun}*/*.yaml")} if begun else _near())


def _near() -> set[str]:
    return {*glob("*.yaml"), *glob("search_spaces/*.yaml")}
