"""The pages as they are written, and the blocks of code on them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
GENERATED = {DOCS / "reference" / "study.md", DOCS / "reference" / "cli.md"}
PAGES = [*sorted({*DOCS.rglob("*.md")} - GENERATED), REPOSITORY / "README.md"]

MARKS = {"needs a GPU", "needs a cloud", "needs the network", "takes minutes"}
"""Why a block is not run by `make test`; stands above it on the page."""

_BLOCK = re.compile(
    r"^```(\w+)(?: title=\"([^\"]*)\")?[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: str
    language: str
    mark: str | None
    code: str


def blocks(language: str) -> list[Block]:
    """Return the blocks in a language on all pages."""
    return [
        Block(str(path.relative_to(REPOSITORY)), found[1], found[2], found[3])
        for path in PAGES
        for found in _BLOCK.finditer(path.read_text(encoding="utf-8"))
        if found[1] == language
    ]


def mentions() -> list[tuple[str, str]]:
    """Return page and words of every call of rxtune in a sentence, a table or behind a `$`."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        prose = _BLOCK.sub("", text)
        within = [" ".join(words.split()) for words in re.findall(r"`rxtune ([^`]+)`", prose)]
        typed = re.findall(r"^\$ rxtune (.*)$", text, re.MULTILINE)
        found += [(str(path.relative_to(REPOSITORY)), words) for words in within + typed]
    return found


def calls(code: str, program: str) -> list[list[str]]:
    """Return the words after every call of a program, those within quotes included."""
    joined = re.sub(r"<<'(\w+)'\n.*?^\1$", "", code, flags=re.MULTILINE | re.DOTALL)
    joined = joined.replace("\\\n", " ")
    lines = re.findall(
        rf"(?:^\s*|['\"(]|&& |\| ){program} ([^'\"\n#>|)]*)", joined, flags=re.MULTILINE
    )
    return [shlex.split(line) for line in lines]
