"""Mixed-language pairs as heat maps: the first sentence in one language, the second in another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from rxtune.report.page.plot import Plot
from rxtune.report.page.style import INK, PAPER, SEQUENTIAL, new_figure
from rxtune.report.tables import Table

_MOST_NUMBERS = 16
"""Languages above which the cells are too small for their numbers."""
_DARK_TEXT, _LIGHT_TEXT = "#101010", "#fafafa"


def matrix_plot(name: str, tables: Mapping[str, Table], *, split: str, metric: str) -> Plot | None:
    """Return a heat map per table of `mixed_language_table`, on one scale; None without any.

    Args:
        name: Stem of the plot's files.
        tables: Score in percent by pair of languages, by name of the model.
        split: On which it was measured.
        metric: What was measured.
    """
    if not tables:
        return None
    values = {title: _values(table) for title, table in tables.items()}
    lowest = min(float(matrix.min()) for matrix in values.values())
    highest = max(float(matrix.max()) for matrix in values.values())
    size = len(next(iter(values.values())))
    side = min(1.2 + 0.33 * size, 4.0)
    figure = new_figure(8.2 if len(tables) > 1 else 5.6, side + 0.9)
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, (title, matrix) in zip(panels, values.items(), strict=True):
        _draw(axes, matrix, tables[title], (lowest, highest))
        axes.set_title(title, fontsize=9.5)
    panels[0].set_ylabel("language of the first sentence")
    colours = ScalarMappable(Normalize(lowest, highest), SEQUENTIAL)
    figure.colorbar(colours, ax=panels, label=f"{split} {metric}, %", shrink=0.85, pad=0.02)
    return Plot(
        name=name,
        title="Pairs whose two sentences are in different languages",
        caption=f"{split.capitalize()} {metric} in % on a sample of the items, in every pair of"
        " languages. The outlined diagonal has both sentences in one language.",
        figure=figure,
    )


def _values(table: Table) -> np.ndarray:
    return np.array([[float(cell) for cell in row[1:]] for row in table.rows])


def _draw(axes: Axes, matrix: np.ndarray, table: Table, limits: tuple[float, float]) -> None:
    size = len(matrix)
    axes.pcolormesh(
        matrix, cmap=SEQUENTIAL, vmin=limits[0], vmax=limits[1], edgecolors=PAPER, linewidth=0.8
    )
    for at in range(size):
        axes.add_patch(Rectangle((at, at), 1, 1, fill=False, edgecolor=INK, linewidth=1.2))
    if size <= _MOST_NUMBERS:
        _write_numbers(axes, matrix, table, sum(limits) / 2)
    languages = table.header[1:]
    places = [place + 0.5 for place in range(size)]
    axes.set_xticks(places, languages, rotation=90 if size > 6 else 0)
    axes.set_yticks(places, languages)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_xlabel("language of the second sentence")


def _write_numbers(axes: Axes, matrix: np.ndarray, table: Table, middle: float) -> None:
    size = max(5.5, min(8.5, 100 / len(matrix)))
    for row, cells in enumerate(table.rows):
        for column, cell in enumerate(cells[1:]):
            colour = _DARK_TEXT if matrix[row, column] > middle else _LIGHT_TEXT
            axes.text(
                column + 0.5, row + 0.5, f"{float(cell):.0f}", ha="center", va="center",
                fontsize=size, color=colour,
            )  # fmt: skip
