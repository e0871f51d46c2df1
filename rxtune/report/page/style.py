"""One look for all plots: Okabe and Ito's colours, a marker per method, a fill per state."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from rxtune.config.configuration import Method

# The page replaces these four, and blue, by its own, which follow the reader's light or dark mode.
INK = "#1b1f24"
MUTED = "#66707b"
GRID = "#d9dee4"
PAPER = "#fefefe"

BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
SKY, PURPLE, GREY = "#56b4e9", "#cc79a7", "#999999"

METHOD_LOOKS: Mapping[Method, tuple[str, str]] = {
    "standard": (INK, "o"),
    "rs_rp": (BLUE, "s"),
    "adv": (GREEN, "^"),
    "smooth_adv": (VERMILION, "D"),
    "freelb": (ORANGE, "v"),
    "r3f": (SKY, "P"),
    "rs_da": (PURPLE, "X"),
    "code_switch": (GREY, "p"),
}
"""Colour and marker of every method, the same in all plots; colour alone tells nothing."""

SEQUENTIAL = "cividis"
"""From low to high; made for colour-blind readers, and ordered in grey as well."""

_SETTINGS: Any = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "text.color": INK,
    "text.parse_math": False,  # a language may be called $x$
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "svg.hashsalt": "rxtune",  # the same search, the same file
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this look inside the block, whatever the user has configured."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names in scripts that the font lacks: the page's reader has a font for them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches, without any global state."""
    return Figure(figsize=(width, height), layout="constrained")


def legend_below(figure: Figure, handles: list[Artist], columns: int = 5) -> None:
    """Write a legend below the axes, where it hides nothing."""
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, handletextpad=0.5)
