"""The command line: `rxtune search`, `rxtune confirm`, `rxtune tasks`."""

from rxtune.cli.main import app, main

__all__ = ["app", "main"]
