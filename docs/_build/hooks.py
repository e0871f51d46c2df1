"""What mkdocs does beside the pages: takes in those that lie elsewhere, and writes formulas."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]

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
    """Add the pages that lie elsewhere in the repository."""
    for uri, path in ELSEWHERE.items():
        content = path.read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links to such a page lead to its place in the site.

    On those pages themselves links into the repository, which the site does not hold, become text.
    """
    if page.file.src_uri not in ELSEWHERE:
        markdown = markdown.replace("](../benchmarks/README.md", "](measurements.md")
        return markdown.replace("](../cluster/", "](cluster/")
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#|[\w-]+\.md)[^)]*\)", r"\1", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Write the formulas as MathML, which browsers show without a script."""
    return _FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found["kind"] == "[" else "inline"
    return convert(html.unescape(found["latex"]), display=display)
