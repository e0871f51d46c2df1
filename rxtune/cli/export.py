"""`rxtune export`: a model to take away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rxtune.cli.console import output
from rxtune.cli.options import Runs


def export(
    run: Annotated[str, typer.Argument(help="Name of the run.", metavar="RUN")],
    folder: Annotated[
        Path, typer.Argument(help="Where to: a new or empty folder.", metavar="DIR")
    ],
    runs: Runs = Path("runs"),
    trial: Annotated[
        int | None, typer.Option(help="Whose model (default: the best one's); it must be kept.")
    ] = None,
    confirmed: Annotated[
        bool,
        typer.Option("--confirmed", help="The one that `rxtune confirm` has found to be better."),
    ] = False,
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Write onnx/model.onnx as well, and compare the two."),
    ] = False,
    license: Annotated[
        str | None,
        typer.Option(help="License for the card, such as mit or cc-by-nc-4.0.", metavar="ID"),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(help="Register it in MLflow under this name.", metavar="NAME"),
    ] = None,
) -> None:
    """Write a model as transformers loads it, with tokenizer, label names and a model card.

    The folder is written whole or not at all. Look at its README.md before you publish it: the
    license is yours to name.

    Example: rxtune export rs-1122-0931 my-model

    Example: rxtune export rs-1122-0931 my-model --onnx --license mit --register swahili-nli
    """
    from rxtune import api

    done = api.export(
        run,
        folder,
        runs,
        trial=trial,
        confirmed=confirmed,
        onnx=onnx,
        license=license,
        register=register,
    )
    _say(f"Model of trial {done.trial}: {done.folder} ({done.bytes / 1e6:.1f} MB)")
    if done.onnx is not None:
        _say(f"ONNX: {done.folder / 'onnx' / 'model.onnx'}. {done.onnx}")
    if done.registered is not None:
        _say(f"Registered in MLflow: {done.registered}")


def _say(text: str) -> None:
    output.print(text, soft_wrap=True, markup=False)
