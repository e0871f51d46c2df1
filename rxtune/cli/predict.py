"""`rxtune predict`: texts in, labels out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxtune.config.smoothing import Smoothing
from rxtune.errors import StudyError

if TYPE_CHECKING:
    from rxtune.train.classify import Probabilities


def predict(
    folder: Annotated[
        Path, typer.Argument(help="Of an exported model, or of a run's best.", metavar="DIR")
    ],
    file: Annotated[
        str, typer.Argument(help="Texts, - for standard input.", metavar="[FILE]")
    ] = "-",
    out: Annotated[
        Path | None, typer.Option(help="File to write (default: standard output).", metavar="FILE")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="tsv or jsonl, in and out (default: by the ending).", metavar="NAME"),
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option(help="Vote over noise of this sigma, in the units of the search."),
    ] = None,
    samples: Annotated[int, typer.Option(help="Noise draws per text, with --smooth.")] = 100,
    vote: Annotated[
        str,
        typer.Option(help="majority of the draws, or mean of their probabilities."),
    ] = "majority",
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0)] = 0,
) -> None:
    """Classify texts: a line in, a line out, in the same order.

    TSV: the text is the first column, of pairs the second column the other text; or a header
    names them `text` and `text_pair`. JSONL: objects with these keys. The answer has the label and
    the probability of every label.

    Example: echo "a text" | rxtune predict my-model

    Example: rxtune predict my-model texts.jsonl --out labels.jsonl --smooth 0.5 --samples 50
    """
    from rxtune.data.model_facts import ModelFacts
    from rxtune.data.unlabelled import format_of, read_texts

    smoothing = _smoothing(smooth, samples, vote, seed)
    kind = format_of(file, format)
    texts = read_texts(
        file, format=kind, is_pair=ModelFacts.read(folder).is_pair, stdin=sys.stdin.buffer
    )
    from rxtune import api

    labels, found = api.predict(folder, texts, smoothing)
    _write(_lines(labels, found, kind if out is None else format_of(str(out), format)), out)


def _smoothing(sigma: float | None, samples: int, vote: str, seed: int) -> Smoothing | None:
    if sigma is None:
        return None
    return Smoothing(sigma=sigma, samples=samples, vote=vote, seed=seed)  # type: ignore[arg-type]


def _lines(labels: Sequence[str], found: Probabilities, kind: str) -> Iterator[str]:
    """Yield a line per text, and of TSV a header first."""
    if kind == "tsv":
        yield "\t".join(("label", *labels))
    for row in found:
        best = labels[int(row.argmax())]
        shares = [round(float(share), 6) for share in row]
        if kind == "jsonl":
            answer = {"label": best, "probabilities": dict(zip(labels, shares, strict=True))}
            yield json.dumps(answer, ensure_ascii=False)
        else:
            yield "\t".join((best, *(f"{share:.6f}" for share in shares)))


def _write(lines: Iterator[str], out: Path | None) -> None:
    if out is None:
        for line in lines:
            sys.stdout.write(f"{line}\n")
        return
    fresh = out.with_name(f".{out.name}.new")
    try:
        fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        fresh.replace(out)
    except OSError as error:
        raise StudyError(f"--out: {out} cannot be written ({error.strerror})") from error
