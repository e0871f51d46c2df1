"""The two consoles: results go to standard output, errors to standard error."""

from __future__ import annotations

from rich.console import Console

output = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
