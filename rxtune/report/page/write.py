"""The page and its figures, written as files: one HTML file that opens from disk, and plots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from rxtune.config import did_you_mean
from rxtune.errors import StudyError
from rxtune.report.page.findings import Findings
from rxtune.report.page.methods import encoder_name, task_name
from rxtune.report.page.plot import FORMATS, Plot
from rxtune.report.page.sections import Section, page_sections
from rxtune.report.page.style import styled
from rxtune.storage import open_place, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Where a report lies."""

    page: Path
    figures: tuple[Path, ...]
    """The same plots as files, a format each."""


def write_report(findings: Findings, folder: Path, formats: Sequence[str]) -> Written:
    """Write `report.html` and `figures/` into a folder, in place of an earlier report's.

    Args:
        findings: What to show.
        folder: Where; made if it is missing.
        formats: Of the figures, some of `FORMATS`.

    Raises:
        StudyError: a format is unknown, or the folder cannot be written.
    """
    _require_known(formats)
    with styled():
        sections = page_sections(findings)
        page = render_page(findings, sections)
        plots = [b for section in sections for b in section.blocks if isinstance(b, Plot)]
        try:
            (folder / "figures").mkdir(parents=True, exist_ok=True)
            figures = [path for plot in plots for path in plot.save(folder / "figures", formats)]
            path = folder / "report.html"
            write_whole(*open_place(str(path)), page.encode())
        except OSError as error:
            raise StudyError(
                f"{folder}: the report's folder must be writable, but is not ({error}); give"
                " another one with --out"
            ) from error
    return Written(page=path, figures=tuple(figures))


def _require_known(formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise StudyError(
                f"--formats: must be among {', '.join(FORMATS)}, got {name!r};"
                f" {did_you_mean(name, FORMATS)}"
            )


def render_page(findings: Findings, sections: Sequence[Section]) -> str:
    """Return the page; whatever text comes from the user is escaped."""
    environment = Environment(
        loader=PackageLoader("rxtune.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": _with_code, "inline": Markup}
    return environment.get_template("page.html").render(
        findings=findings,
        sections=sections,
        encoder=encoder_name(findings),
        task=task_name(findings),
    )


def _with_code(text: str) -> Markup:
    """Return text in which what stands between backticks is code."""
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )
