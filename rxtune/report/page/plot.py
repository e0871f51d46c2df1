"""A plot, and what becomes of it: inline SVG with tooltips for the page, files for a paper."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape, quoteattr

import matplotlib
from matplotlib.figure import Figure

from rxtune.report.page.style import BLUE, GRID, INK, MUTED, PAPER

FORMATS = ("png", "svg", "pdf")
DOTS_PER_INCH = 200
_PAGE_DOTS_PER_INCH = 110
"""Of what is a picture inside an inline plot: the page is to stay small."""

_PAGE_COLOURS: Mapping[str, str] = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
}
_STYLED = re.compile(rf"\b(fill|stroke): ({'|'.join(_PAGE_COLOURS)})\b")
_OWN_ID = re.compile(r'(\bid="|href="#|url\(#)')
_METADATA: Mapping[str, Any] = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": {"CreationDate": None},
    "png": {},
}
"""No dates, so that the same search gives the same file; nothing but the plot in the page."""
_SIZE = re.compile(r'(<svg[^>]*?) width="[\d.]+pt" height="[\d.]+pt"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawn figure with what the page says about it."""

    name: str
    """Stem of its files."""
    title: str
    caption: str
    """What it shows and how to read it."""
    figure: Figure
    tooltips: Mapping[str, str] = field(default_factory=dict)
    """Text by the name of a mark in the figure."""
    kind: ClassVar[str] = "plot"

    @property
    def svg(self) -> str:
        """The plot as an element of the page: its text is text, its ink follows the page's."""
        text = _render(self.figure, "svg", fonttype="none", dpi=_PAGE_DOTS_PER_INCH).decode()
        text = text[text.index("<svg") :]
        text = _STYLED.sub(lambda m: f"{m[1]}: {_PAGE_COLOURS[m[2]]}", text)
        text = _OWN_ID.sub(rf"\g<1>{self.name}--", text)
        for mark, tooltip in self.tooltips.items():
            start = f'<g id="{self.name}--{mark}">'
            text = text.replace(start, f"{start}<title>{escape(tooltip)}</title>", 1)
        width = f'style="max-width: {self.figure.get_figwidth() / 8.2:.0%}"'
        label = f'role="img" aria-label={quoteattr(self.title)}'
        return _SIZE.sub(rf"\g<1> {width} {label}", text, count=1)

    def save(self, folder: Path, formats: Sequence[str]) -> list[Path]:
        """Write the plot in every format and return the files; their text is outlines."""
        found = []
        for kind in formats:
            path = folder / f"{self.name}.{kind}"
            path.write_bytes(_render(self.figure, kind, fonttype="path", dpi=DOTS_PER_INCH))
            found.append(path)
        return found


def _render(figure: Figure, kind: str, *, fonttype: str, dpi: int) -> bytes:
    if figure.get_layout_engine() is not None:  # once: it takes longer than drawing
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    written = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": fonttype, "pdf.fonttype": 42}):
        figure.savefig(written, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return written.getvalue()
