"""What mkdocs does beside the pages: generates references, takes in pages, writes formulas."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(REPOSITORY), str(HERE)]

import reference  # noqa: E402 - found by the line above

ELSEWHERE = {
    **{f"cluster/{path.name}": path for path in (REPOSITORY / "cluster").glob("*.md")},
    "measurements.md": REPOSITORY / "benchmarks" / "README.md",
}
"""Pages of the site that lie beside what they are about, by their place in the site."""

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<kind>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>',
    re.DOTALL,
)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are generated, and those that lie elsewhere in the repository."""
    generated = {
        "reference/study.md": reference.study_page(),
        "reference/cli.md": reference.cli_page(),
    }
    taken = {uri: path.read_text(encoding="utf-8") for uri, path in ELSEWHERE.items()}
    for uri, content in (generated | taken).items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leave a link into the repository, which the site does not hold, as its text."""
    if page.file.src_uri not in ELSEWHERE:
        return markdown
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#|[\w-]+\.md)[^)]*\)", r"\1", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Write the formulas as MathML, which browsers show without a script."""
    return _FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found["kind"] == "[" else "inline"
    return convert(html.unescape(found["latex"]), display=display)
